//! Passwords of MySQL and Redis from the environment or a file: they work,
//! whatever characters they have, and are seen nowhere.

use std::path::PathBuf;
use std::process::Command;

use mysql::prelude::Queryable;

use crate::support::door::Door;
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services::{Database, Service};

/// Everything that has a meaning in a URL, a shell or SQL.
const PASSWORD: &str = "p@ss:w/o%41r#d?x=1&y +'\"\\é ";
/// A piece of it that is the same in every spelling.
const PIECE: &str = "hunter2";

/// Whose password is [`password`]: an account of a database, and a Redis.
struct Guarded {
    database: Database,
    redis: Service,
    account: String,
}

fn password() -> String {
    format!("{PASSWORD}{PIECE}")
}

impl Guarded {
    #[track_caller]
    fn new(account: &str) -> Guarded {
        let database = Database::shared();
        let url = database.url();
        let (_, name) = url.rsplit_once('/').unwrap();
        let account = format!("{account}_{}", std::process::id());
        let mut root =
            mysql::Conn::new(format!("mysql://root@{}", database.server()).as_str()).unwrap();
        let quoted = password().replace('\\', "\\\\").replace('\'', "\\'");
        for sql in [
            format!("CREATE OR REPLACE USER '{account}'@'%' IDENTIFIED BY '{quoted}'"),
            format!("GRANT ALL ON `{name}`.* TO '{account}'@'%'"),
        ] {
            root.query_drop(sql).unwrap();
        }
        let redis = Service::redis();
        let mut admin = redis.redis_client();
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("requirepass")
            .arg(password())
            .exec(&mut admin)
            .unwrap();
        Guarded { database, redis, account }
    }

    fn plan(&self) -> ServerPlan {
        let url = self.database.url().replace("root@", &format!("{}@", self.account));
        ServerPlan::new()
            .flag("--database", url)
            .flag("--redis", self.redis.redis_url())
            .flag("--start-timeout", 5)
    }
}

/// A file with this in it, in the server's folder.
fn file(plan: &ServerPlan, name: &str, text: &str) -> PathBuf {
    let path = plan.dir().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[track_caller]
fn expect_secret(server: &TestServer) {
    server.enter("bob");
    for (what, text) in [("log", server.log()), ("command line", server.command_line())] {
        assert!(!text.contains(PIECE), "the password is in the {what}: {text}");
        assert!(!text.contains("can read"), "nothing to warn of: {text}");
    }
    assert!(server.log().contains("TRACE"), "everything is logged");
}

#[test]
fn passwords_come_from_the_environment() {
    let guarded = Guarded::new("by_variable");
    let server = guarded
        .plan()
        .environment("CHAT_DATABASE_PASSWORD", password())
        .environment("CHAT_REDIS_PASSWORD", password())
        .flag("--log", "trace")
        .start();
    expect_secret(&server);
}

#[test]
fn passwords_come_from_files() {
    let guarded = Guarded::new("by_file");
    let plan = guarded.plan();
    let database = file(&plan, "database", &format!("{}\n", password()));
    let redis = file(&plan, "redis", &password());
    let server = plan
        .flag("--database-password-file", database.display())
        .environment("CHAT_REDIS_PASSWORD_FILE", redis.display())
        .flag("--log", "trace")
        .start();
    expect_secret(&server);
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let guarded = Guarded::new("wrong");
    let wrong = format!("not it {PIECE}");
    for (database, redis) in [(wrong.clone(), password()), (password(), wrong)] {
        let refusal = guarded
            .plan()
            .environment("CHAT_DATABASE_PASSWORD", database)
            .environment("CHAT_REDIS_PASSWORD", redis)
            .flag("--log", "trace")
            .start_in_vain();
        assert_eq!(refusal.code, Some(2), "{refusal:?}");
        assert!(!refusal.stderr.contains(PIECE), "{refusal:?}");
    }
}

#[test]
fn a_password_that_cannot_be_meant_is_refused_with_2() {
    let url = "mysql://chat@127.0.0.1:1/chat";
    let with_password = "mysql://chat:hunter2@127.0.0.1:1/chat";
    let plan = || ServerPlan::new().flag("--start-timeout", 1);
    let folder = plan();
    let empty = file(&folder, "empty", "\n");
    let variable = "CHAT_DATABASE_PASSWORD";
    let flag = "--database-password-file";
    for (plan, named) in [
        (plan().flag("--database", with_password).environment(variable, "x"), "given twice"),
        (plan().flag("--database", url).flag(flag, "f").environment(variable, "x"), "given twice"),
        (plan().flag("--database", url).flag(flag, "/no/such/file"), "/no/such/file"),
        (plan().flag("--database", url).flag(flag, "/"), "the file /:"),
        (plan().flag("--database", url).flag(flag, empty.display()), "it is empty"),
        (
            plan().flag("--database", url).environment(variable, ""),
            "CHAT_DATABASE_PASSWORD is empty",
        ),
        (plan().flag("--database", "mysql://h/chat").environment(variable, "x"), "no user"),
        (plan().environment(variable, "x"), "SQLite"),
        (plan().flag("--database", url).environment("CHAT_REDIS_PASSWORD", "x"), "no Redis"),
    ] {
        let refusal = plan.start_in_vain();
        assert_eq!(refusal.code, Some(2), "{named}: {refusal:?}");
        let line = refusal.stderr.lines().find(|line| line.starts_with("ChatServer: "));
        assert!(line.is_some_and(|line| line.contains(named)), "{named}: {refusal:?}");
        assert!(!refusal.stderr.contains("hunter2"), "{refusal:?}");
    }
}

#[test]
fn a_password_on_the_command_line_is_warned_of() {
    let url = "mysql://chat:hunter2@127.0.0.1:1/chat";
    let plan = || ServerPlan::new().flag("--start-timeout", 1);
    let shown = plan().flag("--database", url).start_in_vain();
    assert!(shown.stderr.contains("--database holds a password"), "{shown:?}");
    assert!(!shown.stderr.contains("hunter2"), "{shown:?}");
    let hidden = plan().environment("CHAT_DATABASE", url).start_in_vain();
    assert!(!hidden.stderr.contains("holds a password"), "{hidden:?}");
}

#[test]
fn help_shows_no_password() {
    let output = Command::new(env!("CARGO_BIN_EXE_ChatServer"))
        .arg("--help")
        .env("CHAT_DATABASE", "mysql://chat:hunter2@h/chat")
        .env("CHAT_DATABASE_PASSWORD", "hunter2")
        .env("CHAT_REDIS", "redis://:hunter2@h")
        .env("CHAT_REDIS_PASSWORD", "hunter2")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("CHAT_DATABASE_PASSWORD") && !help.contains("hunter2"), "{help}");
}
