//! How a MySQL database gets its schema: by the server, by hand, by several
//! servers at once, and when it had better not.

use std::path::Path;
use std::process::{Command, Stdio};

use cluster_chat::model::mysql::{MysqlOptions, MysqlStore};
use cluster_chat::model::{Store, StoreError, UserId};
use mysql::prelude::Queryable;

use crate::conformance::{assert_refused, at_once, expect_version_1_rows, user};
use crate::mariadb::MariaDb;

fn database_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap()
}

/// What a person does: `mysql <database> < sql/schema.sql`.
fn load_by_hand(server: &MariaDb, url: &str) {
    load(server, url, "sql/schema.sql");
}

/// A database as version 1 of the schema made it, with somebody in it.
fn version_1(server: &MariaDb) -> MysqlOptions {
    let url = server.fresh_url();
    server.admin(&format!("CREATE DATABASE {}", database_of(&url)));
    load(server, &url, "tests/store/version_1/mysql.sql");
    MysqlOptions::new(url)
}

fn load(server: &MariaDb, url: &str, file: &str) {
    let schema = std::fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
    let status = Command::new("mariadb")
        .args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-u", "root"])
        .arg(format!("--port={}", server.port()))
        .arg(database_of(url))
        .stdin(Stdio::from(schema.unwrap()))
        .status()
        .unwrap();
    assert!(status.success());
}

/// Everything that information_schema tells of a database's tables.
fn describe(server: &MariaDb, url: &str) -> Vec<String> {
    let mut conn = server.connect(url);
    let queries = [
        "SELECT CONCAT_WS(' ', 'table', table_name, engine, row_format, table_collation) \
         FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1",
        "SELECT CONCAT_WS(' ', 'column', table_name, ordinal_position, column_name, column_type, \
         is_nullable, COALESCE(column_default, '-'), COALESCE(collation_name, '-'), extra) \
         FROM information_schema.columns WHERE table_schema = DATABASE() \
         ORDER BY table_name, ordinal_position",
        "SELECT CONCAT_WS(' ', 'index', table_name, index_name, seq_in_index, column_name, \
         non_unique) FROM information_schema.statistics WHERE table_schema = DATABASE() \
         ORDER BY table_name, index_name, seq_in_index",
        "SELECT CONCAT_WS(' ', 'migration', number) FROM SchemaMigration ORDER BY number",
    ];
    queries.iter().flat_map(|sql| conn.query::<String, _>(sql).unwrap()).collect()
}

#[test]
fn the_schema_loaded_by_hand_is_the_one_the_server_makes() {
    let server = MariaDb::shared();
    let (by_server, by_hand) = (server.fresh_url(), server.fresh_url());
    MysqlStore::open(MysqlOptions::new(&*by_server)).unwrap();
    // Whatever the database's own default is, the tables are alike.
    server.admin(&format!("CREATE DATABASE {} CHARACTER SET latin1", database_of(&by_hand)));
    load_by_hand(server, &by_hand);

    let made = describe(server, &by_server);
    assert_eq!(describe(server, &by_hand), made);
    assert!(made.iter().any(|line| line.starts_with("table User InnoDB")), "{made:#?}");
    assert!(made.iter().any(|line| line.contains("varchar(50) NO - utf8mb4_bin")), "{made:#?}");

    load_by_hand(server, &by_hand);
    assert_eq!(describe(server, &by_hand), made, "loaded a second time");
}

#[test]
fn a_schema_loaded_by_hand_is_used_as_it_is_even_without_the_right_to_create() {
    let server = MariaDb::shared();
    let url = server.fresh_url();
    let database = database_of(&url);
    server.admin(&format!("CREATE DATABASE {database}"));
    load_by_hand(server, &url);
    server.admin("CREATE USER clerk IDENTIFIED BY 'p/@ss'");
    server.admin(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO clerk"));

    let url = url.replace("root@", "clerk:p%2F%40ss@");
    let store = MysqlStore::open(MysqlOptions::new(url)).unwrap();
    user(&store, "alice");
}

#[test]
fn an_account_that_may_not_create_tables_is_told_so() {
    let server = MariaDb::shared();
    let url = server.fresh_url();
    let database = database_of(&url);
    server.admin(&format!("CREATE DATABASE {database}"));
    server.admin("CREATE USER scribe IDENTIFIED BY 's3cret'");
    server.admin(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO scribe"));
    let url = url.replace("root@", "scribe:s3cret@");
    let refused = MysqlStore::open(MysqlOptions::new(url)).map(drop);
    let Err(StoreError::Misconfigured(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("sql/schema.sql") && text.contains(database), "{text}");
    assert!(!text.contains("s3cret"));
}

#[test]
fn servers_that_start_at_once_on_an_empty_mysql_all_succeed() {
    let server = MariaDb::shared();
    for _ in 0..3 {
        let url = server.fresh_url();
        let stores =
            at_once(6, |_| MysqlStore::open(MysqlOptions::new(&*url)).map_err(|e| e.to_string()));
        for (number, store) in stores.into_iter().enumerate() {
            user(&store.unwrap(), &format!("user {number}"));
        }
    }
}

#[test]
fn what_was_stored_is_there_at_the_next_start() {
    let options = MariaDb::shared().fresh_options();
    let alice = user(&MysqlStore::open(options.clone()).unwrap(), "alice");
    let store = MysqlStore::open(options).unwrap();
    assert_eq!(store.user(alice).unwrap().unwrap().name, "alice");
}

#[test]
fn a_database_of_version_1_is_brought_up_to_date_with_all_that_is_in_it() {
    let server = MariaDb::shared();
    let fresh = server.fresh_options();
    MysqlStore::open(fresh.clone()).unwrap();
    let made = describe(server, &fresh.url);

    let options = version_1(server);
    assert_ne!(describe(server, &options.url), made);
    expect_version_1_rows(&MysqlStore::open(options.clone()).unwrap());
    assert_eq!(describe(server, &options.url), made);

    // By a person, for a server that may not change the schema.
    let options = version_1(server);
    load_by_hand(server, &options.url);
    assert_eq!(describe(server, &options.url), made);
    expect_version_1_rows(&MysqlStore::open(options).unwrap());
}

#[test]
fn servers_that_bring_one_database_up_to_date_at_once_all_succeed() {
    let server = MariaDb::shared();
    for _ in 0..3 {
        let options = version_1(server);
        let stores = at_once(6, |_| MysqlStore::open(options.clone()).map_err(|e| e.to_string()));
        for store in stores {
            assert!(store.unwrap().user(UserId(1)).unwrap().is_some());
        }
    }
}

#[test]
fn a_migration_cut_short_is_finished_at_the_next_start() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let alice = user(&MysqlStore::open(options.clone()).unwrap(), "alice");
    let whole = describe(server, &options.url);
    let mut admin = server.connect(&options.url);
    admin.query_drop("DELETE FROM SchemaMigration").unwrap();
    admin.query_drop("DROP TABLE Server, OfflineMessage").unwrap();

    let store = MysqlStore::open(options.clone()).unwrap();
    assert_eq!(describe(server, &options.url), whole);
    assert!(store.user(alice).unwrap().is_some(), "what was there stays");
}

#[test]
fn a_database_newer_than_the_program_is_refused() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    MysqlStore::open(options.clone()).unwrap();
    server
        .connect(&options.url)
        .query_drop("INSERT INTO SchemaMigration (number) VALUES (4711)")
        .unwrap();
    let refused = MysqlStore::open(options).map(drop);
    let Err(StoreError::Misconfigured(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("4711") && text.contains("newer"), "{text}");
}

#[test]
fn tables_of_another_program_are_refused() {
    let server = MariaDb::shared();
    let url = server.fresh_url();
    let database = database_of(&url);
    server.admin(&format!("CREATE DATABASE {database}"));
    server.admin(&format!(
        "CREATE TABLE {database}.User (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), \
         password VARCHAR(50), state ENUM('online','offline'))"
    ));
    let refused = MysqlStore::open(MysqlOptions::new(&*url)).map(drop);
    let Err(StoreError::Misconfigured(text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("`User`") && text.contains("claim_server"), "{text}");
}

#[test]
fn a_database_name_cannot_be_more_than_a_name() {
    let server = MariaDb::shared();
    // chat`; DROP DATABASE mysql; -- ä
    let url = server.url("chat%60%3B%20DROP%20DATABASE%20mysql%3B%20--%20%C3%A4");
    user(&MysqlStore::open(MysqlOptions::new(&*url)).unwrap(), "alice");
    let names: Vec<String> = server.connect(&url).query("SHOW DATABASES").unwrap();
    assert!(names.iter().any(|name| name == "mysql"));
    assert!(names.iter().any(|name| name == "chat`; DROP DATABASE mysql; -- ä"), "{names:?}");
}

#[test]
fn a_text_too_long_is_refused_whatever_mode_the_server_runs_in() {
    let server = MariaDb::start();
    server.admin("SET GLOBAL sql_mode = ''");
    let store = MysqlStore::open(server.fresh_options()).unwrap();
    assert_refused!(store.create_user(&"x".repeat(51), "$"), StoreError::Internal(_));
}
