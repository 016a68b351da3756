//! What only SQLite has to cope with: the file, who else wants it, and
//! numbers at their limits.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cluster_chat::model::sqlite::SqliteStore;
use cluster_chat::model::{Store, StoreError, UserId};

use crate::conformance::{NO_LIMITS, assert_refused, expect_version_1_rows, user};

fn misconfigured(path: &Path) -> String {
    match SqliteStore::open(path).map(drop) {
        Err(StoreError::Misconfigured(text)) => text,
        other => panic!("got {other:?}"),
    }
}

/// Changes the file as a person's tool would.
fn edit(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn the_file_and_its_directories_are_made_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/and/deep/chat.db");
    let _store = SqliteStore::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_was_stored_is_there_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let alice = user(&SqliteStore::open(&path).unwrap(), "alice");
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.user(alice).unwrap().unwrap().name, "alice");
}

/// Everything that a file's schema consists of.
fn describe(path: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT COALESCE(sql, name) FROM sqlite_schema \
         UNION ALL SELECT 'migration ' || number FROM SchemaMigration ORDER BY 1";
    let mut statement = conn.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    // However a statement is broken into lines.
    lines.map(|line| line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_file_of_version_1_is_brought_up_to_date_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (fresh, old) = (dir.path().join("fresh.db"), dir.path().join("old.db"));
    drop(SqliteStore::open(&fresh).unwrap());
    edit(&old, include_str!("version_1/sqlite.sql"));
    assert_ne!(describe(&old), describe(&fresh));
    for _ in 0..2 {
        expect_version_1_rows(&SqliteStore::open(&old).unwrap());
        assert_eq!(describe(&old), describe(&fresh));
    }
}

#[test]
fn a_second_server_on_one_file_is_refused_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let link = dir.path().join("link.db");
    let first = SqliteStore::open(&path).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&path, &link] {
        let refused = SqliteStore::open(path).map(drop);
        let Err(StoreError::InUse(text)) = refused else { panic!("{refused:?}") };
        assert!(text.contains("another ChatServer") && text.contains("MySQL"), "{text}");
        assert!(text.contains("chat.db"), "{text}");
    }
    user(&first, "alice");
    drop(first);
    SqliteStore::open(&link).unwrap();
}

#[test]
fn a_file_that_is_no_chat_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    let text = "Dear Sir or Madam, ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    assert!(misconfigured(&path).contains("not a chat database"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let path = dir.path().join("other.db");
    edit(&path, "CREATE TABLE User (id INTEGER, nick TEXT)");
    assert!(misconfigured(&path).contains("not a chat database of this program"));

    let path = dir.path().join("letter.txt/chat.db");
    assert!(misconfigured(&path).contains("cannot make the directory"));
    assert!(misconfigured(dir.path()).contains("cannot open"));
}

#[test]
fn a_database_newer_than_the_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    drop(SqliteStore::open(&path).unwrap());
    edit(&path, "INSERT INTO SchemaMigration (number) VALUES (4711)");
    let text = misconfigured(&path);
    assert!(text.contains("4711") && text.contains("newer"), "{text}");
}

#[test]
fn reading_goes_on_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let alice = user(&store, "alice");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE User SET state = 'online'").unwrap();

    assert!(store.user(alice).unwrap().is_some());
    assert_refused!(store.create_user("bob", "$"), StoreError::Unavailable(_));
    other.execute_batch("ROLLBACK").unwrap();
    user(&store, "bob");
}

#[test]
fn numbers_that_have_run_out_are_an_internal_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    edit(
        &path,
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('User', 2147483646);
         INSERT INTO sqlite_sequence (name, seq) VALUES ('AllGroup', 2147483646)",
    );
    let last = user(&store, "the last");
    assert_eq!(last, UserId(i32::MAX as u32));
    assert_refused!(store.create_user("one too many", "$"), StoreError::Internal(_));
    assert!(store.credentials_by_name("one too many").unwrap().is_none());
    store.create_group(last, "the last", "", &NO_LIMITS).unwrap();
    assert_refused!(
        store.create_group(last, "one too many", "", &NO_LIMITS),
        StoreError::Internal(_)
    );
}
