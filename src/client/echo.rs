//! Turning a terminal's echo off while a password is typed, where no line
//! editor does it: terminals called dumb, and output that goes to a file.

use std::io;
use std::process::{Command, Stdio};

/// No echo until this is dropped.
pub struct EchoOff(());

impl EchoOff {
    /// Turns the echo of standard input's terminal off.
    ///
    /// # Errors
    /// Where `stty` cannot be run or refuses.
    pub fn new() -> io::Result<EchoOff> {
        stty("-echo").map(EchoOff)
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Err(e) = stty("echo") {
            log::error!(target: "client", "the terminal's echo is still off: err={e}");
        }
    }
}

fn stty(setting: &str) -> io::Result<()> {
    let mut command = Command::new("stty");
    command.arg(setting).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("stty {setting}: {status}"))),
    }
}
