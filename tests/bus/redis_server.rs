//! A private Redis on a free port, killed when dropped.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub struct RedisServer {
    dir: TempDir,
    port: u16,
    password: Option<String>,
    running: Option<Running>,
}

struct Running {
    process: Child,
    /// Kept open, so that Redis can go on logging.
    log: BufReader<ChildStdout>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; it is gone after this either way.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    pub fn start_with(password: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Somebody may take the free port before Redis does.
        for _ in 0..10 {
            let port = free_port();
            if let Ok(running) = launch(&dir, port, password) {
                let password = password.map(str::to_owned);
                return Self { dir, port, password, running: Some(running) };
            }
        }
        panic!("redis-server finds no port");
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A plain connection, to look and to meddle.
    pub fn client(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Ends Redis without warning.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        let running = launch(&self.dir, self.port, self.password.as_deref());
        self.running = Some(running.expect("the port is still free"));
    }

    /// Stops the process: its kernel goes on accepting, it answers nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.running.as_ref().expect("Redis runs").process.id();
        let sent = Command::new("kill").arg(signal).arg(pid.to_string()).status().unwrap();
        assert!(sent.success());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts Redis and waits until it says that it is ready. The error is what
/// it said instead.
fn launch(dir: &TempDir, port: u16, password: Option<&str>) -> Result<Running, String> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.arg("--dir").arg(dir.path());
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    let mut process = command.stdout(Stdio::piped()).spawn().expect("redis-server is installed");
    let log = BufReader::new(process.stdout.take().expect("it was piped"));
    let mut running = Running { process, log };
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if running.log.read_line(&mut line).unwrap() == 0 {
            return Err(said);
        }
        if line.contains("Ready to accept connections") {
            return Ok(running);
        }
        said.push_str(&line);
    }
}
