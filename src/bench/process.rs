//! What the measured processes cost: processor time and memory, as the kernel
//! counts them (`proc(5)`).

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

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
