//! One ChatServer process, started as a user would start it.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::door::Door;
use super::process::{self, Signal};
use super::services;
use super::wait::eventually_some;

/// How long a server may take until it serves.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// How long a server may take to end once asked.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// How much of a failed server's log is shown.
const LOG_LINES_SHOWN: usize = 60;

/// How to start a server. The working folder is a fresh one, which is where
/// the embedded database goes.
#[derive(Clone)]
pub struct ServerPlan {
    ip: String,
    port: u16,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    descriptors: Option<u32>,
    dir: Arc<TempDir>,
}

impl ServerPlan {
    /// Port 0, the embedded database, no flags.
    pub fn new() -> ServerPlan {
        let dir = Arc::new(services::new_dir());
        ServerPlan {
            ip: "127.0.0.1".into(),
            port: 0,
            flags: Vec::new(),
            environment: Vec::new(),
            descriptors: None,
            dir,
        }
    }

    /// Adds a flag with its value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl ToString) -> ServerPlan {
        self.flags.extend([name.to_owned(), value.to_string()]);
        self
    }

    /// Adds a flag that has no value.
    #[must_use]
    pub fn switch(mut self, name: &str) -> ServerPlan {
        self.flags.push(name.to_owned());
        self
    }

    /// Starts it with this in its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl ToString) -> ServerPlan {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Lets it have no more open files and sockets than this.
    #[must_use]
    pub fn descriptors(mut self, count: u32) -> ServerPlan {
        self.descriptors = Some(count);
        self
    }

    /// The working folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Listens on this address instead.
    #[must_use]
    pub fn ip(mut self, ip: &str) -> ServerPlan {
        self.ip = ip.to_owned();
        self
    }

    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn start(self) -> TestServer {
        let (child, stdout) = self.spawn();
        let mut server = TestServer { plan: self, child, address: ([0, 0, 0, 0], 0).into() };
        server.await_ready(stdout);
        server
    }

    /// Starts it where it must refuse to: waits until it has ended by itself.
    #[track_caller]
    pub fn start_in_vain(self) -> Refusal {
        let begun = Instant::now();
        let (child, _stdout) = self.spawn();
        let mut server = TestServer { plan: self, child, address: ([0, 0, 0, 0], 0).into() };
        let code = server.wait_exit().code();
        Refusal { code, stderr: server.log(), took: begun.elapsed() }
    }

    /// Starts the process; the lines of its standard output come on a channel.
    #[track_caller]
    fn spawn(&self) -> (Child, mpsc::Receiver<String>) {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let program = env!("CARGO_BIN_EXE_ChatServer");
        let mut command = match self.descriptors {
            None => Command::new(program),
            Some(count) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\""), program]);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHAT_") {
                command.env_remove(name);
            }
        }
        command
            .args([&self.ip, &self.port.to_string()])
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, received) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        (child, received)
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }
}

/// What a server that did not start left.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to standard error.
    pub stderr: String,
    /// From its start to its end.
    pub took: Duration,
}

/// A running server. Dropping it kills the process.
pub struct TestServer {
    plan: ServerPlan,
    child: Child,
    address: SocketAddr,
}

impl TestServer {
    /// A server with nothing configured.
    #[track_caller]
    pub fn start() -> TestServer {
        ServerPlan::new().start()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How it was started: for another one in the same folder.
    pub fn plan(&self) -> ServerPlan {
        self.plan.clone()
    }

    /// Its command line, as every user of the machine can read it.
    pub fn command_line(&self) -> String {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.child.id())).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    /// The memory that it holds (VmRSS), in KiB.
    #[track_caller]
    pub fn memory_kib(&self) -> u64 {
        process::memory_kib(self.child.id())
    }

    /// The memory that it has asked for, touched or not (VmSize), in KiB.
    #[track_caller]
    pub fn address_space_kib(&self) -> u64 {
        process::address_space_kib(self.child.id())
    }

    /// The file of the embedded database.
    pub fn sqlite_file(&self) -> PathBuf {
        self.plan.dir().join("data/chat.db")
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        process::signal(self.child.id(), signal);
    }

    /// Asks it to stop (SIGTERM) and returns its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::Term);
        self.wait_exit().code()
    }

    /// Ctrl+C; returns its exit code.
    #[track_caller]
    pub fn interrupt(&mut self) -> Option<i32> {
        self.signal(Signal::Int);
        self.wait_exit().code()
    }

    /// kill -9, as a power cut would end it.
    #[track_caller]
    pub fn kill9(&mut self) {
        self.signal(Signal::Kill);
        self.wait_exit();
    }

    /// Starts it again on the same port, and so under the same id.
    #[track_caller]
    pub fn restart(&mut self) {
        self.plan.port = self.address.port();
        let (child, stdout) = self.plan.spawn();
        self.child = child;
        self.await_ready(stdout);
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        eventually_some("the server ends", STOP_DEADLINE, || self.child.try_wait().unwrap())
    }

    /// Everything it wrote to standard error.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.plan.log_path()).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits for the one line that says where it listens.
    #[track_caller]
    fn await_ready(&mut self, stdout: mpsc::Receiver<String>) {
        let line = stdout
            .recv_timeout(START_DEADLINE)
            .unwrap_or_else(|e| panic!("the server does not say that it serves: {e}"));
        let address = line.strip_prefix("listening on ").and_then(|a| a.parse().ok());
        self.address = address.unwrap_or_else(|| panic!("unexpected first line: {line}"));
    }

    fn show_log(&self) {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        eprintln!("---- log of the server on {}, its end", self.address);
        for line in &lines[from..] {
            eprintln!("{line}");
        }
    }
}

impl Door for TestServer {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill or wait for.
        if let Err(e) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("cannot end the server on {}: {e}", self.address);
        }
        if std::thread::panicking() {
            self.show_log();
        }
    }
}
