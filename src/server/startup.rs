//! The parts that can be missing at start: the address, the database, Redis.
//! Each failure says which, where and what to do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};
use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::bus::Bus;
use crate::bus::local::LocalBus;
use crate::bus::redis::{RedisBus, RedisError, RedisOptions};
use crate::config::{Config, Database, NO_DATABASE};
use crate::model::mysql::{MysqlOptions, MysqlStore, describe_url};
use crate::model::sqlite::SqliteStore;
use crate::model::{Store, StoreError};

/// Connections that the system keeps for the acceptor.
const LISTEN_BACKLOG: i32 = 1024;
/// The first pause before a service is tried again; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Database connections beside those of workers and password threads: the
/// offline writers' (two), the releaser's, the claims thread's, and one to spare.
const OTHER_CONNECTIONS: usize = 5;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The flags or what they name are wrong; exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A needed service was not to be reached; exit code 3.
    #[error("{0}")]
    Unreachable(String),
    /// The operating system refused; exit code 1.
    #[error("the system refused a thread, a poll or a signal handler: {0}")]
    System(io::Error),
}

impl StartError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            StartError::System(_) => 1,
            StartError::Usage(_) => 2,
            StartError::Unreachable(_) => 3,
        }
    }

    pub(super) fn from_store(err: StoreError) -> StartError {
        match err {
            StoreError::Unavailable(_) => StartError::Unreachable(err.to_string()),
            other => StartError::Usage(other.to_string()),
        }
    }
}

/// Takes the address, without accepting on it yet: what connects before the
/// server is ready is refused rather than left waiting.
pub(super) fn bind(address: SocketAddr) -> Result<Socket, StartError> {
    let bound = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of a former server that linger must not keep it away.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    bound().map_err(|err| cannot_listen(address, &err))
}

/// The address that was taken, its port chosen by the system if it was 0.
pub(super) fn local_address(socket: &Socket) -> Result<SocketAddr, StartError> {
    let address = socket.local_addr().map_err(StartError::System)?;
    address.as_socket().ok_or_else(|| StartError::Usage("no IP address to listen on".into()))
}

/// Listens: from now on connections are accepted.
pub(super) fn listen(socket: Socket) -> io::Result<TcpListener> {
    socket.listen(LISTEN_BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn cannot_listen(address: SocketAddr, err: &io::Error) -> StartError {
    let what_to_do = match err.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        io::ErrorKind::PermissionDenied => {
            "this user may not listen there: ports below 1024 need root"
        }
        _ => "choose another address or port",
    };
    StartError::Usage(format!("cannot listen on {address}: {err}; {what_to_do}"))
}

/// Opens the database, waiting for it up to the deadline.
pub(super) fn open_store(config: &Config, deadline: Instant) -> Result<Arc<dyn Store>, StartError> {
    match &config.database {
        Database::Unknown => Err(StartError::Usage(NO_DATABASE.into())),
        Database::Sqlite(path) => {
            let store = SqliteStore::open(path).map_err(StartError::from_store)?;
            info!(target: "store", "everything is kept in {}", path.display());
            Ok(Arc::new(store))
        }
        Database::Mysql(url) => {
            let threads = usize::from(config.workers) + usize::from(config.hash_threads());
            let options = MysqlOptions {
                pool_size: threads + OTHER_CONNECTIONS,
                ..MysqlOptions::new(url.as_str())
            };
            let is_away = |err: &StoreError| matches!(err, StoreError::Unavailable(_));
            let store = retry(deadline, is_away, || MysqlStore::open(options.clone()))
                .map_err(StartError::from_store)?;
            info!(target: "store", "everything is kept in {}", describe_url(url));
            Ok(Arc::new(store))
        }
    }
}

/// Connects to Redis, waiting for it up to the deadline, or opens the bus of
/// a server alone.
pub(super) fn open_bus(
    config: &Config,
    id: &str,
    deadline: Instant,
) -> Result<Arc<dyn Bus>, StartError> {
    let Some(url) = &config.redis else { return Ok(Arc::new(LocalBus::new())) };
    let options = RedisOptions::new(url.0.as_str(), id);
    let bus = retry(deadline, RedisError::is_retryable, || RedisBus::connect(options.clone()));
    match bus {
        Ok(bus) => Ok(Arc::new(bus)),
        Err(err) if err.is_retryable() => Err(StartError::Unreachable(err.to_string())),
        Err(err) => Err(StartError::Usage(err.to_string())),
    }
}

/// Tries until it works, until trying again is no use, or until the deadline.
/// The first failure is logged: whoever watches knows what is waited for.
fn retry<T, E: std::fmt::Display>(
    deadline: Instant,
    is_away: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut pause = FIRST_PAUSE;
    let mut waiting = false;
    loop {
        match attempt() {
            Err(err) if is_away(&err) && Instant::now() + pause < deadline => {
                if !std::mem::replace(&mut waiting, true) {
                    let left = deadline.saturating_duration_since(Instant::now());
                    warn!(target: "server", "waiting up to {} s: {err}", left.as_secs_f32().ceil());
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}
