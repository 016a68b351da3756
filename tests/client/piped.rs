//! ChatClient driven through pipes, as a script does it.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Far more than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A client that runs while the test talks to it.
pub struct Piped {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Where it remembers, unless the test has named a folder.
    _state_dir: Option<TempDir>,
    lines: Receiver<(Stream, String)>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// What a finished client left.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

impl Piped {
    /// Starts a client with these arguments, which remembers nothing of others.
    pub fn spawn(args: &[&str]) -> Piped {
        let state_dir = tempfile::tempdir().unwrap();
        let mut client = Piped::spawn_in(state_dir.path(), args);
        client._state_dir = Some(state_dir);
        client
    }

    /// Starts a client that remembers in this folder.
    pub fn spawn_in(state_dir: &Path, args: &[&str]) -> Piped {
        Piped::spawn_with(|command| {
            command.args(args).env("CHAT_STATE_DIR", state_dir);
        })
    }

    /// Starts a client as `set_up` says.
    pub fn spawn_with(set_up: impl FnOnce(&mut Command)) -> Piped {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ChatClient"));
        command.env("TZ", "UTC").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        set_up(&mut command);
        let mut child = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, Stream::Out, sender.clone());
        }
        forward(child.stderr.take().unwrap(), Stream::Err, sender);
        let stdin = child.stdin.take();
        let (stdout, stderr) = (Vec::new(), Vec::new());
        Piped { child, stdin, _state_dir: None, lines, stdout, stderr }
    }

    /// Starts a client at the menu.
    pub fn connect(port: u16) -> Piped {
        Piped::spawn(&["127.0.0.1", &port.to_string()])
    }

    /// Starts a client that registers `name`, whose number comes back, and
    /// logs in.
    pub fn register(port: u16, name: &str) -> (Piped, u32) {
        let mut client = Piped::connect(port);
        let id = client.enrol(name);
        (client, id)
    }

    /// Registers `name`, whose number comes back, and logs in.
    pub fn enrol(&mut self, name: &str) -> u32 {
        self.send(&format!("2\n{name}\npw of {name}\n1\n{name}\npw of {name}"));
        let welcome = self.wait_for(&format!("Welcome, {name}"));
        let id = welcome.split("you are user ").nth(1).unwrap().split('.').next().unwrap();
        id.parse().unwrap()
    }

    /// Starts a client that logs in as who was registered before.
    pub fn log_in(port: u16, name: &str) -> Piped {
        let mut client = Piped::connect(port);
        client.go_in(name);
        client
    }

    /// The same, for a client that has been started already.
    pub fn go_in(&mut self, name: &str) {
        self.send(&format!("1\n{name}\npw of {name}"));
        self.wait_for(&format!("Welcome, {name}"));
    }

    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// The next line, on either stream, that contains `part`.
    pub fn wait_for(&mut self, part: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            match self.next_line(until) {
                Some(line) if line.contains(part) => return line,
                Some(_) => {}
                None => panic!("no {part:?} in {:#?}\nnor {:#?}", self.stdout, self.stderr),
            }
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends the input; the client may go on for a while.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Ends the input and waits for the client to end.
    pub fn finish(mut self) -> Finished {
        self.stdin = None;
        let until = Instant::now() + DEADLINE;
        while self.next_line(until).is_some() {}
        assert!(Instant::now() < until, "it does not end: {:#?}", self.stdout);
        let code = self.child.wait().unwrap().code();
        let (stdout, stderr) = (self.stdout.split_off(0), self.stderr.split_off(0));
        Finished { code, stdout, stderr }
    }

    fn next_line(&mut self, until: Instant) -> Option<String> {
        let left = until.saturating_duration_since(Instant::now());
        let (stream, line) = self.lines.recv_timeout(left).ok()?;
        match stream {
            Stream::Out => self.stdout.push(line.clone()),
            Stream::Err => self.stderr.push(line.clone()),
        }
        Some(line)
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Finished {
    pub fn out(&self) -> String {
        self.stdout.join("\n")
    }

    pub fn err(&self) -> String {
        self.stderr.join("\n")
    }
}

/// Runs a whole script.
pub fn script(port: u16, text: &str) -> Finished {
    let mut client = Piped::connect(port);
    // A client that ends early does not read it all.
    client.stdin.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).ok();
    client.finish()
}

fn forward(stream: impl Read + Send + 'static, name: Stream, lines: Sender<(Stream, String)>) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            bytes.clear();
            if lines.send((name, line)).is_err() {
                return;
            }
        }
    });
}
