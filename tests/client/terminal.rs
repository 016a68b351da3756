//! ChatClient on a pseudo-terminal, and a person's eyes and hands.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use expectrl::Session;
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use tempfile::TempDir;

use crate::piped::DEADLINE;
use crate::screen::Screen;

const COLUMNS: u16 = 100;

pub struct Terminal {
    session: OsSession,
    /// Where the client remembers.
    _state_dir: TempDir,
    output: Receiver<Vec<u8>>,
    /// Everything that ever was written to the terminal.
    pub written: Vec<u8>,
    pub screen: Screen,
}

impl Terminal {
    pub fn connect(port: u16) -> Terminal {
        Terminal::connect_as(port, "xterm-256color")
    }

    /// On a terminal of this kind.
    pub fn connect_as(port: u16, kind: &str) -> Terminal {
        Terminal::open(port, kind, COLUMNS)
    }

    /// On a terminal of this kind and width.
    pub fn open(port: u16, kind: &str, columns: u16) -> Terminal {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ChatClient"));
        let _state_dir = tempfile::tempdir().unwrap();
        command.args(["127.0.0.1", &port.to_string()]).env("TERM", kind).env("TZ", "UTC");
        command.env("CHAT_STATE_DIR", _state_dir.path());
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(columns, 50).unwrap();
        // As on any terminal: what hides a password is the client.
        session.get_process_mut().set_echo(true, None).unwrap();
        let stream = session.get_stream().as_fd().try_clone_to_owned().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let (mut stream, mut buffer) = (File::from(stream), [0; 4096]);
            // The end of the process is an error (EIO) on its terminal.
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = Screen::new(usize::from(columns));
        Terminal { session, _state_dir, output, written: Vec::new(), screen }
    }

    /// Logs in through the menu.
    pub fn log_in(port: u16, name: &str) -> Terminal {
        let mut terminal = Terminal::connect(port);
        terminal.go_in(name);
        terminal
    }

    /// The same, on a terminal that is open already.
    pub fn go_in(&mut self, name: &str) {
        self.wait_cursor_after("choice: ");
        self.type_text("1\r");
        self.wait_cursor_after("id or name: ");
        self.type_text(&format!("{name}\r"));
        self.wait_cursor_after("password: ");
        self.type_text(&format!("pw of {name}\r"));
        self.wait_cursor_after(&format!("{name}> "));
        self.wait_line(&format!("Welcome, {name}"));
    }

    pub fn type_text(&mut self, text: &str) {
        self.session.write_all(text.as_bytes()).unwrap();
        self.session.flush().unwrap();
    }

    /// Waits until some line of the screen contains `part`; returns the line.
    pub fn wait_line(&mut self, part: &str) -> String {
        self.wait(part, |screen| screen.lines().into_iter().find(|line| line.contains(part)))
    }

    /// Waits until the cursor stands right after `text`, which is all there
    /// is on its line before it.
    pub fn wait_cursor_after(&mut self, text: &str) {
        self.wait(text, |screen| (screen.before_cursor() == text).then_some(()));
    }

    pub fn wait<T>(&mut self, what: &str, look: impl Fn(&Screen) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look(&self.screen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!("no {what:?} on the screen:\n{}", self.text()),
            }
        }
    }

    /// Waits for the client to end; its exit status.
    pub fn finish(&mut self) -> i32 {
        let until = Instant::now() + DEADLINE;
        while let Ok(bytes) =
            self.output.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.take(&bytes);
        }
        assert!(Instant::now() < until, "it does not end:\n{}", self.text());
        match self.session.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        self.screen.lines().join("\n")
    }

    /// Everything that ever was written, as text.
    pub fn everything(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        self.screen.feed(bytes);
    }
}
