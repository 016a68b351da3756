//! Everybody comes back by token at once, by what the same MariaDB does of the
//! statements that such a login needs, when nothing else is done.

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, Statement};

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::idle::seed;
use crate::programs::{Accounts, address, chat_bench, figure, plan, progress, refresh};
use crate::stored::be_durable;
use crate::support::services::Database;

/// So many come back; as many others are there for the bare loop.
const PEOPLE: usize = 3000;
/// Each takes a while.
const MOST_RUNS: u32 = 3;
/// How long each number of bare loops goes on.
const TIME: Duration = Duration::from_millis(1500);
/// How long a token lives.
const WEEK: u32 = 7 * 24 * 3600;

/// What the server makes of a login by token: a look for the token, the claim,
/// a new token, what was missed, friends, groups; and after its first frame
/// the old token goes.
const STATEMENTS: [&str; 12] = [
    "SELECT u.name FROM LoginToken t JOIN `User` u ON u.id = t.userid \
     WHERE t.hash = ? AND t.userid = ? AND t.expires > UNIX_TIMESTAMP()",
    "UPDATE `User` SET state = 'online', claim_server = ?, claim_epoch = ?, claim_number = ? \
     WHERE id = ? AND claim_server IS NULL",
    "SELECT id FROM `User` WHERE id = ? FOR UPDATE",
    "SELECT id, hash FROM LoginToken FORCE INDEX (LoginToken_userid) WHERE userid = ? ORDER BY id",
    "UPDATE LoginToken SET expires = UNIX_TIMESTAMP() + ? WHERE id = ?",
    "INSERT INTO LoginToken (userid, hash, expires) VALUES (?, ?, UNIX_TIMESTAMP() + ?)",
    "SELECT id, sender, mid, OCTET_LENGTH(message) FROM OfflineMessage \
     FORCE INDEX (OfflineMessage_page) WHERE userid = ? ORDER BY id LIMIT 512",
    "SELECT u.id, u.name, u.state FROM Friend f JOIN `User` u ON u.id = f.friendid \
     WHERE f.userid = ? ORDER BY u.id",
    "SELECT g.id, g.groupname, g.groupdesc, m.grouprole, u.id, u.name, u.state \
     FROM GroupUser mine JOIN AllGroup g ON g.id = mine.groupid \
     JOIN GroupUser m ON m.groupid = mine.groupid JOIN `User` u ON u.id = m.userid \
     WHERE mine.userid = ? ORDER BY g.id, u.id",
    "SELECT older.id FROM LoginToken t \
     JOIN LoginToken older ON older.userid = t.userid AND older.id < t.id \
     WHERE t.hash = ? AND t.userid = ? ORDER BY older.id",
    "DELETE FROM LoginToken WHERE id IN (?)",
    "UPDATE `User` SET state = 'offline', claim_server = NULL, claim_epoch = NULL, \
     claim_number = NULL WHERE claim_server = ?",
];
/// The claims of the bare loop's people.
const BARE: &str = "bare";

/// Logins a second, and bare ones.
pub fn storm(session: &Session) -> Finding {
    let (database, accounts) = (Database::shared(), Accounts::new());
    let mut server = plan(1).flag("--database", database.url()).start();
    let mut direct = database.connect();
    be_durable(&mut direct);
    let (file, others) = (accounts.file("people"), accounts.file("others"));
    let count = PEOPLE.to_string();
    seed(&database.url(), &count, &file);
    seed(&database.url(), &count, &others);
    let (mut logins, mut bare) = (Samples::default(), Samples::default());
    let runs = session.runs.min(MOST_RUNS);
    for round in 0..runs {
        refresh(&mut server);
        let storm = ["--connections", &count, "--accounts", &file];
        let storm = chat_bench(&[&["storm", &address(&server)][..], &storm].concat());
        let rate = figure(&storm, "/logins_per_second");
        let put_off = figure(&storm, "/put_off");
        let loops = [1, 2, 4].map(|connections| bare_per_second(&database, connections));
        let most = loops.into_iter().fold(0.0, f64::max);
        let loops = loops.map(short).join("/");
        let text = format!("{} logins a second ({put_off} put off)", short(rate));
        progress(round, runs, &format!("{text}, 1/2/4 loops: {loops}"));
        logins.push(rate);
        bare.push(most);
    }
    Finding::ratio(("logins", &logins), ("bare", &bare), "/s")
        .note(&format!("{PEOPLE} at once, innodb_flush_log_at_trx_commit=1"))
}

/// How many bare logins so many connections do in a second.
fn bare_per_second(database: &Database, connections: usize) -> f64 {
    let mut direct = database.connect();
    direct.exec_drop(STATEMENTS[11], (BARE,)).unwrap();
    let sql = "SELECT userid, hash FROM LoginToken ORDER BY userid DESC LIMIT ?";
    let people: Vec<(i64, Vec<u8>)> = direct.exec(sql, (PEOPLE,)).unwrap();
    let parts = people.chunks(people.len().div_ceil(connections));
    let mut loops: Vec<Loop> = parts.clone().map(|_| Loop::new(database.connect())).collect();
    let begun = Instant::now();
    let done: usize = std::thread::scope(|scope| {
        let log_in = |one: &mut Loop, part: &[(i64, Vec<u8>)]| {
            let in_time = part.iter().take_while(|_| begun.elapsed() < TIME);
            in_time.map(|(user, hash)| one.log_in(*user, hash)).count()
        };
        let pairs = loops.iter_mut().zip(parts);
        let running: Vec<_> =
            pairs.map(|(one, part)| scope.spawn(move || log_in(one, part))).collect();
        running.into_iter().map(|one| one.join().unwrap()).sum()
    });
    done as f64 / begun.elapsed().as_secs_f64()
}

/// A connection with every statement prepared.
struct Loop {
    db: Conn,
    statements: Vec<Statement>,
}

impl Loop {
    fn new(mut db: Conn) -> Loop {
        let statements = STATEMENTS.iter().map(|sql| db.prep(sql).unwrap()).collect();
        Loop { db, statements }
    }

    fn log_in(&mut self, user: i64, hash: &[u8]) {
        let Loop { db, statements } = self;
        let known: Option<String> = db.exec_first(&statements[0], (hash, user)).unwrap();
        assert!(known.is_some(), "user {user} has this token");
        db.exec_drop(&statements[1], (BARE, 1, user, user)).unwrap();
        db.query_drop("START TRANSACTION").unwrap();
        db.exec_drop(&statements[2], (user,)).unwrap();
        let tokens: Vec<(i64, Vec<u8>)> = db.exec(&statements[3], (user,)).unwrap();
        for (id, _) in &tokens {
            db.exec_drop(&statements[4], (WEEK, id)).unwrap();
        }
        let mut new = [0; 32];
        getrandom::fill(&mut new).unwrap();
        db.exec_drop(&statements[5], (user, &new[..], WEEK)).unwrap();
        db.query_drop("COMMIT").unwrap();
        for statement in &statements[6..9] {
            db.exec_drop(statement, (user,)).unwrap();
        }
        db.query_drop("START TRANSACTION").unwrap();
        let older: Vec<i64> = db.exec(&statements[9], (&new[..], user)).unwrap();
        for id in older {
            db.exec_drop(&statements[10], (id,)).unwrap();
        }
        db.query_drop("COMMIT").unwrap();
    }
}
