//! A real ChatServer on a port of its own, with a database of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

/// Ends with the test.
pub struct Server {
    child: Child,
    folder: Arc<TempDir>,
    pub port: u16,
}

impl Server {
    pub fn start() -> Server {
        Server::start_in(Arc::new(TempDir::new().unwrap()))
    }

    /// Kills this server and starts its successor on the same database; its
    /// port is another one.
    pub fn restart(&mut self) {
        let folder = Arc::clone(&self.folder);
        self.kill();
        *self = Server::start_in(folder);
    }

    fn start_in(folder: Arc<TempDir>) -> Server {
        let database = format!("sqlite:{}", folder.path().join("chat.db").display());
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.path().join("server.log"))
            .unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ChatServer"))
            .args(["127.0.0.1", "0", "--database", &database])
            // The same name after a restart, although the port is new.
            .args(["--server-id", "server-of-this-test"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port: {line:?} {}", log_of(folder.path())));
        Server { child, folder, port }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- server log\n{}", log_of(self.folder.path()));
        }
    }
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("server.log")).unwrap_or_default()
}
