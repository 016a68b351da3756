//! Signals to processes that the tests started.

use std::path::PathBuf;
use std::process::Command;

/// What can be done to a process from outside.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    /// Asks it to stop.
    Term,
    /// Ctrl+C.
    Int,
    /// Ends it without a word.
    Kill,
    /// Freezes it: its sockets stay open and silent.
    Stop,
    /// Lets a frozen one go on.
    Cont,
}

/// Sends `signal`; the process must exist.
#[track_caller]
pub fn signal(pid: u32, signal: Signal) {
    let name = match signal {
        Signal::Term => "-TERM",
        Signal::Int => "-INT",
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Cont => "-CONT",
    };
    let status = Command::new("kill").arg(name).arg(pid.to_string()).status().unwrap();
    assert!(status.success(), "kill {name} {pid}: {status}");
}

/// Whether a process of this number runs (a zombie does not).
pub fn runs(pid: u32) -> bool {
    let stat = PathBuf::from(format!("/proc/{pid}/stat"));
    // The state follows the command's name, which ends with the last ')'.
    std::fs::read_to_string(stat)
        .ok()
        .and_then(|s| s.rsplit_once(") ").map(|(_, rest)| !rest.starts_with('Z')))
        .unwrap_or(false)
}
