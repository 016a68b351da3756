//! A faster way through the plainest of JSON objects, which almost every
//! request is: flat, its keys and texts without escapes, its numbers integers.
//! Of anything else nothing is said here; `serde_json` judges it.

/// Gives each key and the text of its value, in order. `None`: this is not a
/// plain object, or no JSON at all.
pub(super) fn read<'a>(text: &'a str, mut field: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let mut scan = Scan { text, at: 0 };
    scan.token(b'{')?;
    if scan.token(b'}').is_none() {
        loop {
            let key = scan.key()?;
            scan.token(b':')?;
            let value = scan.value()?;
            field(key, value);
            if scan.token(b',').is_none() {
                scan.token(b'}')?;
                break;
            }
        }
    }
    scan.space();
    (scan.at == text.len()).then_some(())
}

/// How many bytes at the start of a text stand in a JSON string for
/// themselves: no quote, no backslash, no control character.
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        let special = special_bytes(*word);
        if special != 0 {
            return text.len() - rest.len() + first_byte(special);
        }
        rest = after;
    }
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    text.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Bytes that are looked at together, as one number.
const WORD_BYTES: usize = 8;
const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES << 7;

/// Marks the bytes that are not plain by their highest bit; beyond the first
/// such byte marks may be wrong.
fn special_bytes(word: [u8; WORD_BYTES]) -> u64 {
    let word = u64::from_le_bytes(word);
    // Of an ASCII byte below n the highest bit is set by the subtraction alone.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n));
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & !word & HIGHS
}

/// Which byte is the first that is marked; [`WORD_BYTES`] if none is.
fn first_byte(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// How far a text is read. Everything looked for is ASCII, so that every stop
/// is between two characters.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let found = self.next()? == byte;
        self.at += usize::from(found);
        found.then_some(())
    }

    /// Takes a byte with the white space before it, of which there mostly is
    /// none.
    fn token(&mut self, byte: u8) -> Option<()> {
        if self.next()? != byte {
            self.space();
            return self.take(byte);
        }
        self.at += 1;
        Some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.next() {
            self.at += 1;
        }
    }

    /// A string without escapes, without its quotes: mostly one of a few bytes.
    fn key(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        if let Some((b'"', rest)) = bytes.get(self.at..).and_then(<[u8]>::split_first)
            && let Some(word) = rest.first_chunk()
        {
            let length = first_byte(special_bytes(*word));
            if rest.get(length) == Some(&b'"') {
                let start = self.at + 1;
                self.at = start + length + 1;
                return self.text.get(start..start + length);
            }
        }
        let quoted = self.string()?;
        Some(&quoted[1..quoted.len() - 1])
    }

    /// A string without escapes, with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        self.token(b'"')?;
        let start = self.at - 1;
        self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
        self.take(b'"')?;
        self.text.get(start..self.at)
    }

    fn value(&mut self) -> Option<&'a str> {
        if self.next()? <= b' ' {
            self.space();
        }
        match self.next()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.integer(),
            _ => ["true", "false", "null"].into_iter().find_map(|word| self.word(word)),
        }
    }

    fn word(&mut self, word: &str) -> Option<&'a str> {
        let end = self.at + word.len();
        let found = self.text.get(self.at..end).filter(|text| *text == word)?;
        self.at = end;
        Some(found)
    }

    /// An integer, which does not begin with a 0 that says nothing. What
    /// follows it is for the caller to refuse.
    fn integer(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.at += usize::from(self.next() == Some(b'-'));
        let first = self.next();
        let digits = self.at;
        while self.next().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let count = self.at - digits;
        let well = count == 1 || (count > 1 && first != Some(b'0'));
        well.then(|| self.text.get(start..self.at)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut found = Vec::new();
        read(text, |key, value| found.push((key, value))).map(|()| found)
    }

    #[test]
    fn a_plain_object_is_read_whatever_its_white_space() {
        let expected = vec![("a", "1"), ("b", "\"é\""), ("c", "-20"), ("d", "true"), ("e", "null")];
        let tight = r#"{"a":1,"b":"é","c":-20,"d":true,"e":null}"#;
        assert_eq!(fields(tight).unwrap(), expected);
        let loose = " {\t\"a\" : 1 ,\r\n\"b\":\"é\" , \"c\":-20,\"d\" :true,\"e\": null } \n";
        assert_eq!(fields(loose).unwrap(), expected);
        assert_eq!(fields(" { } ").unwrap(), []);
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_others() {
        let others = [
            r#"{"a":"\n"}"#,
            r#"{"\u0061":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":{}}"#,
            r#"{"a":1.5}"#,
            r#"{"a":1e3}"#,
        ];
        let no_json = [
            "",
            "{",
            "{}}",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1x}"#,
            r#"{"a":truely}"#,
            "{\"a\":\"\u{1}\"}",
            "[1]",
        ];
        for text in others.iter().chain(&no_json) {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_read_however_long_it_is_and_wherever_it_stands() {
        for letter in ["k", "é", "€"] {
            for length in 0..12 {
                let key = letter.repeat(length);
                let text = format!("{{\"{key}\":1}}");
                assert_eq!(fields(&text).unwrap(), [(&*key, "1")]);
                let text = format!("{{ \"first\":2,\"{key}\" :\"a longer text\"}}");
                let expected = [("first", "2"), (&*key, "\"a longer text\"")];
                assert_eq!(fields(&text).unwrap(), expected);
                for spoilt in ['\\', '\u{1f}', '"'] {
                    let text = format!("{{\"{key}{spoilt}{key}\":1,\"and\":\"more\"}}");
                    assert_eq!(fields(&text), None, "{text}");
                }
            }
        }
    }

    #[test]
    fn the_first_byte_that_is_not_plain_is_found_wherever_it_is() {
        for length in 0..70 {
            let mut text = vec![b'x'; length];
            assert_eq!(plain_bytes(&text), length);
            for at in 0..length {
                for special in [b'"', b'\\', 0x1f, 0] {
                    text[at] = special;
                    assert_eq!(plain_bytes(&text), at);
                }
                text[at] = 0xff;
            }
        }
    }
}
