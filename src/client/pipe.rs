//! Lines from standard input as they are: a script, or a terminal on which no
//! line editor works. A script sees no prompts.

use std::io::{self, BufRead, Write};

use super::echo::EchoOff;
use super::front::{Input, Question, Typed};

/// A line longer than this cannot be sent anyway; the rest of it is dropped.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Reads standard input.
pub struct PipeInput {
    /// Whether a person types: then there are prompts and hidden passwords.
    terminal: bool,
}

impl PipeInput {
    /// `terminal`: whether standard input is one.
    pub fn new(terminal: bool) -> PipeInput {
        PipeInput { terminal }
    }

    fn prompt(&self, prompt: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(prompt.as_bytes())?;
        out.flush()
    }
}

impl Input for PipeInput {
    fn ask(&mut self, question: Question<'_>) -> Typed {
        let (Question::Plain(prompt) | Question::Password(prompt) | Question::Command(prompt)) =
            question;
        let mut hidden = None;
        if self.terminal {
            if matches!(question, Question::Password(_)) {
                hidden = match EchoOff::new() {
                    Ok(hidden) => Some(hidden),
                    Err(_) => {
                        eprintln!("This terminal shows what is typed: mind who looks on.");
                        None
                    }
                };
            }
            if let Err(e) = self.prompt(prompt) {
                log::debug!(target: "client", "no prompt: err={e}");
            }
        }
        let typed = read_line(&mut io::stdin().lock());
        if hidden.is_some()
            && let Err(e) = self.prompt("\n")
        {
            log::debug!(target: "client", "no line end: err={e}");
        }
        typed
    }
}

fn read_line(input: &mut impl BufRead) -> Typed {
    let mut bytes = Vec::new();
    let read = io::Read::take(&mut *input, MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
    if let Err(e) = read {
        log::error!(target: "client", "standard input: err={e}");
        return Typed::End;
    }
    match bytes.last() {
        None => return Typed::End,
        Some(b'\n') => {}
        Some(_) if bytes.len() as u64 == MAX_LINE_BYTES => {
            if let Err(e) = input.skip_until(b'\n') {
                log::error!(target: "client", "standard input: err={e}");
            }
        }
        Some(_) => {}
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Typed::Line(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_on_any_system_and_the_last_one_needs_no_end() {
        let mut input = &b"one\ntwo\r\n\nlast"[..];
        for expected in ["one", "two", "", "last"] {
            assert_eq!(read_line(&mut input), Typed::Line(expected.to_owned()));
        }
        assert_eq!(read_line(&mut input), Typed::End);
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut bytes = vec![b'x'; 3 << 20];
        bytes.extend_from_slice(b"\nnext\n");
        let mut input = &bytes[..];
        let Typed::Line(line) = read_line(&mut input) else { panic!("no line") };
        assert_eq!(line.len() as u64, MAX_LINE_BYTES);
        assert_eq!(read_line(&mut input), Typed::Line("next".to_owned()));
    }
}
