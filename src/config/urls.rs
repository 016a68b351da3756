//! Where the database and Redis are, as flags say it.

use std::path::PathBuf;

/// What is said of a `--database` that is [`Database::Unknown`].
pub const NO_DATABASE: &str =
    "--database names no database: write sqlite:FILE or mysql://USER@HOST:PORT/DATABASE";

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// An embedded file, for one server.
    Sqlite(PathBuf),
    /// MySQL or MariaDB; the URL may hold a password.
    Mysql(String),
    /// Neither. Refused by [`super::Config::check`], which does not repeat it: it may
    /// hold a password.
    Unknown,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Database::Mysql(_) => f.write_str("mysql://…"),
            Database::Unknown => f.write_str("(neither sqlite: nor mysql:)"),
        }
    }
}

impl std::str::FromStr for Database {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Database, Self::Err> {
        if text.starts_with("mysql://") {
            return Ok(Database::Mysql(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite:").filter(|path| !path.is_empty());
        Ok(path.map_or(Database::Unknown, |path| Database::Sqlite(path.into())))
    }
}

/// Where Redis is; the URL may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(pub String);

impl std::fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("redis://…")
    }
}

impl std::str::FromStr for RedisUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<RedisUrl, String> {
        if text.is_empty() {
            return Err("write redis://HOST:PORT, or leave it out".into());
        }
        Ok(RedisUrl(text.to_owned()))
    }
}
