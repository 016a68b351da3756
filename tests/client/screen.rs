//! The little of a terminal that a line editor needs: enough to know what a
//! person would see.

use unicode_width::UnicodeWidthChar;

pub struct Screen {
    columns: usize,
    rows: Vec<Vec<Option<char>>>,
    row: usize,
    column: usize,
    /// What has not been understood yet: the start of a sequence or character.
    rest: Vec<u8>,
    /// How often the terminal was told to do what no client should tell it.
    pub strange: Vec<String>,
}

impl Screen {
    pub fn new(columns: usize) -> Screen {
        let (rows, rest, strange) = (vec![Vec::new()], Vec::new(), Vec::new());
        Screen { columns, rows, row: 0, column: 0, rest, strange }
    }

    /// The lines from the top, without the blanks at their ends.
    pub fn lines(&self) -> Vec<String> {
        let line = |row: &Vec<Option<char>>| {
            let text: String = row.iter().flatten().collect();
            text.trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }

    /// The line with the cursor, up to the cursor.
    pub fn before_cursor(&self) -> String {
        self.rows[self.row].iter().take(self.column).flatten().collect()
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(used) = self.step() {
            self.rest.drain(..used);
        }
    }

    /// Handles one character or sequence; `None` where more bytes are needed.
    fn step(&mut self) -> Option<usize> {
        match *self.rest.first()? {
            0x1b => return self.escape(),
            b'\r' => self.column = 0,
            b'\n' => self.line_feed(),
            0x07 => {}
            0x08 => self.column = self.column.saturating_sub(1),
            0x00..0x20 => self.strange.push(format!("{:?}", self.rest[0] as char)),
            _ => return self.character(),
        }
        Some(1)
    }

    fn character(&mut self) -> Option<usize> {
        let longest = self.rest.len().min(4);
        let text = (1..=longest).find_map(|n| std::str::from_utf8(&self.rest[..n]).ok())?;
        let c = text.chars().next()?;
        let (used, width) = (text.len(), c.width().unwrap_or(0));
        if self.column + width > self.columns {
            self.column = 0;
            self.line_feed();
        }
        let row = &mut self.rows[self.row];
        if row.len() < self.column + width {
            row.resize(self.column + width, Some(' '));
        }
        for i in 0..width {
            row[self.column + i] = (i == 0).then_some(c);
        }
        self.column += width;
        Some(used)
    }

    fn line_feed(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Vec::new());
        }
    }

    fn escape(&mut self) -> Option<usize> {
        if *self.rest.get(1)? != b'[' {
            self.strange.push(format!("{:?}", self.rest[1] as char));
            return Some(2);
        }
        let end = 2 + self.rest[2..].iter().position(|b| (0x40..0x7f).contains(b))?;
        let parameters = String::from_utf8_lossy(&self.rest[2..end]).into_owned();
        let count = parameters.parse().unwrap_or(1);
        match (self.rest[end], parameters.as_str()) {
            (b'A', _) => self.row = self.row.saturating_sub(count),
            (b'B', _) => (0..count).for_each(|_| self.line_feed()),
            (b'C', _) => self.column += count,
            (b'D', _) => self.column = self.column.saturating_sub(count),
            (b'K', "" | "0") => self.rows[self.row].truncate(self.column),
            (b'J', "" | "0") => {
                self.rows[self.row].truncate(self.column);
                self.rows.truncate(self.row + 1);
            }
            // Bracketed paste, synchronised output, the cursor's visibility.
            (b'h' | b'l', "?2004" | "?2026" | "?25") => {}
            (last, _) => self.strange.push(format!("{parameters}{}", last as char)),
        }
        Some(end + 1)
    }
}
