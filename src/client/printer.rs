//! Where lines for the person go.

use std::io::Write;

use super::text::wrapped;

/// One line to show, safe for a terminal already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, without a line end.
    pub text: String,
    /// Whether it tells of a problem: a script sees those on standard error.
    pub problem: bool,
    /// Where a terminal may break it; see [`Wrap`].
    pub wrap: Wrap,
}

/// How a line that is too wide is broken. Only terminals break lines; a script
/// sees each as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// Not at all: it holds somebody's words, which stay as they are.
    Never,
    /// At spaces; the rest goes on under this column (0: the first), in which
    /// the line's text begins.
    Under(usize),
}

impl Line {
    /// An ordinary line.
    pub fn plain(text: impl Into<String>) -> Line {
        Line { text: text.into(), problem: false, wrap: Wrap::Under(0) }
    }

    /// A line about a problem.
    pub fn problem(text: impl Into<String>) -> Line {
        Line { text: text.into(), problem: true, wrap: Wrap::Under(0) }
    }

    /// What somebody said: never broken.
    pub fn verbatim(text: impl Into<String>) -> Line {
        Line { text: text.into(), problem: false, wrap: Wrap::Never }
    }

    /// The text as it fits a terminal of so many columns.
    pub fn fitted(&self, columns: usize) -> String {
        match self.wrap {
            Wrap::Never => self.text.clone(),
            Wrap::Under(indent) => wrapped(&self.text, indent, columns),
        }
    }
}

/// Shows lines; from any thread, in the order in which they are given.
pub trait Printer: Send + Sync {
    /// Shows these lines together; false if nobody can see them (any more).
    fn print(&self, lines: &[Line]) -> bool;
}

/// Writes to standard output, problems to standard error.
#[derive(Debug, Default)]
pub struct PlainPrinter;

impl Printer for PlainPrinter {
    fn print(&self, lines: &[Line]) -> bool {
        let mut out = std::io::stdout().lock();
        let mut written = Ok(());
        for line in lines {
            if !line.problem {
                written = written.and_then(|()| writeln!(out, "{}", line.text));
            } else if let Err(e) = writeln!(std::io::stderr(), "{}", line.text) {
                log::debug!(target: "client", "a problem was not shown: err={e}");
            }
        }
        // The reader of a pipe may be gone (`| head`), or a disk full.
        let written = written.and_then(|()| out.flush());
        if let Err(e) = &written {
            log::debug!(target: "client", "lines were not shown: err={e}");
        }
        written.is_ok()
    }
}
