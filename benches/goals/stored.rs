//! Messages to people who are offline, by what the same MariaDB takes in bare
//! inserts: both with the durability of a production database, where a commit
//! is on the disk.

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use mysql::{Conn, Params, Value};
use serde_json::json;

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::programs::{Chat, figure, plan, progress};
use crate::support::door::Door;
use crate::support::services::Database;

/// Rows of a bare insert.
const ROWS: usize = 128;
/// How long each number of connections inserts.
const TIME: Duration = Duration::from_millis(1200);

/// 100 senders, each of which waits for `stored`.
pub fn offline(session: &Session) -> Finding {
    const FLAGS: [&str; 5] = ["--offline", "--pairs", "100", "--window", "1"];
    let database = Database::shared();
    let mut chat = Chat::start(plan(1).flag("--database", database.url()));
    let mut direct = database.connect();
    be_durable(&mut direct);
    chat.prepare("pairs", "people", &FLAGS);
    let text = "x".repeat(stored_bytes(&chat, &mut direct));
    direct.query_drop("CREATE TABLE Bare LIKE OfflineMessage").unwrap();
    let mut stored = Samples::default();
    let mut bare = [1, 2, 4].map(|connections| (connections, Samples::default()));
    for round in 0..session.runs {
        direct.query_drop("TRUNCATE OfflineMessage").unwrap();
        chat.refresh();
        let measured = chat.load("pairs", "people", &FLAGS);
        let messages = figure(&measured, "/answered") / figure(&measured, "/seconds");
        for (connections, rows) in &mut bare {
            direct.query_drop("TRUNCATE Bare").unwrap();
            rows.push(rows_per_second(&database, *connections, &text));
        }
        stored.push(messages);
        progress(round, session.runs, &format!("{} stored a second", short(messages)));
    }
    let [(_, alone), (_, two), (_, four)] = &bare;
    let finding = Finding::ratio(("stored", &stored), ("bare rows", alone), "/s");
    let note = format!(
        "by 2 connections {} rows, by 4 {}; innodb_flush_log_at_trx_commit=1",
        short(two.median()),
        short(four.median())
    );
    finding.note(&note)
}

/// The tests' MariaDB leaves the syncing for later.
pub fn be_durable(db: &mut Conn) {
    db.query_drop("SET GLOBAL innodb_flush_log_at_trx_commit = 1").unwrap();
}

/// How long the stored text of a message of ChatBench is.
fn stored_bytes(chat: &Chat, db: &mut Conn) -> usize {
    let [reader, writer] = ["reader", "writer"].map(|name| chat.server().register(name));
    let mut writer = chat.server().login(&writer);
    let text = "x".repeat(100);
    let message = json!({"msgid": 6, "to": reader.id, "msg": text, "mid": "12.1234"});
    assert_eq!(writer.request(message).done()["status"], "stored");
    let sql = "SELECT LENGTH(message) FROM OfflineMessage WHERE userid = ?";
    db.exec_first(sql, (reader.id,)).unwrap().unwrap()
}

/// What so many connections insert together.
fn rows_per_second(database: &Database, connections: usize, text: &str) -> f64 {
    let begun = Instant::now();
    let insert = |number: usize| {
        let mut db = database.connect();
        let sql = "INSERT INTO Bare (userid, sender, mid, message) VALUES (?, ?, ?, ?)";
        let sql = format!("{sql}{}", ", (?, ?, ?, ?)".repeat(ROWS - 1));
        let statement = db.prep(sql).unwrap();
        let mut inserted = 0_usize;
        while begun.elapsed() < TIME {
            let row = |row: usize| -> [Value; 4] {
                let message = (inserted + row) / 100;
                let pair = row % 100;
                let mid = format!("{number}.{pair}.{message}.{row}");
                [(pair + 101).into(), (pair + 1).into(), mid.into(), text.into()]
            };
            let values = (0..ROWS).flat_map(row).collect();
            db.exec_drop(&statement, Params::Positional(values)).unwrap();
            inserted += ROWS;
        }
        inserted
    };
    let insert = &insert;
    let inserted: usize = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..connections).map(|number| scope.spawn(move || insert(number))).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    inserted as f64 / begun.elapsed().as_secs_f64()
}
