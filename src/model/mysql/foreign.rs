//! A database that another program made, only ever read.

use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Row, Value};

use super::connect::{DbConn, Target};
use super::{Attempt, MysqlOptions};
use crate::model::StoreError;
use crate::model::store::Result;

/// A large table may have to be read from the disk first.
const PATIENCE: Duration = Duration::from_secs(60);

/// A column's bytes as the database sends them; `None`: NULL.
pub type Column = Option<Vec<u8>>;

/// One consistent view of another program's database, from the moment at which
/// it was opened. Nothing can be written through it.
pub struct ForeignDatabase {
    target: Target,
    db: DbConn,
}

impl ForeignDatabase {
    /// Connects (one try). Texts come in this character set of MySQL's: a name
    /// that stands in the program, never what somebody typed.
    ///
    /// Errors: as [`super::MysqlStore::open`]'s.
    pub fn open(url: &str, character_set: &'static str) -> Result<ForeignDatabase> {
        let target = target(url)?;
        let begin = || -> Attempt<DbConn> {
            let mut db = target.connect()?;
            db.conn.query_drop(format!("SET NAMES {character_set}"))?;
            db.conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
            db.conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
            Ok(db)
        };
        let db = begin().map_err(|fault| target.explain(fault))?;
        Ok(ForeignDatabase { target, db })
    }

    /// Its tables, by their names.
    ///
    /// Errors: `Unavailable`, `Internal`.
    pub fn tables(&mut self) -> Result<Vec<String>> {
        tables(&mut self.db).map_err(|fault| self.target.explain(fault))
    }

    /// Whether a table has this column.
    ///
    /// Errors: `Unavailable`, `Internal`.
    pub fn has_column(&mut self, table: &str, column: &str) -> Result<bool> {
        let sql = "SELECT COUNT(*) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ?";
        let found = self.db.first::<(i64,)>(sql, (table, column));
        let found = found.map_err(|fault| self.target.explain(fault))?;
        Ok(found.is_some_and(|(count,)| count > 0))
    }

    /// Goes through all rows of a table of [`ForeignDatabase::tables`], in the
    /// order in which the database has them.
    ///
    /// Errors: `Unavailable`; `Misconfigured`, where a column is not there.
    pub fn each(
        &mut self,
        table: &str,
        columns: &'static str,
        mut take: impl FnMut(Vec<Column>),
    ) -> Result<()> {
        let table = table.replace('`', "``");
        let mut read = || -> Attempt<()> {
            for row in self.db.conn.query_iter(format!("SELECT {columns} FROM `{table}`"))? {
                take(bytes(row?));
            }
            Ok(())
        };
        read().map_err(|fault| {
            if fault.is_foreign_schema() {
                return StoreError::Misconfigured(format!(
                    "its table `{table}` has not the columns {columns}"
                ));
            }
            self.target.explain(fault)
        })
    }
}

/// The tables of a database, without changing anything; `None`: there is no
/// such database.
///
/// Errors: as [`super::MysqlStore::open`]'s.
pub fn tables_of(url: &str) -> Result<Option<Vec<String>>> {
    const UNKNOWN_DATABASE: Option<u16> = Some(1049);
    let target = target(url)?;
    match target.connect().and_then(|mut db| tables(&mut db)) {
        Ok(tables) => Ok(Some(tables)),
        Err(fault) if fault.code() == UNKNOWN_DATABASE => Ok(None),
        Err(fault) => Err(target.explain(fault)),
    }
}

fn target(url: &str) -> Result<Target> {
    Target::new(&MysqlOptions { read_timeout: PATIENCE, ..MysqlOptions::new(url) })
}

fn tables(db: &mut DbConn) -> Attempt<Vec<String>> {
    let sql = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
         WHERE table_schema = DATABASE()";
    Ok(db.rows::<(String,)>(sql, ())?.into_iter().map(|(name,)| name).collect())
}

fn bytes(row: Row) -> Vec<Column> {
    let to_bytes = |value| match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes),
        // The text protocol has none of the others.
        other => Some(other.as_sql(true).into_bytes()),
    };
    row.unwrap_raw().into_iter().map(|value| to_bytes(value.unwrap_or(Value::NULL))).collect()
}
