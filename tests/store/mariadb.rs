//! A private MariaDB on a free loopback port, gone when its owner is.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use cluster_chat::model::mysql::MysqlOptions;
use mysql::prelude::Queryable;

/// From its start until it takes connections, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub struct MariaDb {
    pub port: u16,
    pid: u32,
    /// While this is open the shell below leaves the database alone. It
    /// closes with this process, however that ends.
    alive: Option<ChildStdin>,
    shell: Child,
    databases: AtomicUsize,
}

/// Runs mariadbd until our end of its standard input closes, then kills it
/// (stopped or not) and takes its files away.
const SHELL: &str = r#"
dir=$1; shift
mariadbd "$@" </dev/null & pid=$!
echo "pid $pid" >&2
read -r _
exec 2>/dev/null # nobody listens any more: to complain would end the shell
kill -9 $pid; wait $pid; rm -rf "$dir"
"#;

impl MariaDb {
    /// The one that all tests of this process share.
    pub fn shared() -> &'static MariaDb {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(MariaDb::start)
    }

    /// One for a test that stops or kills it.
    pub fn start() -> MariaDb {
        (0..5).find_map(|_| MariaDb::try_start(free_port())).expect("MariaDB starts")
    }

    /// `None`: somebody else took the port meanwhile.
    fn try_start(port: u16) -> Option<MariaDb> {
        let dir = tempfile::tempdir().unwrap().keep();
        let data = dir.join("data");
        let copied = Command::new("cp").arg("-r").arg(template()).arg(&data).status().unwrap();
        assert!(copied.success(), "cp of the empty database failed");
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .arg(&dir)
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
            .args(["--skip-name-resolve", "--performance-schema=OFF"])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", dir.join("s.sock").display()))
            .arg(format!("--pid-file={}", dir.join("pid").display()))
            .arg(format!("--port={port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let alive = shell.stdin.take();
        let log = BufReader::new(shell.stderr.take().unwrap());
        let (said, heard) = mpsc::channel();
        // Reads on to the end, so that mariadbd never waits for its log.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    continue;
                }
            }
        });
        let mut pid = None;
        let ready = loop {
            let line = heard.recv_timeout(START_TIMEOUT).expect("MariaDB starts in time");
            match line.strip_prefix("pid ") {
                Some(number) => pid = number.parse().ok(),
                None if line.contains("ready for connections") => break true,
                None if line.contains("Aborting") => break false,
                None => {}
            }
        };
        let pid = pid.expect("the shell tells the pid first");
        let server = MariaDb { port, pid, alive, shell, databases: AtomicUsize::new(0) };
        ready.then_some(server)
    }

    /// The URL of a database that does not exist yet, another one each time.
    pub fn fresh_url(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.url(&format!("chat_{number}"))
    }

    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    pub fn fresh_options(&self) -> MysqlOptions {
        MysqlOptions::new(self.fresh_url())
    }

    /// A connection of the test's own, to look and to interfere.
    pub fn connect(&self, url: &str) -> mysql::Conn {
        let opts = mysql::OptsBuilder::from_opts(mysql::Opts::from_url(url).unwrap());
        mysql::Conn::new(opts.prefer_socket(false)).unwrap()
    }

    /// Runs one statement as root, outside of any database.
    pub fn admin(&self, sql: &str) {
        self.connect(&self.url("mysql")).query_drop(sql).unwrap();
    }

    /// Stops the process in its tracks: it keeps its port and says nothing.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.pid.to_string()]).status().unwrap();
        assert!(status.success(), "kill {signal} {}", self.pid);
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        drop(self.alive.take());
        self.shell.wait().unwrap();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An empty database's files, made once and copied ever after.
fn template() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(home).unwrap();
    let lock = std::fs::File::create(home.join("mariadb-template.lock")).unwrap();
    lock.lock().unwrap();
    let ready = home.join("mariadb-template");
    if !ready.exists() {
        let made = tempfile::tempdir_in(home).unwrap();
        let output = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--user=root", "--skip-test-db"])
            .args(["--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"])
            .arg(format!("--datadir={}", made.path().join("data").display()))
            .output()
            .expect("mariadb-server is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(made.path().join("data"), &ready).unwrap();
    }
    ready
}
