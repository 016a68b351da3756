//! Text from the server is data: how it is made safe to show, and how wide it
//! is on a terminal.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::printer::{Line, Wrap};

/// A column narrower than this is not worth breaking lines for.
const MIN_ROOM: usize = 16;

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
/// Chinese character takes two columns. The last column is not filled up, and
/// where it is too wide it goes on under itself.
pub fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> Vec<Line> {
    let mut widths = header.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let last_column = 2 * N + widths.iter().take(N.saturating_sub(1)).sum::<usize>();
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
        Line { wrap: Wrap::Under(last_column), ..Line::plain(line) }
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(header)).chain(rows).collect()
}

/// Breaks `text` at spaces so that no line is wider than `columns`; what is
/// left of column `indent` is never broken, the further lines begin under it.
/// A word that is too wide is left to the terminal, and so is everything where
/// the indent leaves too little room.
pub fn wrapped(text: &str, indent: usize, columns: usize) -> String {
    if text.width() <= columns || indent + MIN_ROOM > columns {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut used = 0;
    // Leading spaces are kept, and so is what is left of the indent.
    for (i, word) in text.split(' ').enumerate() {
        let width = word.width();
        if i > 0 && used > indent && used + 1 + width > columns {
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if i > 0 {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += width;
    }
    out
}

/// A sentence as it goes on after a colon.
pub fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
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
        let lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        let column = |line: &str, word: &str| line[..line.find(word).unwrap()].width();
        assert_eq!(column(&lines[0], "STATE"), column(&lines[1], "online"));
        assert_eq!(column(&lines[0], "STATE"), column(&lines[2], "offline"));
    }

    #[test]
    fn a_sentence_is_broken_at_spaces_and_wide_characters_count_twice() {
        assert_eq!(wrapped("as wide as the terminal", 0, 23), "as wide as the terminal");
        assert_eq!(wrapped("as wide as the terminal", 0, 22), "as wide as the\nterminal");
        assert_eq!(wrapped("你好你好你 你好你好你", 0, 20), "你好你好你\n你好你好你");
        let word = "x".repeat(30);
        assert_eq!(wrapped(&format!("a {word} b"), 0, 20), format!("a\n{word}\nb"));
    }

    #[test]
    fn a_tables_last_column_goes_on_under_itself_and_the_others_stay_whole() {
        let rows = [["a b c d".to_owned(), "one two three four five six".to_owned()]];
        let lines = table(["X", ""], &rows);
        assert_eq!(lines[1].fitted(28), "  a b c d  one two three\n           four five six");
        assert_eq!(lines[1].fitted(20), lines[1].text, "too little room");
    }

    #[test]
    fn what_somebody_said_is_never_broken() {
        let line = Line::verbatim("2 (bob): so  it is, word for word");
        assert_eq!(line.fitted(16), line.text);
    }
}
