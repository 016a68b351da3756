//! Commands without a person: one from the command line, or lines from
//! standard input.

use std::io::{self, BufRead, Read, Write};

use super::command::{self, Command};
use super::configurator::{Configurator, Problem};

/// Longer than any command.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// How it went; an exit code is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything was carried out.
    Well,
    /// Something was not.
    Failed,
    /// The command is none.
    Usage,
}

/// Carries out the command that these words are.
pub fn run_words(configurator: &mut Configurator, words: &[String]) -> Ending {
    match command::parse(words) {
        Ok(command) => run(configurator, &command),
        Err(e) => {
            complain(format_args!("{e}"));
            Ending::Usage
        }
    }
}

fn run(configurator: &mut Configurator, command: &Command) -> Ending {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let ending = match carry_out(configurator, command, &mut out) {
        Ok(()) => Ending::Well,
        Err(problem) => {
            // Whoever has heard enough is no error that anybody wants to read.
            if !is_broken_pipe(&problem) {
                complain(format_args!("{problem}"));
            }
            Ending::Failed
        }
    };
    configurator.release();
    ending
}

/// Carries out the lines of `input` up to its end or `quit`. One that fails is
/// named with its number, and the others go on; but nothing is exported then.
pub fn run_lines(configurator: &mut Configurator, mut input: impl BufRead) -> Ending {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut ending = Ending::Well;
    for number in 1u64.. {
        let done = match read_line(&mut input) {
            Ok(None) => break,
            Ok(Some(line)) => run_line(configurator, &line, ending == Ending::Failed, &mut out),
            Err(e) => {
                complain(format_args!("standard input: {e}"));
                return Ending::Failed;
            }
        };
        match done {
            Ok(true) => {}
            Ok(false) => break,
            Err(LineProblem::Problem(problem)) if is_broken_pipe(&problem) => {
                return Ending::Failed;
            }
            Err(problem) => {
                complain(format_args!("line {number}: {problem}"));
                ending = Ending::Failed;
            }
        }
        configurator.release();
    }
    ending
}

#[derive(Debug, thiserror::Error)]
enum LineProblem {
    #[error(transparent)]
    Command(#[from] command::CommandError),
    #[error(transparent)]
    Problem(#[from] Problem),
}

/// Whether there may be more.
fn run_line(
    configurator: &mut Configurator,
    line: &str,
    failed: bool,
    out: &mut impl Write,
) -> Result<bool, LineProblem> {
    match command::parse_line(line)? {
        None => {}
        Some(Command::Quit) => return Ok(false),
        // A ring that lacks what a line was to add is not what was wanted.
        Some(Command::Export { .. }) if failed => return Err(Problem::Doubtful.into()),
        Some(command) => carry_out(configurator, &command, out)?,
    }
    Ok(true)
}

/// Carries out a command; what it says is out before anything else is said.
fn carry_out(
    configurator: &mut Configurator,
    command: &Command,
    out: &mut impl Write,
) -> Result<(), Problem> {
    let done = configurator.run(command, out);
    out.flush()?;
    for note in done? {
        complain(format_args!("{note}"));
    }
    Ok(())
}

/// Says something beside the answers. That nobody hears it is no reason to end.
pub fn complain(what: std::fmt::Arguments<'_>) {
    writeln!(io::stderr(), "ConsistentHash: {what}").ok();
}

fn is_broken_pipe(problem: &Problem) -> bool {
    matches!(problem, Problem::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 == MAX_LINE_BYTES && !bytes.ends_with(b"\n") {
        return Err(io::Error::other(format!("a line is longer than {MAX_LINE_BYTES} bytes")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
