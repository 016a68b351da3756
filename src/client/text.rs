//! Text from the server is data: how it is made safe to show, and how wide it
//! is on a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// Replaces what a terminal would act on (control characters, ESC above all)
/// and what would let a line pose as another (line separators, changes of the
/// writing direction) by something to be seen.
pub fn safe(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            // Unicode has a picture for each control character of ASCII.
            '\0'..='\x1f' => out.extend(char::from_u32(0x2400 + c as u32)),
            '\x7f' => out.push('\u{2421}'),
            _ if is_unsafe(c) => {
                out.push_str("\\u{");
                out.push_str(&format!("{:x}", c as u32));
                out.push('}');
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}'    // direction marks
            | '\u{2028}' | '\u{2029}'              // line and paragraph separator
            | '\u{202a}'..='\u{202e}'              // direction overrides
            | '\u{2066}'..='\u{2069}'              // direction isolates
            | '\u{feff}')
}

/// Lines of cells, each column as wide as its widest cell on a terminal: a
/// Chinese character takes two columns. The last column is not filled up.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = header.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (i, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            line.push_str("  ");
            line.push_str(cell);
            if i + 1 < N {
                line.extend(std::iter::repeat_n(' ', width - cell.width()));
            }
        }
        line.truncate(line.trim_end().len());
        line
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(header)).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        let shown = safe("\x1b[2Jhi\r\n\x07\u{9b}31m\u{202e}x\x7f\u{2028}");
        assert_eq!(shown, "␛[2Jhi␍␊␇\\u{9b}31m\\u{202e}x␡\\u{2028}");
        assert!(!shown.contains(is_unsafe));
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        for text in ["hello", "你好，世界", "مرحبا", "👨‍👩‍👧 é"] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn columns_line_up_where_characters_are_two_wide() {
        let rows = [
            ["1".to_owned(), "王小明".to_owned(), "online".to_owned()],
            ["22".to_owned(), "bob".to_owned(), "offline".to_owned()],
        ];
        let lines = table(["ID", "NAME", "STATE"], &rows);
        let column = |line: &str, word: &str| line[..line.find(word).unwrap()].width();
        assert_eq!(column(&lines[0], "STATE"), column(&lines[1], "online"));
        assert_eq!(column(&lines[0], "STATE"), column(&lines[2], "offline"));
    }
}
