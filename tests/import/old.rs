//! A database as a C++ ChatServer leaves it.

use mysql::prelude::Queryable;

use crate::support::services::Database;

/// The originals' tables, with columns that take odd rows, too.
const TABLES: [&str; 5] = [
    "CREATE TABLE User (id BIGINT PRIMARY KEY, name VARCHAR(80), password VARCHAR(200),
        state ENUM('online','offline') DEFAULT 'offline') CHARSET=utf8mb4",
    "CREATE TABLE Friend (userid INT, friendid INT) CHARSET=utf8mb4",
    "CREATE TABLE AllGroup (id INT PRIMARY KEY, groupname VARCHAR(80),
        groupdesc VARCHAR(300) DEFAULT '') CHARSET=utf8mb4",
    "CREATE TABLE GroupUser (groupid INT, userid INT, grouprole VARCHAR(20)) CHARSET=utf8mb4",
    "CREATE TABLE OfflineMessage (userid INT NOT NULL, message VARCHAR(500) NOT NULL)
        CHARSET=utf8mb4",
];

/// The old database.
pub struct Old {
    database: Database,
    conn: mysql::Conn,
}

impl Old {
    /// With its tables, and nobody in them.
    #[track_caller]
    pub fn empty() -> Old {
        let database = Database::shared();
        let (server, name) = (database.server(), database.name().to_owned());
        let mut conn = mysql::Conn::new(format!("mysql://root@{server}").as_str()).unwrap();
        conn.query_drop(format!("CREATE DATABASE `{name}`")).unwrap();
        conn.query_drop(format!("USE `{name}`")).unwrap();
        let mut old = Old { database, conn };
        for table in TABLES {
            old.run(table);
        }
        old
    }

    /// Three people: alice and bob are friends, as the originals write it, and
    /// carol is nobody's; all are in a group of alice's; messages wait for bob.
    #[track_caller]
    pub fn small() -> Old {
        let mut old = Old::empty();
        for sql in [
            "INSERT INTO User VALUES (13, 'alice', 'alice pw', 'online'),
                (21, 'bob', 'bob pw', 'offline'), (22, '张三', 'carol pw', 'online')",
            "INSERT INTO Friend VALUES (13, 21)",
            "INSERT INTO AllGroup VALUES (5, 'team', 'our team')",
            "INSERT INTO GroupUser VALUES (5, 13, 'creator'), (5, 21, 'normal'),
                (5, 22, 'normal')",
        ] {
            old.run(sql);
        }
        old.leave(21, r#"{"id":13,"msg":"one \"two\"","msgid":6,"name":"alice","time":"2022-02-22 00:43:59","toid":21}"#);
        old.leave(21, r#"{"groupid":5,"id":22,"msg":"你好","msgid":10,"name":"张三","time":"2022-02-22 00:44:00"}"#);
        // Said twice within a second.
        for _ in 0..2 {
            old.leave(21, r#"{"id":13,"msg":"again","msgid":6,"name":"alice","time":"2022-02-22 00:44:01","toid":21}"#);
        }
        old
    }

    /// Executes a statement.
    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).unwrap();
    }

    /// A message that waits.
    #[track_caller]
    pub fn leave(&mut self, to: i64, push: &str) {
        self.conn.exec_drop("INSERT INTO OfflineMessage VALUES (?, ?)", (to, push)).unwrap();
    }

    /// Everything that is in it, to see whether it changed.
    #[track_caller]
    pub fn checksum(&mut self) -> Vec<(String, Option<u64>)> {
        let tables = "User, Friend, AllGroup, GroupUser, OfflineMessage";
        self.conn.query(format!("CHECKSUM TABLE {tables}")).unwrap()
    }

    /// The same for an account that may only read, and has this password.
    #[track_caller]
    pub fn reader_url(&mut self, password: &str) -> String {
        let name = self.database.name().to_owned();
        self.run(&format!("CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY '{password}'"));
        self.run(&format!("GRANT SELECT ON `{name}`.* TO '{name}'@'%'"));
        self.url().replace("root@", &format!("{name}@"))
    }

    /// What `--import-from` takes.
    pub fn url(&self) -> String {
        self.database.url()
    }
}
