//! Getting a connection: the URL, the addresses behind a host's name, the
//! settings of each session, and errors that say what to do.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, DriverError, Error, Opts, OptsBuilder, UrlError, Value, from_value_opt};

use super::MysqlOptions;
use super::fault::{Fault, io_kind};
use super::tls::{self, Tls};
use crate::model::StoreError;

/// What every session sets. Strict: a text that does not fit is an error, not
/// cut. READ COMMITTED: no gap locks, so fewer deadlocks; no method reads the
/// same thing twice.
const SESSION: [&str; 2] = [
    "SET NAMES utf8mb4, autocommit = 1, \
     sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
];

/// The server takes TLS only, and the connection has none.
const SECURE_TRANSPORT_REQUIRED: u16 = 3159;

/// The shortest time that is left to one address of a host with several.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_millis(200);

/// Statements that a connection keeps prepared: more than all there are.
const PREPARED_STATEMENTS: usize = 256;

/// Where and how to connect: a checked URL with the time-outs.
#[derive(Clone)]
pub(super) struct Target {
    opts: Opts,
    tls: Tls,
    database: String,
    connect_timeout: Duration,
    lock_wait_seconds: u64,
}

/// A session with MySQL, settings applied.
pub(super) struct DbConn {
    pub conn: Conn,
    /// The largest packet that the server takes, in bytes.
    pub max_packet_bytes: usize,
}

impl Target {
    /// Errors: `Misconfigured`.
    pub(super) fn new(options: &MysqlOptions) -> Result<Target, StoreError> {
        let (opts, tls) = parse_url(&options.url)?;
        let Some(database) = opts.get_db_name().filter(|name| !name.is_empty()) else {
            return Err(StoreError::Misconfigured(format!(
                "the database URL names no database: write it at the end, as in {}/chat",
                describe_url(&options.url)
            )));
        };
        let database = database.to_owned();
        let opts = OptsBuilder::from_opts(opts)
            .read_timeout(Some(options.read_timeout))
            .write_timeout(Some(options.write_timeout))
            // The driver would otherwise look for a Unix socket behind every
            // loopback connection, and connect twice.
            .prefer_socket(false)
            .ssl_opts(tls.options())
            .stmt_cache_size(Some(PREPARED_STATEMENTS));
        Ok(Target {
            opts: opts.into(),
            tls,
            database,
            connect_timeout: options.connect_timeout,
            // A lock time-out has to come before the socket's: the former is
            // tried again, the latter costs the connection.
            lock_wait_seconds: options.read_timeout.as_secs().saturating_sub(1).max(1),
        })
    }

    /// The name of the database in the URL.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// This target with other patience for answers.
    pub(super) fn with_read_timeout(&self, timeout: Duration) -> Target {
        let opts = OptsBuilder::from_opts(self.opts.clone()).read_timeout(Some(timeout));
        Target { opts: opts.into(), ..self.clone() }
    }

    /// This target without its database, to create that.
    pub(super) fn without_database(&self) -> Target {
        let opts = OptsBuilder::from_opts(self.opts.clone()).db_name(None::<String>);
        Target { opts: opts.into(), ..self.clone() }
    }

    /// Connects and sets the session up.
    pub(super) fn connect(&self) -> Result<DbConn, Fault> {
        let mut conn = self.connect_any()?;
        for statement in SESSION {
            conn.query_drop(statement)?;
        }
        // A number of our own, not a parameter: SET takes none everywhere.
        conn.query_drop(format!("SET innodb_lock_wait_timeout = {}", self.lock_wait_seconds))?;
        let max_packet_bytes = conn
            .query_first::<Value, _>("SELECT @@max_allowed_packet")?
            .and_then(|value| from_value_opt::<usize>(value).ok())
            .ok_or(Error::DriverError(DriverError::SetupError))?;
        Ok(DbConn { conn, max_packet_bytes })
    }

    /// Tries every address of the host in turn. The driver stops at the first
    /// one, so that `localhost` fails where only 127.0.0.1 is listened on and
    /// ::1 comes first.
    fn connect_any(&self) -> Result<Conn, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let by_name = self.opts.get_socket().is_some() || self.tls.checks_name();
        if by_name {
            // TLS may check the name, a Unix socket has no address.
            return self.connect_one(None, self.connect_timeout);
        }
        let mut outcome = Err(DriverError::CouldNotConnect(None).into());
        for address in resolve(&self.opts)? {
            let left = deadline.saturating_duration_since(Instant::now());
            outcome = self.connect_one(Some(address), left.max(MIN_CONNECT_TIMEOUT));
            if !matches!(outcome, Err(Error::DriverError(_))) {
                break;
            }
        }
        outcome
    }

    fn connect_one(&self, address: Option<SocketAddr>, timeout: Duration) -> Result<Conn, Error> {
        let mut opts = OptsBuilder::from_opts(self.opts.clone()).tcp_connect_timeout(Some(timeout));
        if let Some(address) = address {
            opts = opts.ip_or_hostname(Some(host_text(&address)));
        }
        Conn::new(opts)
    }

    /// Says of a failed attempt to connect what was wrong and what to do.
    /// Never holds the password: the server's texts do not.
    pub(super) fn explain(&self, fault: Fault) -> StoreError {
        let place = place(&self.opts);
        let user = self.opts.get_user().unwrap_or_default();
        let database = &self.database;
        match (&fault, fault.code()) {
            (_, Some(SECURE_TRANSPORT_REQUIRED)) => StoreError::Misconfigured(format!(
                "MySQL at {place} takes only connections with TLS: add ssl-mode=required (or \
                 verify-ca or verify-identity) to the parameters of the database URL"
            )),
            (Fault::Driver(Error::DriverError(DriverError::TlsNotSupported)), _) => {
                StoreError::Misconfigured(format!(
                    "MySQL at {place} offers no TLS: give it a certificate, or take ssl-mode out \
                     of the database URL"
                ))
            }
            (Fault::Driver(error), None) if is_distrust(error) => {
                StoreError::Misconfigured(format!(
                    "the certificate of MySQL at {place} is not accepted ({error}): check the CA \
                     that ssl-ca names in the database URL, and that the host there is one of the \
                     certificate's names (ssl-mode=verify-ca does not ask for that)"
                ))
            }
            // MariaDB says the same of a connection that ought to have TLS.
            (_, Some(1045 | 1698)) if !self.tls.is_on() => StoreError::Misconfigured(format!(
                "MySQL at {place} denied access to the user '{user}': check the user and the \
                 password in the database URL; if it takes only connections with TLS, add \
                 ssl-mode=required to the URL's parameters"
            )),
            (_, Some(1045 | 1698)) => StoreError::Misconfigured(format!(
                "MySQL at {place} denied access to the user '{user}': check the user and the \
                 password in the database URL"
            )),
            (_, Some(1044)) => StoreError::Misconfigured(format!(
                "MySQL at {place} does not let the user '{user}' use or create the database \
                 '{database}': create it and grant the rights (GRANT ALL ON `{database}`.* TO …)"
            )),
            (_, Some(1049)) => StoreError::Misconfigured(format!(
                "MySQL at {place} has no database '{database}': create it (CREATE DATABASE \
                 `{database}`), or correct the name in the database URL"
            )),
            (Fault::Driver(error), None) => match io_kind(error) {
                Some(std::io::ErrorKind::ConnectionRefused) => StoreError::Unavailable(format!(
                    "nothing listens at {place} (connection refused): start MySQL, or correct \
                     the host and port in the database URL"
                )),
                Some(std::io::ErrorKind::NotFound) => StoreError::Unavailable(format!(
                    "there is no MySQL socket at {place}: start MySQL, or correct the URL"
                )),
                _ if is_unknown_host(error) => StoreError::Unavailable(format!(
                    "the host of MySQL at {place} is not known ({}): correct it in the database \
                     URL, or check the name service",
                    resolver_text(error)
                )),
                _ if fault.is_time_out() => StoreError::Unavailable(format!(
                    "MySQL at {place} did not answer in time: check that it runs and that no \
                     firewall is between"
                )),
                _ => fault.into_store_error(),
            },
            _ => fault.into_store_error(),
        }
    }
}

/// A database URL for people to read: user, host, port and database, never
/// the password or a parameter.
pub fn describe_url(url: &str) -> String {
    match parse_url(url) {
        Ok((opts, _)) => {
            let user = opts.get_user().map(|user| format!("{user}@")).unwrap_or_default();
            let database = opts.get_db_name().map(|name| format!("/{name}")).unwrap_or_default();
            format!("mysql://{user}{}{database}", place(&opts))
        }
        Err(_) => "mysql://(not readable)".to_owned(),
    }
}

/// Errors: `Misconfigured`, without any part of the URL that may be secret.
fn parse_url(url: &str) -> Result<(Opts, Tls), StoreError> {
    let complain = |what: &str| {
        Err(StoreError::Misconfigured(format!(
            "the database URL is not valid ({what}): it has the form \
             mysql://user:password@host:port/database, with special characters of the password \
             as %XX"
        )))
    };
    // A raw '/', '#' or '?' in the password moves the '@' out of its place:
    // what looks like the host or a parameter would be a piece of it.
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if url.contains('@') && !authority.contains('@') {
        return complain("there is an @, but not between the password and the host");
    }
    let (url, tls) = match tls::split_off(url) {
        Ok(parts) => parts,
        Err(what) => return complain(&what),
    };
    match Opts::from_url(&url) {
        Ok(opts) => Ok((opts, tls)),
        Err(UrlError::UnsupportedScheme(_)) => complain("it must start with mysql://"),
        Err(UrlError::UnknownParameter(name)) => complain(&format!("unknown parameter {name:?}")),
        Err(UrlError::InvalidValue(name, _)) => {
            complain(&format!("the value of parameter {name:?}"))
        }
        Err(UrlError::FeatureRequired(_, name)) => {
            complain(&format!("parameter {name:?} is not supported"))
        }
        Err(_) => complain("its parts cannot be told apart"),
    }
}

/// Whether TLS did not accept the server's certificate. The driver hides the
/// cause behind an input/output error; only its words tell.
fn is_distrust(error: &Error) -> bool {
    error.to_string().contains("invalid peer certificate")
}

/// `host:port`, or the path of the Unix socket.
fn place(opts: &Opts) -> String {
    match opts.get_socket() {
        Some(socket) => socket.to_owned(),
        None => format!("{}:{}", opts.get_ip_or_hostname(), opts.get_tcp_port()),
    }
}

fn host_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}

/// Marks an error of the name service, since the kind of one says nothing.
const RESOLVER: &str = "name service";

fn resolve(opts: &Opts) -> Result<Vec<SocketAddr>, Error> {
    let host = opts.get_ip_or_hostname();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let unknown = |text: String, kind| {
        Error::DriverError(DriverError::CouldNotConnect(Some((RESOLVER.to_owned(), text, kind))))
    };
    let addresses: Vec<_> = (host, opts.get_tcp_port())
        .to_socket_addrs()
        .map_err(|error| unknown(error.to_string(), std::io::ErrorKind::HostUnreachable))?
        .collect();
    if addresses.is_empty() {
        return Err(unknown("no address".to_owned(), std::io::ErrorKind::HostUnreachable));
    }
    Ok(addresses)
}

fn is_unknown_host(error: &Error) -> bool {
    matches!(error, Error::DriverError(DriverError::CouldNotConnect(Some((by, _, _)))) if by == RESOLVER)
}

fn resolver_text(error: &Error) -> &str {
    match error {
        Error::DriverError(DriverError::CouldNotConnect(Some((_, text, _)))) => text,
        _ => "",
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
