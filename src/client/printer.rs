//! Where lines for the person go.

use std::io::Write;

/// One line to show, safe for a terminal already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, without a line end.
    pub text: String,
    /// Whether it tells of a problem: a script sees those on standard error.
    pub problem: bool,
}

impl Line {
    /// An ordinary line.
    pub fn plain(text: impl Into<String>) -> Line {
        Line { text: text.into(), problem: false }
    }

    /// A line about a problem.
    pub fn problem(text: impl Into<String>) -> Line {
        Line { text: text.into(), problem: true }
    }
}

/// Shows lines; from any thread, in the order in which they are given.
pub trait Printer: Send + Sync {
    /// Shows these lines together.
    fn print(&self, lines: &[Line]);
}

/// Writes to standard output, problems to standard error.
#[derive(Debug, Default)]
pub struct PlainPrinter;

impl Printer for PlainPrinter {
    fn print(&self, lines: &[Line]) {
        let mut out = std::io::stdout().lock();
        for line in lines {
            let written = if line.problem {
                writeln!(std::io::stderr(), "{}", line.text)
            } else {
                writeln!(out, "{}", line.text)
            };
            // The reader of a pipe may be gone (`| head`): there is nobody
            // left to tell.
            if let Err(e) = written {
                log::debug!(target: "client", "a line was not shown: err={e}");
            }
        }
        if let Err(e) = out.flush() {
            log::debug!(target: "client", "output was not flushed: err={e}");
        }
    }
}
