//! What the server is told: defaults, then the environment (`CHAT_*`), then
//! flags; checked once, here.

mod urls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::{ArgPredicate, BoolishValueParser};

pub use self::urls::{Database, NO_DATABASE, RedisUrl};
use crate::model::{Limit, Limits, OfflineSize};
use crate::net::TrustedProxies;

/// A clustered chat server. With no flags it keeps everything in an embedded
/// SQLite file; with --database mysql://… and --redis redis://… it is a member
/// of a cluster.
#[derive(Debug, Clone, Parser)]
#[command(name = "ChatServer", version, max_term_width = 100)]
pub struct Config {
    /// Address to listen on
    #[arg(
        value_name = "IP",
        required = false,
        required_unless_present = "import_from",
        conflicts_with = "import_from",
        default_value_if("import_from", ArgPredicate::IsPresent, "127.0.0.1")
    )]
    pub ip: IpAddr,

    /// Port to listen on; 0 lets the system choose one
    #[arg(
        value_name = "PORT",
        required = false,
        required_unless_present = "import_from",
        conflicts_with = "import_from",
        default_value_if("import_from", ArgPredicate::IsPresent, "0")
    )]
    pub port: u16,

    /// Sub-reactor threads [default: the number of cores]
    #[arg(long, env = "CHAT_REACTORS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub reactors: Option<u16>,

    /// Threads for requests that touch the database
    #[arg(long, env = "CHAT_WORKERS", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,

    /// Threads that hash passwords, some 30 ms of a core and 19 MiB for each
    /// login [default: the number of cores]
    #[arg(long, env = "CHAT_HASH_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub hash_threads: Option<u16>,

    /// Where everything is kept: sqlite:FILE or mysql://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(
        long,
        env = "CHAT_DATABASE",
        value_name = "URL",
        default_value = "sqlite:./data/chat.db",
        hide_env_values = true
    )]
    pub database: Database,

    /// A file with the password of MySQL, where the URL has none; the variable
    /// CHAT_DATABASE_PASSWORD can hold the password itself
    #[arg(long, env = "CHAT_DATABASE_PASSWORD_FILE", value_name = "FILE")]
    pub database_password_file: Option<PathBuf>,

    /// The Redis that carries messages between servers: redis://HOST:PORT
    /// [default: none, one server alone]
    #[arg(long, env = "CHAT_REDIS", value_name = "URL", hide_env_values = true)]
    pub redis: Option<RedisUrl>,

    /// A file with the password of Redis, where the URL has none; the variable
    /// CHAT_REDIS_PASSWORD can hold the password itself
    #[arg(long, env = "CHAT_REDIS_PASSWORD_FILE", value_name = "FILE")]
    pub redis_password_file: Option<PathBuf>,

    /// This server's name in the cluster, unlike any other's [default: IP:PORT]
    #[arg(long, env = "CHAT_SERVER_ID", value_name = "NAME", value_parser = server_id)]
    pub server_id: Option<String>,

    /// How long to wait at start for MySQL and Redis, in seconds
    #[arg(long, env = "CHAT_START_TIMEOUT", value_name = "S", default_value = "30", value_parser = seconds)]
    pub start_timeout: Duration,

    /// How long a stop may take to finish and flush, in seconds
    #[arg(long, env = "CHAT_STOP_TIMEOUT", value_name = "S", default_value = "10", value_parser = seconds)]
    pub stop_timeout: Duration,

    /// The longest frame that a client may send, in bytes
    #[arg(long, env = "CHAT_MAX_FRAME", value_name = "BYTES", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1024..=16_777_215))]
    pub max_frame: u32,

    /// How many bytes may wait for a client before it is closed as a slow reader;
    /// one larger frame does not count
    #[arg(long, env = "CHAT_MAX_OUTBOUND", value_name = "BYTES", default_value_t = 1_048_576, value_parser = clap::value_parser!(u32).range(4096..))]
    pub max_outbound: u32,

    /// How long a client of the bare dialect is given for each object before the
    /// next one is sent, in milliseconds
    #[arg(long, env = "CHAT_BARE_PACE_MS", value_name = "MS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub bare_pace_ms: u16,

    /// Close a client that was silent for so long, in seconds; one of the bare
    /// dialect only until it has logged in
    #[arg(long, env = "CHAT_IDLE_TIMEOUT", value_name = "S", default_value = "90", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// Close a client whose frame is not whole after so long, in seconds, and a
    /// second more for each 4 KiB of it that have come
    #[arg(long, env = "CHAT_FRAME_TIMEOUT", value_name = "S", default_value = "15", value_parser = seconds)]
    pub frame_timeout: Duration,

    /// Close a client whose socket took nothing for so long, in seconds
    #[arg(long, env = "CHAT_WRITE_TIMEOUT", value_name = "S", default_value = "10", value_parser = seconds)]
    pub write_timeout: Duration,

    /// Close a client that neither logs in nor asks for anything for so long, in seconds
    #[arg(long, env = "CHAT_LOGIN_TIMEOUT", value_name = "S", default_value = "60", value_parser = seconds)]
    pub login_timeout: Duration,

    /// How long a recipient may take for a message before it is stored; another
    /// server has 2 s more, in seconds
    #[arg(long, env = "CHAT_ACK_TIMEOUT", value_name = "S", default_value = "5", value_parser = seconds)]
    pub ack_timeout: Duration,

    /// Expect of every connection from --trusted-proxies that it begins with a
    /// PROXY header, version 1 or 2, which names the client
    #[arg(long, env = "CHAT_PROXY_PROTOCOL", value_parser = BoolishValueParser::new())]
    pub proxy_protocol: bool,

    /// With --proxy-protocol: addresses and networks of the proxies, with commas
    /// between them
    #[arg(
        long,
        env = "CHAT_TRUSTED_PROXIES",
        value_name = "LIST",
        default_value = "127.0.0.1,::1"
    )]
    pub trusted_proxies: TrustedProxies,

    /// How many messages may wait for the database; a sender who has as many there
    /// as there is room left for is told to slow down
    #[arg(long, env = "CHAT_OFFLINE_QUEUE", value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(1..))]
    pub offline_queue: u32,

    /// How many connections there may be; 0: any number
    #[arg(long, env = "CHAT_MAX_CONNECTIONS", value_name = "N", default_value_t = 20_000)]
    pub max_connections: u32,

    /// How many connections one address (of IPv6: one /64) may have; 0: any number
    #[arg(
        long,
        env = "CHAT_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        default_value_t = 4096
    )]
    pub max_connections_per_address: u32,

    /// On how many connections nobody need be logged in before one of them is
    /// closed; 0: any number
    #[arg(long, env = "CHAT_MAX_ANONYMOUS", value_name = "N", default_value_t = 4096)]
    pub max_anonymous: u32,

    /// How many bytes may wait in all connections' buffers together; the less is
    /// free the less each may hold; 0: any number
    #[arg(long, env = "CHAT_MAX_BUFFERS", value_name = "BYTES", default_value_t = 268_435_456)]
    pub max_buffers: u64,

    /// How many requests a second a connection may send; 0: as many as it likes
    #[arg(long, env = "CHAT_MESSAGE_RATE", value_name = "N", default_value_t = 20)]
    pub message_rate: u32,

    /// How many it may send at once
    #[arg(long, env = "CHAT_MESSAGE_BURST", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub message_burst: u32,

    /// How many more the connections of a reactor may send together, one of them a
    /// quarter of what is left; a tenth of it comes back every second
    #[arg(long, env = "CHAT_MESSAGE_SPARE", value_name = "N", default_value_t = 100_000)]
    pub message_spare: u32,

    /// How many wrong passwords for an account one address may send before each
    /// further try has to wait (1 s, doubled up to 300 s); 0: any number
    #[arg(long, env = "CHAT_LOGIN_FAILURES", value_name = "N", default_value_t = 10)]
    pub login_failures: u32,

    /// How many wrong passwords one address may send for all accounts; one comes
    /// back every 6 s; 0: any number
    #[arg(long, env = "CHAT_ADDRESS_LOGIN_FAILURES", value_name = "N", default_value_t = 100)]
    pub address_login_failures: u32,

    /// How many accounts one address may register in an hour; 0: any number
    #[arg(long, env = "CHAT_REGISTRATIONS", value_name = "N", default_value_t = 1000)]
    pub registrations: u32,

    /// How many missed messages may wait for one user, whose senders are then told
    /// so; 0: any number
    #[arg(long, env = "CHAT_MAX_OFFLINE", value_name = "N", default_value_t = 50_000)]
    pub max_offline: u32,

    /// How many bytes of text of missed messages may wait for one user; 0: any number
    #[arg(
        long,
        env = "CHAT_MAX_OFFLINE_BYTES",
        value_name = "BYTES",
        default_value_t = 67_108_864
    )]
    pub max_offline_bytes: u64,

    /// How long a missed message is kept, in days; 0: for ever
    #[arg(long, env = "CHAT_OFFLINE_AGE", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub offline_age: u32,

    /// How many friends one user may have; 0: any number
    #[arg(long, env = "CHAT_MAX_FRIENDS", value_name = "N", default_value_t = 1000)]
    pub max_friends: u32,

    /// How many groups one user may be in; 0: any number
    #[arg(long, env = "CHAT_MAX_GROUPS", value_name = "N", default_value_t = 100)]
    pub max_groups: u32,

    /// How many members one group may have; 0: any number
    #[arg(long, env = "CHAT_MAX_MEMBERS", value_name = "N", default_value_t = 1000)]
    pub max_members: u32,

    /// Serve nobody, but copy the tables of a C++ ChatServer into --database:
    /// mysql://USER:PASSWORD@HOST:PORT/DATABASE. Says what would be written, and
    /// writes nothing without --import-apply
    #[arg(long, env = "CHAT_IMPORT_FROM", value_name = "URL", hide_env_values = true)]
    pub import_from: Option<Database>,

    /// With --import-from: write it
    #[arg(long, env = "CHAT_IMPORT_APPLY", requires = "import_from", value_parser = BoolishValueParser::new())]
    pub import_apply: bool,

    /// With --import-apply: write it though a server runs on the target
    #[arg(long, env = "CHAT_IMPORT_FORCE", requires = "import_from", value_parser = BoolishValueParser::new())]
    pub import_force: bool,

    /// With --import-from: the character set in which the C++ server spoke to its
    /// database, that of its "set names"
    #[arg(
        long,
        env = "CHAT_IMPORT_CHARSET",
        value_name = "NAME",
        default_value = "utf8mb4",
        value_parser = IMPORT_CHARSETS
    )]
    pub import_charset: String,

    /// With --import-from: a file with the password, where the URL has none; the
    /// variable CHAT_IMPORT_PASSWORD can hold the password itself
    #[arg(long, env = "CHAT_IMPORT_PASSWORD_FILE", value_name = "FILE")]
    pub import_password_file: Option<PathBuf>,

    /// What is logged to standard error: error, warn, info, debug, or as RUST_LOG
    /// (info,account=debug)
    #[arg(long, env = "CHAT_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// What `--import-charset` takes, as MySQL names them.
pub const IMPORT_CHARSETS: [&str; 3] = ["utf8mb4", "gbk", "latin1"];

impl Config {
    /// The address to listen on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }

    /// Sub-reactor threads.
    pub fn reactors(&self) -> u16 {
        self.reactors.unwrap_or_else(cores)
    }

    /// Threads that hash passwords.
    pub fn hash_threads(&self) -> u16 {
        self.hash_threads.unwrap_or_else(cores)
    }

    /// How long a missed message is kept; `None`: for ever.
    pub fn offline_age(&self) -> Option<Duration> {
        (self.offline_age > 0).then(|| Duration::from_secs(86_400 * u64::from(self.offline_age)))
    }

    /// How much may wait for one recipient of missed messages.
    pub fn max_offline(&self) -> OfflineSize {
        let rows = if self.max_offline == 0 { u32::MAX } else { self.max_offline };
        let bytes = if self.max_offline_bytes == 0 { u64::MAX } else { self.max_offline_bytes };
        OfflineSize { rows, bytes }
    }

    /// How many friends, groups and members there may be.
    pub fn limits(&self) -> Limits {
        Limits {
            friends: Limit(self.max_friends),
            groups: Limit(self.max_groups),
            members: Limit(self.max_members),
        }
    }

    /// Checks what the flags mean together.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub fn check(&self) -> Result<(), String> {
        if self.database == Database::Unknown {
            return Err(NO_DATABASE.into());
        }
        if self.import_from.as_ref().is_some_and(|from| !matches!(from, Database::Mysql(_))) {
            return Err("--import-from names no database of a C++ ChatServer: write \
                        mysql://USER@HOST:PORT/DATABASE"
                .into());
        }
        let on_mysql = matches!(self.database, Database::Mysql(_));
        if self.redis.is_some() && !on_mysql {
            return Err("--redis makes this server a member of a cluster, which needs a database \
                        that all members share: add --database mysql://USER:PASSWORD@HOST:PORT/DATABASE"
                .into());
        }
        if self.ip.is_unspecified() && self.server_id.is_none() && on_mysql {
            return Err(format!(
                "{} is no address that tells this server from others: give it a name with \
                 --server-id NAME",
                self.ip
            ));
        }
        Ok(())
    }
}

fn cores() -> u16 {
    std::thread::available_parallelism().map_or(1, |n| u16::try_from(n.get()).unwrap_or(1024))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write a number of seconds".to_owned())?;
    // A year is as good as for ever, and every sum with it stays in range.
    if !(0.001..=31_536_000.0).contains(&seconds) {
        return Err("write a number of seconds from 0.001 to 31536000".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn server_id(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 64 printable ASCII characters without spaces".into())
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
