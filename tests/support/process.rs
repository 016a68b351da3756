//! Signals to processes that the tests started.

use std::path::PathBuf;
use std::process::Command;

use super::wait::{SOON, eventually};

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
    if matches!(signal, Signal::Stop) {
        // A thread that is in the kernel goes on until it is out of it.
        eventually("every thread is stopped", SOON, || all_stopped(pid));
    }
}

fn all_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let state = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next())
    };
    threads.into_iter().all(|thread| state(thread.unwrap()) == Some('T'))
}

/// Whether a process of this number runs. A zombie does not, once its last
/// thread has ended: until then its sockets are still open.
pub fn runs(pid: u32) -> bool {
    let stat = PathBuf::from(format!("/proc/{pid}/stat"));
    let Ok(stat) = std::fs::read_to_string(stat) else { return false };
    // The fields follow the command's name, which ends with the last ')': the
    // state is the first of them, the number of threads the eighteenth.
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<&str> = fields.split(' ').collect();
    let threads = fields.get(17).and_then(|threads| threads.parse::<u32>().ok());
    fields[0] != "Z" || threads.is_some_and(|threads| threads > 1)
}

/// The memory that a process holds (VmRSS), in KiB.
#[track_caller]
pub fn memory_kib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:")
}

/// The memory that a process has asked for, touched or not (VmSize), in KiB.
#[track_caller]
pub fn address_space_kib(pid: u32) -> u64 {
    status_kib(pid, "VmSize:")
}

#[track_caller]
fn status_kib(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {key} {status}"))
}
