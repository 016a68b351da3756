//! What the measured processes cost: processor time and memory, as the kernel
//! counts them (`proc(5)`).

use std::fs;
use std::io;
use std::iter::Sum;
use std::net::SocketAddr;
use std::time::Duration;

use super::BenchError;

/// A process whose costs are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(pub u32);

impl Pid {
    /// Processor time of all threads so far, user and system together, in
    /// nanoseconds' resolution. What threads that have ended used up is not in
    /// it: measure while their number stands still.
    ///
    /// # Errors
    /// There is no such process (any more).
    pub fn cpu_time(self) -> io::Result<Duration> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let first = text.split_whitespace().next().unwrap_or_default();
            total += first.parse::<u64>().map_err(io::Error::other)?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// There is no such process (any more).
    pub fn memory(self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("no VmRSS in its status"))
    }

    /// How many descriptors it may have.
    ///
    /// # Errors
    /// There is no such process (any more).
    pub fn most_descriptors(self) -> io::Result<u64> {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.0))?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.and_then(|rest| rest.split_whitespace().next());
        match soft {
            Some("unlimited") => Ok(u64::MAX),
            Some(number) => number.parse().map_err(io::Error::other),
            None => Err(io::Error::other("no open files in its limits")),
        }
    }

    /// The process that listens at this address on this machine, as far as
    /// this user may look.
    pub fn listening_at(address: SocketAddr) -> Option<Pid> {
        let inode = listening_inode(address.port())?;
        let wanted = format!("socket:[{inode}]");
        for process in fs::read_dir("/proc").ok()?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
            for file in files.flatten() {
                if fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()) {
                    return Some(Pid(pid));
                }
            }
        }
        None
    }
}

/// What processes use up from a moment on.
pub struct Meter {
    pids: Vec<Pid>,
    before: Duration,
}

impl Meter {
    /// Begins to count.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn start(pids: &[Pid]) -> Result<Meter, BenchError> {
        Ok(Meter { pids: pids.to_vec(), before: total(pids, Pid::cpu_time)? })
    }

    /// Processor time of all of them together since then; `None`: no process is
    /// known.
    ///
    /// # Errors
    /// One of them is not there any more.
    pub fn used(&self) -> Result<Option<Duration>, BenchError> {
        let now = total(&self.pids, Pid::cpu_time)?;
        Ok((!self.pids.is_empty()).then(|| now.saturating_sub(self.before)))
    }
}

/// Resident memory of all of them together, in bytes.
///
/// # Errors
/// One of them is not there (any more).
pub fn memory_of(pids: &[Pid]) -> Result<u64, BenchError> {
    total(pids, Pid::memory)
}

fn total<T: Sum>(pids: &[Pid], figure: impl Fn(Pid) -> io::Result<T>) -> Result<T, BenchError> {
    let of = |pid: &Pid| {
        figure(*pid).map_err(|e| BenchError(format!("pid {} cannot be measured: {e}", pid.0)))
    };
    pids.iter().map(of).sum()
}

/// The inode of the socket that listens on this port.
fn listening_inode(port: u16) -> Option<u64> {
    /// `TCP_LISTEN` of the kernel's `tcp_states.h`.
    const LISTEN: &str = "0A";
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let text = fs::read_to_string(table).ok()?;
        text.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
            let local_port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
            (*state == LISTEN && local_port == port).then(|| inode.parse().ok())?
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port_and_costs_something() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pid = Pid::listening_at(listener.local_addr().unwrap()).unwrap();
        assert_eq!(pid, Pid(std::process::id()));
        assert!(pid.memory().unwrap() > 100_000);
        let before = pid.cpu_time().unwrap();
        while pid.cpu_time().unwrap() == before {
            std::hint::black_box(0);
        }
    }
}
