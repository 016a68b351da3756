//! Runs the importer, as an operator does, and a server on what it has made.

use std::process::Command;

use crate::old::Old;
use crate::support::client::TestClient;
use crate::support::door::{Door, Person};
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services::Database;

/// Where to.
pub enum Into {
    Sqlite,
    Mysql(Database),
}

/// A target, and the folder in which programs run.
pub struct Target {
    into: Into,
    plan: ServerPlan,
}

/// What an import said.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Target {
    pub fn sqlite() -> Target {
        Target { into: Into::Sqlite, plan: ServerPlan::new() }
    }

    #[track_caller]
    pub fn mysql() -> Target {
        Target { into: Into::Mysql(Database::shared()), plan: ServerPlan::new() }
    }

    /// Both kinds, neither of them there yet.
    #[track_caller]
    pub fn both() -> [Target; 2] {
        [Target::sqlite(), Target::mysql()]
    }

    /// What `--database` takes.
    pub fn url(&self) -> String {
        match &self.into {
            Into::Sqlite => "sqlite:data/chat.db".to_owned(),
            Into::Mysql(database) => database.url(),
        }
    }

    /// SQLite's file.
    pub fn file(&self) -> std::path::PathBuf {
        self.plan.dir().join("data/chat.db")
    }

    /// Whether anything was made there.
    #[track_caller]
    pub fn exists(&self) -> bool {
        use mysql::prelude::Queryable;
        match &self.into {
            Into::Sqlite => self.plan.dir().join("data").exists(),
            Into::Mysql(database) => {
                let server = format!("mysql://root@{}", database.server());
                let mut conn = mysql::Conn::new(server.as_str()).unwrap();
                let names: Vec<String> = conn.query("SHOW DATABASES").unwrap();
                names.iter().any(|name| name == database.name())
            }
        }
    }

    /// Says what would be imported.
    #[track_caller]
    pub fn dry_run(&self, old: &Old) -> Outcome {
        self.import(&old.url(), &[])
    }

    /// Imports.
    #[track_caller]
    pub fn apply(&self, old: &Old) -> Outcome {
        self.import(&old.url(), &["--import-apply"])
    }

    /// Runs the importer with these flags, too.
    #[track_caller]
    pub fn import(&self, from: &str, flags: &[&str]) -> Outcome {
        let database = self.url();
        self.run(&[&["--import-from", from, "--database", &database], flags].concat(), &[])
    }

    /// Runs it with nothing but these flags and this in its environment.
    #[track_caller]
    pub fn run(&self, flags: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ChatServer"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHAT_") {
                command.env_remove(name);
            }
        }
        let output = command
            .args(flags)
            .envs(environment.iter().copied())
            .current_dir(self.plan.dir())
            .output()
            .unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A server on it.
    #[track_caller]
    pub fn serve(&self) -> TestServer {
        self.plan.clone().flag("--database", self.url()).start()
    }
}

impl Outcome {
    /// It did what was asked.
    #[track_caller]
    pub fn done(self) -> Outcome {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// It refused, with this exit code and these words.
    #[track_caller]
    pub fn refused(self, code: i32, words: &str) -> Outcome {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.stderr.lines().find(|line| line.starts_with("ChatServer: "));
        assert!(line.is_some_and(|line| line.contains(words)), "{words}: {self:?}");
        self
    }

    /// Old rows, new ones and those that are there already.
    #[track_caller]
    pub fn counts(&self, of: &str) -> [u64; 3] {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(of)).unwrap();
        let counts: Vec<u64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        counts.try_into().unwrap()
    }

    /// How often an oddity was found.
    #[track_caller]
    pub fn oddities(&self, about: &str) -> u64 {
        let line = self.stdout.lines().find(|line| line.contains(about));
        let line = line.unwrap_or_else(|| panic!("nothing of {about:?}: {}", self.stdout));
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

/// Somebody of the old database.
pub fn person(id: i64, name: &str, password: &str) -> Person {
    Person { id, name: name.to_owned(), password: password.to_owned() }
}

/// Logs in with the old password.
#[track_caller]
pub fn log_in(server: &TestServer, id: i64, name: &str, password: &str) -> TestClient {
    let client = server.login(&person(id, name, password));
    assert_eq!(client.welcome()["name"], name);
    client
}
