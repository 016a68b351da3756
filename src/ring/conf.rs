//! nginx's configuration language: text to directives, each with its place in
//! the text. Nothing here knows what a directive means.
//!
//! Source: `ngx_conf_read_token` in `ngx_conf_file.c`, whose rules for blanks,
//! quotes, escapes, comments and `${…}` these are.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;

/// Blocks within blocks: nginx's own go five deep or so.
const MAX_DEPTH: usize = 32;

/// `name argument… ;` or `name argument… { … }`.
#[derive(Debug, Clone)]
pub struct Directive {
    /// The name and its arguments, without quotes and escapes.
    pub words: Vec<String>,
    /// The line on which it begins, from 1 on.
    pub line: usize,
    /// From its first byte to behind its `;` or `}`.
    pub span: Range<usize>,
    /// What is between its braces, if it has any.
    pub block: Option<Block>,
}

/// What is between braces.
#[derive(Debug, Clone)]
pub struct Block {
    /// In the order of the text.
    pub directives: Vec<Directive>,
    /// Where its closing brace is.
    pub end: usize,
}

impl Directive {
    /// What it is.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// What stands behind its name.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// What is between its braces; nothing if it has none.
    pub fn inner(&self) -> &[Directive] {
        self.block.as_ref().map_or(&[], |block| &block.directives)
    }
}

/// Why a text is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct SyntaxError {
    /// From 1 on.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// The directives of a whole file.
///
/// # Errors
/// Where nginx would not read it either.
pub fn parse(text: &str) -> Result<Vec<Directive>, SyntaxError> {
    let mut reader = Reader { text, chars: text.char_indices().peekable(), line: 1 };
    let (directives, _) = reader.directives(0)?;
    Ok(directives)
}

/// The line of a place in a text, from 1 on.
pub fn line_of(text: &str, place: usize) -> usize {
    1 + text.as_bytes()[..place].iter().filter(|&&b| b == b'\n').count()
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    line: usize,
}

enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
}

impl Reader<'_> {
    /// Directives up to the end of their block (0: of the text), and where
    /// that is.
    fn directives(&mut self, depth: usize) -> Result<(Vec<Directive>, usize), SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error("too many blocks within blocks"));
        }
        let mut directives = Vec::new();
        loop {
            let (token, start) = self.token()?;
            let (line, mut words) = match token {
                Token::Word(word) => (line_of(self.text, start), vec![word]),
                Token::Close if depth > 0 => return Ok((directives, start)),
                Token::End if depth == 0 => return Ok((directives, start)),
                Token::End => {
                    return Err(self.error("the text ends inside of a block: \"}\" is missing"));
                }
                Token::Close => return Err(self.error("unexpected \"}\"")),
                Token::Open => return Err(self.error("unexpected \"{\"")),
                Token::Semicolon => return Err(self.error("unexpected \";\"")),
            };
            let block = loop {
                match self.token()?.0 {
                    Token::Word(word) => words.push(word),
                    Token::Semicolon => break None,
                    Token::Open => {
                        let (directives, end) = self.directives(depth + 1)?;
                        break Some(Block { directives, end });
                    }
                    Token::Close => {
                        return Err(self.error("unexpected \"}\": \";\" is missing before it"));
                    }
                    Token::End => {
                        return Err(
                            self.error("the text ends inside of a directive: \";\" is missing")
                        );
                    }
                }
            };
            directives.push(Directive { words, line, span: start..self.position(), block });
        }
    }

    fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { line: self.line, what }
    }

    fn position(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |&(place, _)| place)
    }

    fn next(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|&(_, c)| c)
    }

    /// The next token and where it begins.
    fn token(&mut self) -> Result<(Token, usize), SyntaxError> {
        loop {
            let start = self.position();
            let Some(c) = self.peek() else { return Ok((Token::End, start)) };
            let token = match c {
                ' ' | '\t' | '\r' | '\n' => {
                    self.next();
                    continue;
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.next();
                    }
                    continue;
                }
                ';' => Token::Semicolon,
                '{' => Token::Open,
                '}' => Token::Close,
                '"' | '\'' => return Ok((Token::Word(self.quoted(c)?), start)),
                _ => return Ok((Token::Word(self.word()), start)),
            };
            self.next();
            return Ok((token, start));
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let mut word = String::new();
        let begun = self.line;
        self.next();
        loop {
            match self.next() {
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
                None => {
                    return Err(SyntaxError {
                        line: begun,
                        what: "a quote is opened and never closed",
                    });
                }
            }
        }
        match self.peek() {
            Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => Ok(word),
            None => Err(self.error("the text ends inside of a directive: \";\" is missing")),
            Some(_) => Err(self.error("a blank, \";\" or \"{\" has to follow a closing quote")),
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        // Behind a `$` braces are part of the word, as in `${name}`.
        let mut variable = false;
        while let Some(c) = self.peek() {
            match c {
                '{' if variable => {}
                ' ' | '\t' | '\r' | '\n' | ';' | '{' => break,
                _ => variable = c == '$',
            }
            self.next();
            if c == '\\' { self.escape(&mut word) } else { word.push(c) }
        }
        word
    }

    /// What a backslash and the next character stand for.
    fn escape(&mut self, word: &mut String) {
        let meant = match self.peek() {
            Some(c @ ('"' | '\'' | '\\')) => c,
            Some('t') => '\t',
            Some('r') => '\r',
            Some('n') => '\n',
            other => {
                // Anything else stays as it is, but does not end the word.
                word.push('\\');
                word.extend(other);
                self.next();
                return;
            }
        };
        word.push(meant);
        self.next();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        parse(text).unwrap().into_iter().map(|directive| directive.words).collect()
    }

    #[test]
    fn words_comments_quotes_and_escapes_are_read_as_nginx_does() {
        let text = "a b;# c;\n\"d e\" 'f;{}' g\\ h;\r\n\ti${j}k # l\n \"m\\\"\\n\"; n{}";
        let expected: [&[&str]; 4] =
            [&["a", "b"], &["d e", "f;{}", "g\\ h"], &["i${j}k", "m\"\n"], &["n"]];
        assert_eq!(words(text), expected);
        // `${` takes all braces that follow, a `$` behind a backslash none.
        assert_eq!(words("a${{b}};"), [["a${{b}}"]]);
        assert_eq!(words("a\\${}"), [["a\\$"]]);
        assert_eq!(
            words("a#b c'd' e};"),
            [["a#b", "c'd'", "e}"]].map(|w| w.map(str::to_owned)).map(Vec::from)
        );
    }

    #[test]
    fn directives_know_their_place() {
        let text = "one;\n\nstream { # x\n  upstream u {\n    server a:1; }\n}\n";
        let stream = &parse(text).unwrap()[1];
        let upstream = &stream.inner()[0];
        assert_eq!((stream.line, upstream.line, upstream.inner()[0].line), (3, 4, 5));
        assert_eq!(&text[upstream.inner()[0].span.clone()], "server a:1;");
        assert_eq!(&text[stream.span.clone()], text[6..].trim());
        assert_eq!(&text[upstream.block.as_ref().unwrap().end..][..1], "}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line) in [
            ("a\n", 2),
            ("a {\n", 2),
            ("}", 1),
            ("\n;", 2),
            ("{", 1),
            ("a {\nb }", 2),
            ("\n'a\n", 2),
            ("'a'b;", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
        assert!(parse(&"a{".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "[a\"'\\\\${};# \n\u{e9}]{0,60}") {
            if let Ok(directives) = parse(&text) {
                for directive in directives {
                    prop_assert!(text.get(directive.span).is_some());
                    prop_assert!(!directive.words.is_empty());
                }
            }
        }
    }
}
