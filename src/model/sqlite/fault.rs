//! What went wrong in a call to SQLite, and what the caller is told.

use rusqlite::{Error, ErrorCode, ffi};

use crate::model::StoreError;

/// Why a piece of work on a connection ended early.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule said no, or a value does not fit.
    Store(StoreError),
    /// SQLite said no.
    Sqlite(Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl Fault {
    /// A unique column (not the primary key) refused a row.
    pub(super) fn is_name_taken(&self) -> bool {
        match self {
            Fault::Sqlite(Error::SqliteFailure(failure, _)) => {
                failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE
            }
            _ => false,
        }
    }

    /// A unique column, the primary key too, refused a row.
    pub(super) fn is_taken(&self) -> bool {
        let primary = |failure: &ffi::Error| {
            failure.extended_code == ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                || failure.extended_code == ffi::SQLITE_CONSTRAINT_ROWID
        };
        self.is_name_taken()
            || matches!(self, Fault::Sqlite(Error::SqliteFailure(failure, _)) if primary(failure))
    }

    /// The file holds something else than a database.
    pub(super) fn is_no_database(&self) -> bool {
        matches!(self, Fault::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase))
    }

    /// What the caller of the store is told.
    pub(super) fn into_store_error(self) -> StoreError {
        let error = match self {
            Fault::Store(error) => return error,
            Fault::Sqlite(error) => error,
        };
        let passing = matches!(
            error.sqlite_error_code(),
            // A tool that holds the file, a full or failing disk.
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
            )
        );
        let text = error.to_string();
        if passing { StoreError::Unavailable(text) } else { StoreError::Internal(text) }
    }
}
