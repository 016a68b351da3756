//! What only MySQL has to cope with: connections that die, a server that
//! stops answering, locks held by others, numbers and packets at their limits.

use std::time::{Duration, Instant};

use cluster_chat::model::mysql::{MysqlOptions, MysqlStore};
use cluster_chat::model::{ClaimOutcome, OfflineOp, Pushed, Store, StoreError, UserId};
use mysql::prelude::Queryable;

use crate::conformance::{NO_LIMITS, assert_refused, at_once, claim, user};
use crate::mariadb::MariaDb;
use crate::support::services::free_port;
use crate::support::wait::eventually;

/// "About 3 s" for a call to a stopped database, on a busy machine.
const STOPPED_CALL: Duration = Duration::from_secs(5);

/// For what is bound to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a statement that begins like this is under way in the database
/// of `looker`, where somebody else holds the rows it wants. (`innodb_trx`
/// would tell more, but is not brought up to date while one asks all the time.)
pub fn wait_for_statement(looker: &mut mysql::Conn, beginning: &str) {
    eventually(&format!("{beginning:?} is under way"), PATIENCE, || {
        let sql = "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE db = DATABASE() AND info LIKE CONCAT(?, '%')";
        looker.exec_first::<u64, _, _>(sql, (beginning,)).unwrap() > Some(0)
    });
}

/// Why the store does not open.
fn open_error(options: MysqlOptions) -> StoreError {
    match MysqlStore::open(options).map(drop) {
        Err(error) => error,
        Ok(()) => panic!("the store opened"),
    }
}

/// Why it does not open as `account`, whose password is never shown. Whether
/// it is worth another try: an unreachable database is, a refusal is not.
fn refusal(account: &str, host: &str, database: &str) -> (bool, String) {
    let url = format!("mysql://{account}:s3cret@{host}/{database}");
    let error = open_error(MysqlOptions::new(url));
    let retryable = match &error {
        StoreError::Unavailable(_) => true,
        StoreError::Misconfigured(_) => false,
        other => panic!("{other:?}"),
    };
    let text = error.to_string();
    assert!(!text.contains("s3cret"), "{text}");
    (retryable, text)
}

#[test]
fn killed_connections_are_replaced_without_anybody_noticing() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let mut admin = server.connect(&server.url("mysql"));
    let store = MysqlStore::open(options.clone()).unwrap();
    let alice = user(&store, "alice");
    let database = options.url.rsplit('/').next().unwrap();

    for _ in 0..3 {
        at_once(4, |_| assert!(store.user(alice).unwrap().is_some()));
        let sql = "SELECT id FROM information_schema.processlist WHERE db = ?";
        let connections: Vec<u64> = admin.exec(sql, (database,)).unwrap();
        assert!(!connections.is_empty());
        for id in connections {
            admin.query_drop(format!("KILL CONNECTION {id}")).unwrap();
        }
        at_once(4, |_| assert!(store.user(alice).unwrap().is_some()));
    }
}

#[test]
fn a_stopped_database_makes_calls_fail_in_time_and_then_at_once() {
    let server = MariaDb::start();
    let store = MysqlStore::open(MysqlOptions { pool_size: 4, ..server.fresh_options() }).unwrap();
    let alice = user(&store, "alice");
    at_once(4, |_| assert!(store.user(alice).unwrap().is_some()));

    server.freeze();
    let started = Instant::now();
    // More callers than connections: they wait beside, not after each other.
    at_once(8, |_| assert_refused!(store.user(alice), StoreError::Unavailable(_)));
    assert!(started.elapsed() < STOPPED_CALL, "took {:?}", started.elapsed());

    let started = Instant::now();
    for _ in 0..50 {
        assert_refused!(store.beat("one:6000", 5), StoreError::Unavailable(_));
    }
    assert!(started.elapsed() < 2 * STOPPED_CALL, "took {:?}", started.elapsed());

    server.thaw();
    eventually("the store works again", PATIENCE, || store.user(alice).is_ok());
    at_once(8, |_| assert!(store.user(alice).unwrap().is_some()));
}

#[test]
fn a_store_is_not_opened_for_ever_on_a_stopped_database() {
    let server = MariaDb::start();
    server.freeze();
    let started = Instant::now();
    let text = open_error(server.fresh_options()).to_string();
    assert!(started.elapsed() < STOPPED_CALL, "took {:?}", started.elapsed());
    assert!(text.contains("did not answer in time"), "{text}");
}

#[test]
fn a_database_that_is_not_there_is_worth_another_try() {
    let (retryable, text) = refusal("chat", &format!("127.0.0.1:{}", free_port()), "chat");
    assert!(retryable);
    assert!(text.contains("connection refused") && text.contains("start MySQL"), "{text}");
}

#[test]
fn an_unknown_host_is_named() {
    let (retryable, text) = refusal("chat", "no-such-host.invalid", "chat");
    assert!(retryable);
    assert!(text.contains("no-such-host.invalid:3306 is not known"), "{text}");
}

#[test]
fn a_wrong_password_is_not_tried_again_and_not_shown() {
    let server = MariaDb::shared();
    server.admin("CREATE USER eve IDENTIFIED BY 'right'");
    let (retryable, text) = refusal("eve", &format!("127.0.0.1:{}", server.port()), "chat");
    assert!(!retryable);
    assert!(text.contains("denied access to the user 'eve'"), "{text}");
}

#[test]
fn a_database_that_the_account_may_not_create_is_named() {
    let server = MariaDb::shared();
    server.admin("CREATE USER mallory IDENTIFIED BY 's3cret'");
    let host = format!("127.0.0.1:{}", server.port());
    let (retryable, text) = refusal("mallory", &host, "not_mine");
    assert!(!retryable);
    assert!(text.contains("'mallory'") && text.contains("'not_mine'"), "{text}");
    assert!(text.contains("GRANT"), "{text}");
}

#[test]
fn every_address_of_a_host_is_tried() {
    // MariaDB listens on 127.0.0.1 only; localhost is ::1 as well on many.
    let server = MariaDb::shared();
    let url = server.fresh_url().replace("127.0.0.1", "localhost");
    user(&MysqlStore::open(MysqlOptions::new(url)).unwrap(), "alice");
}

#[test]
fn a_call_waits_for_a_lock_that_is_let_go_in_time() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let alice = user(&store, "alice");
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    other.query_drop("START TRANSACTION").unwrap();
    other.query_drop("SELECT * FROM User FOR UPDATE").unwrap();

    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| store.take_claim(alice, &claim("one:6000", 5, 1), None));
        wait_for_statement(&mut looker, "UPDATE `User`");
        other.query_drop("ROLLBACK").unwrap();
        call.join().unwrap()
    });
    assert_eq!(outcome.unwrap(), ClaimOutcome::Taken);
}

#[test]
fn a_lock_that_is_never_let_go_costs_its_own_caller_only() {
    let server = MariaDb::shared();
    let options = MysqlOptions {
        pool_size: 1,
        checkout_timeout: Duration::from_millis(10),
        ..server.fresh_options()
    };
    let store = MysqlStore::open(options.clone()).unwrap();
    let alice = user(&store, "alice");
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    other.query_drop("START TRANSACTION").unwrap();
    other.query_drop("SELECT * FROM User FOR UPDATE").unwrap();

    std::thread::scope(|scope| {
        let call = scope.spawn(|| store.take_claim(alice, &claim("one:6000", 5, 1), None));
        wait_for_statement(&mut looker, "UPDATE `User`");
        // The only connection is taken meanwhile: that is said, not waited for.
        let busy = store.user(alice);
        assert!(busy.is_err_and(|error| error.to_string().contains("connections are busy")));
        assert_refused!(call.join().unwrap(), StoreError::Unavailable(_));
    });
    // A lock time-out is no stopped database: nobody else fails for it.
    assert!(store.user(alice).unwrap().is_some());
    other.query_drop("ROLLBACK").unwrap();
    store.take_claim(alice, &claim("one:6000", 5, 1), None).unwrap();
}

#[test]
fn who_joins_a_group_while_it_is_dissolved_finds_it_gone() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| user(&store, name));
    let group = store.create_group(alice, "rust", "", &NO_LIMITS).unwrap();
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    other.query_drop("START TRANSACTION").unwrap();
    other.query_drop("DELETE FROM AllGroup").unwrap();
    other.query_drop("DELETE FROM GroupUser").unwrap();

    let outcome = std::thread::scope(|scope| {
        let call = scope.spawn(|| store.join_group(group, bob, &NO_LIMITS));
        wait_for_statement(&mut looker, "SELECT id FROM AllGroup");
        other.query_drop("COMMIT").unwrap();
        call.join().unwrap()
    });
    assert_refused!(outcome, StoreError::NoSuchGroup);
    assert_eq!(looker.query_first("SELECT COUNT(*) FROM GroupUser").unwrap(), Some(0));
}

#[test]
fn a_server_that_starts_while_it_is_forgotten_stays() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    store.start_server("one:6000", 5).unwrap();
    let seen = store.servers().unwrap().remove(0);
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    other.query_drop("START TRANSACTION").unwrap();
    other.query_drop("UPDATE Server SET epoch = 9, beat = 0").unwrap();

    let forgotten = std::thread::scope(|scope| {
        let call = scope.spawn(|| store.forget_server(&seen));
        wait_for_statement(&mut looker, "SELECT id FROM `Server`");
        other.query_drop("COMMIT").unwrap();
        call.join().unwrap()
    });
    assert!(!forgotten.unwrap());
    assert_eq!(store.servers().unwrap()[0].epoch, 9);
}

/// Two servers store what one of them had handed over to the other.
#[test]
fn rows_of_a_statement_that_meets_another_servers_are_all_there() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    let sql = "INSERT INTO OfflineMessage (userid, sender, mid, message) VALUES (2, 1, ?, '')";
    other.query_drop("START TRANSACTION").unwrap();
    other.exec_drop(sql, ("b",)).unwrap();
    // The first row has its number when the second one has to wait.
    let mids = ["a", "b", "x0"].map(str::to_owned).into_iter();
    let mids: Vec<String> = mids.chain((0..13).map(|number| format!("z{number}"))).collect();
    let insert = |mid: &String| OfflineOp::Insert {
        to: UserId(2),
        sender: UserId(1),
        mid: mid.as_bytes().into(),
        message: b"\"\"".as_slice().into(),
    };
    let ops: Vec<OfflineOp> = mids.iter().map(insert).collect();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| store.apply_offline(&ops));
        wait_for_statement(&mut looker, "INSERT INTO OfflineMessage");
        for number in 0..16 {
            looker.exec_drop(sql, (format!("x{number}"),)).unwrap();
        }
        other.query_drop("ROLLBACK").unwrap();
        call.join().unwrap().unwrap();
    });
    for mid in mids {
        let found = looker.exec_first("SELECT 1 FROM OfflineMessage WHERE mid = ?", (&mid,));
        assert_eq!(found.unwrap(), Some(1), "{mid} has vanished");
    }
}

/// One server stores what it had handed over while the other one, which lost
/// the recipient, does so too. Rows are read by their numbers.
#[test]
fn rows_that_two_servers_store_at_once_keep_their_order() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| user(&store, name));
    let mut other = server.connect(&options.url);
    let mut looker = server.connect(&options.url);
    let insert = |mid: usize| OfflineOp::Insert {
        to: bob,
        sender: alice,
        mid: mid.to_string().as_bytes().into(),
        message: b"\"\"".as_slice().into(),
    };
    let sql = "INSERT INTO OfflineMessage (userid, sender, mid, message) VALUES (?, ?, ?, '')";
    other.query_drop("START TRANSACTION").unwrap();
    other.exec_drop(sql, (bob.0, alice.0, "0")).unwrap();
    let ops: Vec<OfflineOp> = (0..16).map(insert).collect();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| store.apply_offline(&ops));
        wait_for_statement(&mut looker, "INSERT INTO OfflineMessage");
        for mid in 1..8 {
            other.exec_drop(sql, (bob.0, alice.0, mid.to_string())).unwrap();
        }
        other.query_drop("COMMIT").unwrap();
        call.join().unwrap().unwrap();
    });
    let mids: Vec<String> =
        looker.query("SELECT CAST(mid AS CHAR) FROM OfflineMessage ORDER BY id").unwrap();
    let expected: Vec<String> = (0..16).map(|mid| mid.to_string()).collect();
    assert_eq!(mids, expected);
}

#[test]
fn numbers_that_have_run_out_are_an_internal_error() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let mut admin = server.connect(&options.url);
    admin.query_drop("ALTER TABLE User AUTO_INCREMENT = 2147483647").unwrap();
    admin.query_drop("ALTER TABLE AllGroup AUTO_INCREMENT = 2147483647").unwrap();

    let last = user(&store, "the last");
    assert_eq!(last, UserId(i32::MAX as u32));
    assert_refused!(store.create_user("one too many", "$"), StoreError::Internal(_));
    store.create_group(last, "the last", "", &NO_LIMITS).unwrap();
    assert_refused!(
        store.create_group(last, "one too many", "", &NO_LIMITS),
        StoreError::Internal(_)
    );
}

#[test]
fn a_value_of_the_wrong_kind_is_an_internal_error() {
    let server = MariaDb::shared();
    let options = server.fresh_options();
    let store = MysqlStore::open(options.clone()).unwrap();
    let alice = user(&store, "alice");
    let mut admin = server.connect(&options.url);
    admin.query_drop("ALTER TABLE User MODIFY state VARCHAR(20)").unwrap();
    for value in ["'away'", "NULL"] {
        admin.query_drop(format!("UPDATE User SET state = {value}")).unwrap();
        assert_refused!(store.user(alice), StoreError::Internal(_));
    }
    assert!(store.credentials_by_id(alice).unwrap().is_some());
}

#[test]
fn statements_keep_within_the_packet_limit() {
    let server = MariaDb::start();
    server.admin("SET GLOBAL max_allowed_packet = 65536");
    let store = MysqlStore::open(server.fresh_options()).unwrap();
    let insert = |number: usize, bytes: usize| OfflineOp::Insert {
        to: UserId(2),
        sender: UserId(1),
        mid: number.to_string().as_bytes().into(),
        message: "x".repeat(bytes).as_bytes().into(),
    };
    let ops: Vec<_> = (0..300).map(|number| insert(number, 30 * number)).collect();
    store.apply_offline(&ops).unwrap();
    store.apply_offline(&[insert(300, 65_000)]).unwrap();
    assert_eq!(
        store.offline_page(UserId(2), &Pushed::default(), 1000, usize::MAX).unwrap().rows.len(),
        301
    );

    let refused = store.apply_offline(&[insert(301, 10), insert(302, 66_000)]);
    assert!(
        matches!(&refused, Err(StoreError::Internal(text)) if text.contains("max_allowed_packet")),
        "{refused:?}"
    );
    assert_eq!(
        store.offline_page(UserId(2), &Pushed::default(), 1000, usize::MAX).unwrap().rows.len(),
        301
    );
}
