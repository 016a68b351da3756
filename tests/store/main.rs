//! The stores against what they promise: one conformance suite for SQLite and
//! MariaDB, and what each of them has to cope with by itself.

#![allow(clippy::unwrap_used)]

mod conformance;
mod mariadb;
mod mysql_faults;
mod mysql_schema;
mod mysql_tls;
mod mysql_tokens;
mod sqlite_file;
#[path = "../support/mod.rs"]
mod support;

/// Makes each case a test that hands it to the `with_store` or
/// `with_back_door` around it.
macro_rules! tests {
    ($($part:ident $with:ident: [$($case:ident,)*])*) => {
        $(mod $part {
            $(#[test]
            fn $case() {
                super::$with(crate::conformance::$part::$case);
            })*
        })*
    };
}

/// The conformance suite on SQLite.
mod sqlite {
    use cluster_chat::model::Store;
    use cluster_chat::model::sqlite::SqliteStore;
    use rusqlite::Connection;

    use crate::conformance::BackDoor;

    crate::conformance::for_each_case!(tests);

    fn with_store(case: impl Fn(&dyn Store)) {
        with_back_door(|store, _| case(store));
    }

    fn with_back_door(case: impl Fn(&dyn Store, &dyn BackDoor)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat.db");
        let store = SqliteStore::open(&path).unwrap();
        case(&store, &Path(path));
    }

    struct Path(std::path::PathBuf);

    impl BackDoor for Path {
        fn run(&self, sql: &str) {
            Connection::open(&self.0).unwrap().execute_batch(sql).unwrap();
        }
        fn number(&self, sql: &str) -> i64 {
            let conn = Connection::open(&self.0).unwrap();
            conn.query_row(sql, [], |row| row.get(0)).unwrap()
        }
    }
}

/// The conformance suite on MariaDB.
mod mysql {
    use cluster_chat::model::Store;
    use cluster_chat::model::mysql::MysqlStore;

    use mysql::prelude::Queryable;

    use crate::conformance::BackDoor;
    use crate::mariadb::MariaDb;

    crate::conformance::for_each_case!(tests);

    fn with_store(case: impl Fn(&dyn Store)) {
        case(&MysqlStore::open(MariaDb::shared().fresh_options()).unwrap());
    }

    fn with_back_door(case: impl Fn(&dyn Store, &dyn BackDoor)) {
        let options = MariaDb::shared().fresh_options();
        let store = MysqlStore::open(options.clone()).unwrap();
        case(&store, &Url(options.url));
    }

    struct Url(String);

    impl BackDoor for Url {
        fn run(&self, sql: &str) {
            MariaDb::shared().connect(&self.0).query_drop(sql).unwrap();
        }
        fn number(&self, sql: &str) -> i64 {
            MariaDb::shared().connect(&self.0).query_first(sql).unwrap().unwrap()
        }
    }
}
