//! The stores against what they promise: one conformance suite for SQLite and
//! MariaDB, and what each of them has to cope with by itself.

#![allow(clippy::unwrap_used)]

mod conformance;
mod mariadb;
mod mysql_faults;
mod mysql_schema;
mod sqlite_file;
#[path = "../support/mod.rs"]
mod support;

/// Makes each case a test that hands it to the `with_store` around it.
macro_rules! tests {
    ($($part:ident: [$($case:ident,)*])*) => {
        $(mod $part {
            $(#[test]
            fn $case() {
                super::with_store(crate::conformance::$part::$case);
            })*
        })*
    };
}

/// The conformance suite on SQLite.
mod sqlite {
    use cluster_chat::model::Store;
    use cluster_chat::model::sqlite::SqliteStore;

    crate::conformance::for_each_case!(tests);

    fn with_store(case: impl Fn(&dyn Store)) {
        let dir = tempfile::tempdir().unwrap();
        case(&SqliteStore::open(&dir.path().join("chat.db")).unwrap());
    }
}

/// The conformance suite on MariaDB.
mod mysql {
    use cluster_chat::model::Store;
    use cluster_chat::model::mysql::MysqlStore;

    use crate::mariadb::MariaDb;

    crate::conformance::for_each_case!(tests);

    fn with_store(case: impl Fn(&dyn Store)) {
        case(&MysqlStore::open(MariaDb::shared().fresh_options()).unwrap());
    }
}
