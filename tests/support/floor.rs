//! The least server that ChatBench compares with, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A `ChatBench floor` that answers; it ends with the value.
pub struct Floor {
    child: Child,
    address: String,
}

impl Floor {
    /// Starts one.
    #[track_caller]
    pub fn start() -> Floor {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ChatBench"))
            .args(["floor", "127.0.0.1:0", "--reply"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Floor { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        if let Err(e) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("cannot end a floor: {e}");
        }
    }
}
