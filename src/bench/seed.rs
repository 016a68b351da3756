//! Accounts written straight into a database: a run with tens of thousands of
//! people need not wait minutes until a server has hashed their passwords.
//!
//! MySQL is written through the server's own [`Store`]. SQLite would wait for
//! the disk with each of its transactions, half a minute and more for ten
//! thousand people: there the store makes the tables and holds the lock, and
//! the rows go in many at a time. They are those that a server writes; only the
//! hash is one for all.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::BenchError;
use super::modes::progress;
use super::people::{self, HANDS, Person};
use crate::config::{Database, NO_DATABASE};
use crate::model::mysql::{MysqlOptions, MysqlStore};
use crate::model::sqlite::SqliteStore;
use crate::model::{Store, StoreError, TOKEN_LIFETIME, UserId};
use crate::service::password::Passwords;
use crate::service::token::Token;

/// Accounts in one transaction of SQLite.
const AT_ONCE: usize = 1_000;

/// What `ChatBench seed` is told.
#[derive(Debug, Clone, Args)]
pub struct SeedOptions {
    /// Where the accounts go: sqlite:FILE (its server must be stopped) or
    /// mysql://USER:PASSWORD@HOST:PORT/DATABASE (its servers may run)
    #[arg(long, value_name = "URL")]
    pub database: Database,
    /// How many accounts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub people: u32,
    /// The new file with their numbers, names, password and tokens, for the
    /// --accounts of the loads
    #[arg(long, value_name = "FILE")]
    pub accounts: PathBuf,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Writes the accounts.
///
/// # Errors
/// The database or the file could not be written.
pub fn run(options: &SeedOptions) -> Result<bool, BenchError> {
    if !people::read(&options.accounts)?.is_empty() {
        return Err(BenchError(format!(
            "{} has accounts already, perhaps of another database: remove it, or name another file",
            options.accounts.display()
        )));
    }
    let begun = Instant::now();
    // A file that cannot be written is told before the work.
    people::write(&options.accounts, &[])?;
    let count = options.people as usize;
    let bar = progress("seeding", count as u64);
    let seeded = match &options.database {
        Database::Sqlite(path) => into_sqlite(path, &Draft::new()?, count, &|| bar.inc(1)),
        Database::Mysql(url) => into_mysql(url, &Draft::new()?, count, &|| bar.inc(1)),
        Database::Unknown => Err(BenchError(NO_DATABASE.into())),
    }?;
    bar.finish_and_clear();
    people::write(&options.accounts, &seeded)?;
    let seconds = begun.elapsed().as_secs_f64();
    if options.json {
        println!("{}", json!({"mode": "seed", "people": count, "seconds": seconds, "fault": null}));
    } else {
        println!(
            "seed: {count} accounts in {seconds:.1} s, kept in {}",
            options.accounts.display()
        );
    }
    Ok(true)
}

/// What all accounts of a run have in common.
struct Draft {
    /// Names are unique in the database, and other runs have been there.
    run: u64,
    password: String,
    hash: String,
}

impl Draft {
    fn new() -> Result<Draft, BenchError> {
        let password = format!("{:016x}", people::random());
        let hash = Passwords::default().hash(&password).map_err(BenchError)?;
        Ok(Draft { run: people::random(), password, hash })
    }

    fn name(&self, number: usize) -> String {
        format!("bench {:08x} {number}", self.run)
    }

    fn person(&self, number: usize, id: UserId, token: &Token) -> Person {
        Person {
            id: id.0,
            name: self.name(number),
            password: self.password.clone(),
            token: Some(token.text().to_owned()),
        }
    }
}

fn into_mysql(
    url: &str,
    draft: &Draft,
    count: usize,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Person>, BenchError> {
    let options = MysqlOptions { pool_size: HANDS, ..MysqlOptions::new(url) };
    let store = MysqlStore::open(options)?;
    people::in_parallel(count, |number| {
        let id = store.create_user(&draft.name(number), &draft.hash)?;
        let token = Token::random();
        store.add_token(id, &token.hash(), None)?;
        done();
        Ok(draft.person(number, id, &token))
    })
}

fn into_sqlite(
    path: &Path,
    draft: &Draft,
    count: usize,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Person>, BenchError> {
    let _lock = SqliteStore::open(path)?;
    let write = || -> rusqlite::Result<Vec<Person>> {
        let mut conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut seeded = Vec::with_capacity(count);
        while seeded.len() < count {
            let transaction = conn.transaction()?;
            for number in seeded.len()..count.min(seeded.len() + AT_ONCE) {
                let sql = "INSERT INTO User (name, password) VALUES (?1, ?2) RETURNING id";
                let mut user = transaction.prepare_cached(sql)?;
                let id = user.query_row((draft.name(number), &draft.hash), |row| row.get(0))?;
                let token = Token::random();
                let sql = "INSERT INTO LoginToken (userid, hash, expires) \
                     VALUES (?1, ?2, unixepoch() + ?3)";
                let lifetime = TOKEN_LIFETIME.as_secs() as i64;
                transaction.prepare_cached(sql)?.execute((id, token.hash().0, lifetime))?;
                seeded.push(draft.person(number, UserId(id), &token));
                done();
            }
            transaction.commit()?;
        }
        Ok(seeded)
    };
    write().map_err(|e| BenchError(format!("{} cannot be written: {e}", path.display())))
}

impl From<StoreError> for BenchError {
    fn from(error: StoreError) -> BenchError {
        BenchError(error.to_string())
    }
}
