//! Login tokens in MySQL: locks that nobody gets into each other's way with,
//! and plans that stay with the rows that matter.

use cluster_chat::model::mysql::MysqlStore;
use cluster_chat::model::{Store, TokenHash};
use mysql::prelude::Queryable;

use crate::conformance::{at_once, claim, take, user};
use crate::mariadb::MariaDb;
use crate::mysql_faults::wait_for_statement;

fn token(user: usize, number: usize) -> TokenHash {
    let mut hash = [0; 32];
    // Neighbours in the index belong to different users.
    hash[0] = number as u8;
    hash[1] = user as u8;
    TokenHash(hash)
}

/// A counter of the whole server, or the sum of those that begin so.
fn status(conn: &mut mysql::Conn, beginning: &str) -> u64 {
    let sql = "SELECT CAST(SUM(variable_value) AS UNSIGNED) \
         FROM information_schema.global_status WHERE variable_name LIKE CONCAT(?, '%')";
    conn.exec_first(sql, (beginning,)).unwrap().unwrap()
}

#[test]
fn logins_log_outs_and_refreshes_never_deadlock() {
    const USERS: usize = 2;
    let server = MariaDb::start();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let users: Vec<_> = (0..USERS).map(|index| user(&store, &format!("user {index}"))).collect();
    for user in &users {
        take(&store, *user, &claim("one:6000", 5, 1));
    }
    // Each user on three devices, each of which says everything twice.
    at_once(3 * USERS + 2, |index| {
        let Some(user) = users.get(index / 3) else {
            for _ in 0..60 {
                // Half of the tokens expire before their users come back.
                let sql = "UPDATE LoginToken SET expires = id % 2 WHERE id = ?";
                let mut conn = server.connect(&options.url);
                for id in conn.query::<i64, _>("SELECT id FROM LoginToken").unwrap() {
                    conn.exec_drop(sql, (id,)).unwrap();
                }
                store.refresh_tokens("one:6000", 5).unwrap();
            }
            return;
        };
        for number in 1..60 {
            let (new, old) = (token(index, number), token(index, number - 1));
            let presented = (number % 3 > 0).then_some(&old);
            for _ in 0..2 {
                store.add_token(*user, &new, presented).unwrap();
                match number % 5 {
                    0 => store.drop_tokens_until(*user, &old).unwrap(),
                    1 => store.drop_older_tokens(*user, &new).unwrap(),
                    _ => {}
                }
            }
        }
    });
    let mut conn = server.connect(&options.url);
    assert_eq!(status(&mut conn, "Innodb_deadlocks"), 0);
}

#[test]
fn a_login_that_a_deadlock_undid_is_done_again() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let alice = user(&store, "alice");
    let (old, new) = (token(0, 1), token(0, 2));
    store.add_token(alice, &old, None).unwrap();
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    other.query_drop("START TRANSACTION").unwrap();
    // Much to undo: of the two the login will be the one to give way.
    let sql = "INSERT INTO Friend (userid, friendid) SELECT 1000, seq FROM seq_1_to_1000";
    other.query_drop(sql).unwrap();
    other.query_drop("UPDATE LoginToken SET expires = expires + 1").unwrap();

    std::thread::scope(|scope| {
        let call = scope.spawn(|| store.add_token(alice, &new, Some(&old)));
        wait_for_statement(&mut looker, "UPDATE LoginToken");
        other.query_drop("SELECT id FROM User FOR UPDATE").unwrap();
        // The login, once more, waits for the user's row.
        wait_for_statement(&mut looker, "SELECT id FROM `User`");
        other.query_drop("COMMIT").unwrap();
        call.join().unwrap().unwrap();
    });
    for token in [&old, &new] {
        assert!(store.token_user(alice, token).unwrap().is_some());
    }
}

#[test]
fn a_refresh_reads_no_more_of_100_000_tokens_than_it_must() {
    const USERS: usize = 20;
    const EXPIRED: u64 = 30;
    let server = MariaDb::start();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    for index in 0..USERS {
        let user = user(&store, &format!("user {index}"));
        take(&store, user, &claim("one:6000", 5, 1));
        store.add_token(user, &token(index, 1), None).unwrap();
    }
    let mut conn = server.connect(&options.url);
    conn.query_drop(
        "INSERT INTO LoginToken (userid, hash, expires) \
         SELECT 100 + seq DIV 4, UNHEX(SHA2(seq, 256)), UNIX_TIMESTAMP() + 1000000 \
         FROM seq_1_to_100000",
    )
    .unwrap();
    conn.query_drop(format!(
        "INSERT INTO LoginToken (userid, hash, expires) \
         SELECT 77, UNHEX(SHA2(-seq, 256)), seq FROM seq_1_to_{EXPIRED}"
    ))
    .unwrap();
    conn.query_drop("ANALYZE TABLE LoginToken, User").unwrap();

    let before = status(&mut conn, "Handler_read");
    let cost_of_asking = status(&mut conn, "Handler_read") - before;
    store.refresh_tokens("one:6000", 5).unwrap();
    store.drop_older_tokens(user(&store, "alice"), &token(1, 1)).unwrap();
    let read = status(&mut conn, "Handler_read") - before - 2 * cost_of_asking;
    // A few reads for each row that is found and changed.
    assert!(read < 1_000, "{read} reads");
    let left: u64 = conn.query_first("SELECT COUNT(*) FROM LoginToken").unwrap().unwrap();
    assert_eq!(left, 100_000 + USERS as u64);
}
