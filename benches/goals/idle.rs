//! What a connection costs that is logged in and silent.

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::programs::{Accounts, address, chat_bench, figure, plan, progress, refresh};

const CONNECTIONS: &str = "15000";
/// The first ones do not count: with them grows what a server has once, such as
/// its connections to the database.
const FIRST: &str = "1000";
const PEOPLE: &str = "16000";
/// Each takes a while, and memory hardly varies.
const MOST_RUNS: u32 = 3;

/// Resident memory for each of many connections.
pub fn idle(session: &Session) -> Finding {
    let accounts = Accounts::new();
    let (file, database) = (accounts.file("people"), accounts.file("chat.db"));
    let database = format!("sqlite:{database}");
    seed(&database, PEOPLE, &file);
    // All come from one address of this machine.
    let limits = ["--max-connections", "--max-connections-per-address", "--max-anonymous"];
    let plan = plan(1).flag("--database", &database);
    let mut server = limits.into_iter().fold(plan, |plan, limit| plan.flag(limit, 0)).start();
    let mut memory = Samples::default();
    let runs = session.runs.min(MOST_RUNS);
    for round in 0..runs {
        refresh(&mut server);
        let held = ["--connections", CONNECTIONS, "--baseline", FIRST, "--time", "1"];
        let who = ["idle", &address(&server), "--accounts", &file];
        let held = chat_bench(&[&who[..], &held].concat());
        let bytes = figure(&held, "/bytes_per_connection");
        progress(round, runs, &format!("{} bytes", short(bytes)));
        memory.push(bytes);
    }
    Finding::plain(&memory, "bytes")
}

/// Makes people with accounts, in the database itself: nobody hashes passwords.
#[track_caller]
pub fn seed(database: &str, people: &str, file: &str) {
    chat_bench(&["seed", "--database", database, "--people", people, "--accounts", file]);
}
