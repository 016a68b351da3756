//! Moving from a C++ ChatServer: its tables into this program's database.
//!
//! ```text
//! old (ForeignDatabase: one snapshot, read only) ─▶ plan (names, messages)
//!     ─▶ target: less what is there; a conflict ends it ─▶ report
//!     ─▶ apply, if asked for: hashes, then one transaction
//! ```
//!
//! Runs instead of a server, on the main thread; the hashes on a few of their
//! own. The plan is made in memory, so that nothing is written before all of it
//! is known.

mod apply;
mod messages;
mod names;
mod oddity;
mod old;
mod plan;
#[cfg(test)]
mod plan_tests;
mod report;
mod servers;
mod target;

use std::io::{self, Write};

use log::info;

use self::oddity::Oddities;
use self::old::Old;
use self::plan::{Bounds, Plan};
use self::report::Report;
use crate::config::{Config, Database, IMPORT_CHARSETS};
use crate::model::StoreError;
use crate::model::mysql::{ForeignDatabase, describe_url};

/// Why an import ended early.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The flags, or what they name, do not fit; exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A database was not to be reached; exit code 3.
    #[error("{0}")]
    Unreachable(String),
    /// It failed on the way; exit code 1.
    #[error("the import failed: {0}")]
    Failed(String),
}

impl ImportError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            ImportError::Failed(_) => 1,
            ImportError::Usage(_) => 2,
            ImportError::Unreachable(_) => 3,
        }
    }
}

impl From<StoreError> for ImportError {
    fn from(err: StoreError) -> ImportError {
        match err {
            StoreError::Unavailable(_) => ImportError::Unreachable(err.to_string()),
            StoreError::Misconfigured(_) | StoreError::InUse(_) => {
                ImportError::Usage(err.to_string())
            }
            other => ImportError::Failed(other.to_string()),
        }
    }
}

/// Imports, or says what would be imported.
///
/// # Errors
/// [`ImportError`] says what was wrong and what to do; nothing was written.
pub fn run(config: &Config) -> Result<(), ImportError> {
    config.check().map_err(ImportError::Usage)?;
    let config =
        config.with_passwords(|variable| std::env::var_os(variable)).map_err(ImportError::Usage)?;
    let Some(Database::Mysql(url)) = &config.import_from else {
        return Err(ImportError::Usage("--import-from names no database".into()));
    };
    let mut oddities = Oddities::default();
    let old = read(url, &config.import_charset)?;
    let target = target::open(&config.database, config.import_apply)?;
    let counts = old.counts();
    let bounds = Bounds { limits: config.limits(), offline: config.max_offline() };
    let names = target.names()?;
    let mut plan = Plan::make(old, &names, &bounds, &mut oddities);
    let subtracted = target.subtract(&mut plan, &names);
    let (there, again) = *subtracted.as_ref().unwrap_or(&Default::default());
    let report = Report {
        from: describe_url(url),
        into: match &config.database {
            Database::Mysql(url) => describe_url(url),
            other => format!("{other:?}"),
        },
        old: counts,
        there,
        again,
        new: &plan,
        charset: &config.import_charset,
        oddities: &oddities,
    };
    // A conflict is told after all else that is to be seen to.
    print(|out| report.write(out))?;
    subtracted?;
    let Some(store) = target.store().filter(|_| config.import_apply) else {
        if let Some(server) = target.server()? {
            print(|out| writeln!(out, "\n{}", beside(&server)))?;
        }
        return print(|out| writeln!(out, "\nNothing was written. To write it: --import-apply"));
    };
    let alone = || match target.server()?.filter(|_| !config.import_force) {
        Some(server) => Err(ImportError::Usage(format!(
            "nothing was written: {} (or import all the same, with --import-force)",
            beside(&server)
        ))),
        None => Ok(()),
    };
    alone()?;
    apply::apply(&plan, store, usize::from(config.hash_threads()), alone)?;
    print(|out| writeln!(out, "\nAll of it is written."))
}

fn beside(server: &str) -> String {
    format!(
        "the ChatServer {server} runs on the target and would not hear of new members, friends \
         and messages: stop it first"
    )
}

fn read(url: &str, charset: &str) -> Result<Old, ImportError> {
    let place = describe_url(url);
    let named = |err: StoreError| match err {
        StoreError::Misconfigured(text) => {
            ImportError::Usage(format!("--import-from {place}: {text}"))
        }
        StoreError::Unavailable(text) => {
            ImportError::Unreachable(format!("--import-from {place}: {text}"))
        }
        other => ImportError::Failed(format!("--import-from {place}: {other}")),
    };
    let charset = IMPORT_CHARSETS.into_iter().find(|known| *known == charset);
    let charset = charset.ok_or_else(|| ImportError::Usage("no such --import-charset".into()))?;
    info!(target: "import", "reading {place}");
    let mut database = ForeignDatabase::open(url, charset).map_err(named)?;
    Old::read(&mut database).map_err(named)
}

fn print(text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), ImportError> {
    let mut out = io::stdout().lock();
    text(&mut out)
        .and_then(|()| out.flush())
        .map_err(|err| ImportError::Failed(format!("the report cannot be written: {err}")))
}
