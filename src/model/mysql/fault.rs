//! What went wrong in a call to MySQL, and what that means: try the
//! transaction again, give the connection up, open the circuit, or tell the
//! caller.

use std::error::Error as _;
use std::io;

use mysql::{DriverError, Error};

use crate::model::StoreError;

/// A lock was not to be had within `innodb_lock_wait_timeout`.
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const DEADLOCK: u16 = 1213;
const DUPLICATE_KEY: u16 = 1062;
const NO_SUCH_TABLE: u16 = 1146;
const NO_SUCH_COLUMN: u16 = 1054;
/// Too many connections (of all, of one user), shutting down, killed,
/// interrupted, read-only for a while, a full disk or table: the same call
/// may well succeed later.
const PASSING: [u16; 14] =
    [1021, 1040, 1053, 1114, 1203, 1226, 1290, 1317, 1792, 1836, 1927, 2006, 2013, 3024];
/// Access denied, to the account or to the database. At opening this is a
/// misconfiguration; while running somebody changed the rights, and the same
/// call succeeds once they are given back.
const DENIED: [u16; 4] = [1044, 1045, 1049, 1698];

/// Why a piece of work on a connection ended early.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule said no, or a value does not fit: the connection is fine.
    Store(StoreError),
    /// The driver or the server said no.
    Driver(Error),
    /// Some rows of a statement were there already: see `offline::apply`.
    Mixed,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Driver(error)
    }
}

impl Fault {
    /// The server's error number, if it was the server that said no.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Fault::Driver(Error::MySqlError(error)) => Some(error.code),
            _ => None,
        }
    }

    /// Two transactions got in each other's way; the whole one may be tried
    /// again after a rollback.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.code(), Some(DEADLOCK | LOCK_WAIT_TIMEOUT)) || self.is_mixed()
    }

    /// Some rows of a statement were there already.
    pub(super) fn is_mixed(&self) -> bool {
        matches!(self, Fault::Mixed)
    }

    /// A unique key other than the primary one refused a row. The primary one
    /// refuses when the numbers have run out.
    pub(super) fn is_name_taken(&self) -> bool {
        match self {
            Fault::Driver(Error::MySqlError(error)) => {
                error.code == DUPLICATE_KEY && !error.message.ends_with("PRIMARY'")
            }
            _ => false,
        }
    }

    /// A unique key, the primary one too, refused a row.
    pub(super) fn is_taken(&self) -> bool {
        self.code() == Some(DUPLICATE_KEY)
    }

    /// A table is not there.
    pub(super) fn is_no_such_table(&self) -> bool {
        self.code() == Some(NO_SUCH_TABLE)
    }

    /// A table or a column is not there.
    pub(super) fn is_foreign_schema(&self) -> bool {
        matches!(self.code(), Some(NO_SUCH_TABLE | NO_SUCH_COLUMN))
    }

    /// The connection may hold half an answer or be gone: never use it again.
    /// (One that the server closed after an error of its own is found by the
    /// ping at the next checkout.)
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Fault::Store(_) | Fault::Mixed => false,
            Fault::Driver(error) => !matches!(error, Error::MySqlError(_) | Error::FromRowError(_)),
        }
    }

    /// Nothing came in time, or no way leads there: the next caller would
    /// wait as long. A refused connection is no time-out, it costs nothing.
    pub(super) fn is_time_out(&self) -> bool {
        let Fault::Driver(error) = self else { return false };
        matches!(error, Error::DriverError(DriverError::ConnectTimeout))
            || io_kind(error).is_some_and(|kind| {
                matches!(
                    kind,
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::HostUnreachable
                        | io::ErrorKind::NetworkUnreachable
                )
            })
    }

    /// What the caller of the store is told.
    pub(super) fn into_store_error(self) -> StoreError {
        let timed_out = self.is_time_out();
        let error = match self {
            Fault::Store(error) => return error,
            Fault::Driver(error) => error,
            Fault::Mixed => {
                let text = "another server stores the same messages at this moment";
                return StoreError::Unavailable(text.to_owned());
            }
        };
        if timed_out {
            return StoreError::Unavailable("it did not answer in time".to_owned());
        }
        match error {
            Error::MySqlError(error) => {
                let text = format!("error {}: {}", error.code, error.message);
                let passing = matches!(error.code, DEADLOCK | LOCK_WAIT_TIMEOUT)
                    || PASSING.contains(&error.code)
                    || DENIED.contains(&error.code);
                if passing { StoreError::Unavailable(text) } else { StoreError::Internal(text) }
            }
            // The row itself is not shown: it may hold a message.
            Error::FromRowError(_) | Error::FromValueError(_) => {
                StoreError::Internal("a column holds a value of an unexpected type".to_owned())
            }
            Error::UrlError(_) => StoreError::Internal("the database URL is not valid".to_owned()),
            error => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// The kind of the input/output error inside, wherever the driver keeps it.
pub(super) fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    match error {
        Error::IoError(error) => Some(error.kind()),
        Error::DriverError(DriverError::CouldNotConnect(Some((_, _, kind)))) => Some(*kind),
        Error::CodecError(error) => {
            error.source()?.downcast_ref::<io::Error>().map(io::Error::kind)
        }
        _ => None,
    }
}
