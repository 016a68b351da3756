//! Private MariaDB, Redis and nginx, through `scripts/services.sh`.
//!
//! MariaDB is shared by all tests of one run (each has a database of its own in
//! it), but for tests that break it; everything else belongs to one test.
//! Whatever happens to a test, a service ends with the process that it was
//! started for, and the next run removes what that left on the disk.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

use tempfile::TempDir;

use super::process::{self, Signal};

/// Which of the configurations in `nginx/` an nginx runs with.
#[derive(Debug, Clone, Copy)]
pub enum Variant<'a> {
    /// `nginx.conf`.
    Plain,
    /// `nginx-proxy-protocol.conf`: the servers are told of whom it is.
    ProxyProtocol,
    /// `nginx-hash.conf`: a client's address decides.
    Hash,
    /// The same by address and port.
    HashAddrPort,
    /// `nginx-tls.conf`, with PEM files.
    Tls {
        /// The certificate.
        certificate: &'a Path,
        /// Its private key.
        key: &'a Path,
    },
}

impl Variant<'_> {
    /// What `services.sh nginx-conf` is told.
    fn add_to(self, command: &mut Command) {
        match self {
            Variant::Plain => command.args(["--variant", "plain"]),
            Variant::ProxyProtocol => command.args(["--variant", "proxy-protocol"]),
            Variant::Hash => command.args(["--balance", "hash"]),
            Variant::HashAddrPort => command.args(["--balance", "hash-addr-port"]),
            Variant::Tls { certificate, key } => {
                command.args(["--variant", "tls", "--certificate"]).arg(certificate);
                command.arg("--key").arg(key)
            }
        };
    }
}

/// One running service. Dropping it ends the process.
pub struct Service {
    kind: &'static str,
    dir: TempDir,
    conf: Option<PathBuf>,
    pid: u32,
    port: u16,
}

impl Service {
    /// A MariaDB for one test that will break it.
    #[track_caller]
    pub fn mariadb() -> Service {
        Service::start("mariadb")
    }

    /// A MariaDB with options of its own, from a file as `my.cnf`.
    #[track_caller]
    pub fn mariadb_with(conf: &Path) -> Service {
        let dir = new_dir();
        let Started { pid, port } =
            launch("mariadb", dir.path(), None, Some(conf), std::process::id())
                .unwrap_or_else(|why| panic!("{why}"));
        Service { kind: "mariadb", dir, conf: Some(conf.to_owned()), pid, port }
    }

    /// A Redis.
    #[track_caller]
    pub fn redis() -> Service {
        Service::start("redis")
    }

    /// An nginx that balances over these servers.
    #[track_caller]
    pub fn nginx(servers: &[SocketAddr]) -> Service {
        Service::nginx_as(Variant::Plain, servers)
    }

    /// The same with another configuration than the plain one.
    #[track_caller]
    pub fn nginx_as(variant: Variant<'_>, servers: &[SocketAddr]) -> Service {
        let dir = new_dir();
        let conf = dir.path().join("nginx.conf");
        // Somebody else may take the port that was found free: then another.
        let mut last_failure = String::new();
        for _ in 0..5 {
            let port = free_port();
            let mut command = script();
            command
                .arg("nginx-conf")
                .args(["--listen", &port.to_string(), "--dir"])
                .arg(dir.path());
            variant.add_to(&mut command);
            let text = run(command.args(servers.iter().map(SocketAddr::to_string))).unwrap();
            std::fs::write(&conf, text).unwrap();
            match launch("nginx", dir.path(), None, Some(&conf), std::process::id()) {
                Ok(Started { pid, port }) => {
                    return Service { kind: "nginx", dir, conf: Some(conf), pid, port };
                }
                Err(why) => last_failure = why,
            }
        }
        panic!("{last_failure}");
    }

    #[track_caller]
    fn start(kind: &'static str) -> Service {
        let dir = new_dir();
        let Started { pid, port } = launch(kind, dir.path(), None, None, std::process::id())
            .unwrap_or_else(|why| panic!("{why}"));
        Service { kind, dir, conf: None, pid, port }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The configuration that an nginx runs with.
    #[track_caller]
    pub fn conf(&self) -> &Path {
        self.conf.as_deref().unwrap()
    }

    /// The URL of a Redis.
    pub fn redis_url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// A plain connection to a Redis, to look and to meddle.
    #[track_caller]
    pub fn redis_client(&self) -> redis::Connection {
        redis::Client::open(self.redis_url()).unwrap().get_connection().unwrap()
    }

    /// Ends it without a word; its data stays.
    #[track_caller]
    pub fn kill(&self) {
        process::signal(self.pid, Signal::Kill);
        super::wait::eventually("the killed service is gone", super::wait::SOON, || {
            !process::runs(self.pid)
        });
    }

    /// Freezes it: connections stay open, nothing answers.
    #[track_caller]
    pub fn freeze(&self) {
        process::signal(self.pid, Signal::Stop);
    }

    /// Lets it go on.
    #[track_caller]
    pub fn thaw(&self) {
        process::signal(self.pid, Signal::Cont);
    }

    /// nginx only: new workers, while the old ones serve the connections they
    /// have.
    #[track_caller]
    pub fn reload(&self) {
        run(script().arg("reload").arg(self.dir.path())).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Starts it again, after [`Service::kill`], on the same port with the
    /// same data.
    #[track_caller]
    pub fn restart(&mut self) {
        let started = launch(
            self.kind,
            self.dir.path(),
            Some(self.port),
            self.conf.as_deref(),
            std::process::id(),
        );
        self.pid = started.unwrap_or_else(|why| panic!("{why}")).pid;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Killed, not asked: nobody needs the data of a test that is over, and
        // a frozen process would not hear anything else. Only nginx is asked,
        // since its workers would outlive a killed master.
        let signal = if self.kind == "nginx" { Signal::Term } else { Signal::Kill };
        if process::runs(self.pid) {
            process::signal(self.pid, signal);
        }
    }
}

/// A database of its own for one test.
pub struct Database {
    name: String,
    server: SocketAddr,
    /// Whether it is dropped with the value. One in a MariaDB of the test's
    /// own is not: that may be frozen, and goes as a whole.
    in_shared: bool,
}

impl Database {
    /// A new one in the MariaDB that the run's tests share.
    #[track_caller]
    pub fn shared() -> Database {
        let mut database = Database::on(shared_mariadb());
        database.in_shared = true;
        database
    }

    /// A new one on this MariaDB. The ChatServer creates it when it starts.
    pub fn on(server: SocketAddr) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Database { name: format!("chat_{}_{number}", std::process::id()), server, in_shared: false }
    }

    /// What `--database` takes.
    pub fn url(&self) -> String {
        self.url_by_way_of(self.server)
    }

    /// The same for who reaches its MariaDB at another address.
    pub fn url_by_way_of(&self, server: SocketAddr) -> String {
        format!("mysql://root@{server}/{}", self.name)
    }

    /// A plain connection, to look and to meddle, once a ChatServer has
    /// created it.
    #[track_caller]
    pub fn connect(&self) -> mysql::Conn {
        mysql::Conn::new(self.options()).unwrap()
    }

    /// What [`Database::connect`] takes, for whoever does it later.
    pub fn options(&self) -> mysql::Opts {
        mysql::Opts::from_url(&self.url()).unwrap()
    }

    /// Its name in that MariaDB.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The MariaDB that it is in.
    pub fn server(&self) -> SocketAddr {
        self.server
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        use mysql::prelude::Queryable;
        if !self.in_shared {
            return;
        }
        let url = format!("mysql://root@{}", self.server);
        let dropped = mysql::Conn::new(url.as_str())
            .and_then(|mut c| c.query_drop(format!("DROP DATABASE IF EXISTS `{}`", self.name)));
        if let Err(e) = dropped {
            eprintln!("database {} is left behind: {e}", self.name);
        }
    }
}

/// A port where nothing listens just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The MariaDB of this run, started by whoever asks first. cargo-nextest runs
/// each test in a process of its own, so the processes of one run share it:
/// it lives in a folder named after the run's process and ends with that.
#[track_caller]
pub fn shared_mariadb() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| {
        let run = match std::env::var_os("NEXTEST") {
            Some(_) => std::os::unix::process::parent_id(),
            None => std::process::id(),
        };
        remove_old_folders();
        let dir = std::env::temp_dir().join(format!("{PREFIX}{run}-mariadb"));
        std::fs::create_dir_all(&dir).unwrap();
        let lock = File::create(dir.join("lock")).unwrap();
        lock.lock().unwrap();
        // Says where it is if it runs already.
        let started =
            launch("mariadb", &dir, None, None, run).unwrap_or_else(|why| panic!("{why}"));
        SocketAddr::from(([127, 0, 0, 1], started.port))
    })
}

/// A folder of the tests is called so, then by the process that it is for.
const PREFIX: &str = "chat-tests-";

/// Removes, once, the folders of processes that are gone: those that were
/// killed, and the shared databases of runs that are over.
fn remove_old_folders() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let owner = owner.and_then(|rest| rest.split('-').next()?.parse().ok());
            if owner.is_some_and(|owner| !process::runs(owner))
                && let Err(e) = std::fs::remove_dir_all(entry.path())
            {
                // Another process of this run may be removing it at this moment.
                eprintln!("{} stays: {e}", entry.path().display());
            }
        }
    });
}

struct Started {
    pid: u32,
    port: u16,
}

/// Starts a service that ends with the process `watch`; what went wrong, with
/// the script's own words, if it does not start.
fn launch(
    kind: &str,
    dir: &Path,
    port: Option<u16>,
    conf: Option<&Path>,
    watch: u32,
) -> Result<Started, String> {
    let mut command = script();
    command.args(["start", kind, "--watch", &watch.to_string(), "--dir"]).arg(dir);
    if let Some(port) = port {
        command.args(["--port", &port.to_string()]);
    }
    if let Some(conf) = conf {
        command.arg("--conf").arg(conf);
    }
    let output = run(&mut command)?;
    let number = |key: &str| {
        let line = output.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|value| value.parse::<u32>().ok()).ok_or(format!("no {key} in {output:?}"))
    };
    let port = u16::try_from(number("port=")?).map_err(|e| e.to_string())?;
    Ok(Started { pid: number("pid=")?, port })
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/services.sh"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{why}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// A folder that goes with its value, or after this process.
pub fn new_dir() -> TempDir {
    remove_old_folders();
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir().unwrap()
}
