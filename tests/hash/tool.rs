//! bin/ConsistentHash, with a state of its own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::services;

/// The program, in a folder of its own.
pub struct Tool {
    dir: TempDir,
    flags: Vec<String>,
}

/// What one run of it came to.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Tool {
    pub fn new() -> Tool {
        Tool { dir: services::new_dir(), flags: Vec::new() }
    }

    /// Every run begins with these.
    pub fn with(mut self, flags: &[&str]) -> Tool {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ConsistentHash"));
        command.current_dir(self.dir.path()).env_remove("CHAT_RING_STATE").args(&self.flags);
        command
    }

    /// One command, as it would be typed in a shell.
    pub fn run(&self, line: &str) -> Run {
        Run::of(self.command().args(line.split(' ')).stdin(Stdio::null()).output().unwrap())
    }

    /// The same, which has to succeed; its answer.
    #[track_caller]
    pub fn answer(&self, line: &str) -> String {
        let run = self.run(line);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{line}: {run:?}");
        run.out
    }

    /// Lines on standard input.
    pub fn lines(&self, lines: &str) -> Run {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut stdin, lines) = (child.stdin.take().unwrap(), lines.to_owned());
        // Beside the reading, so that neither side waits for the other.
        let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let run = Run::of(child.wait_with_output().unwrap());
        writing.join().unwrap().unwrap();
        run
    }
}

impl Run {
    pub fn of(output: Output) -> Run {
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
