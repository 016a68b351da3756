//! What a connection costs that is logged in and silent.

use crate::figures::{Finding, Samples, short};
use crate::goal::Session;
use crate::programs::{Accounts, address, chat_bench, figure, plan, progress, refresh};
use crate::support::services::Database;

const CONNECTIONS: &str = "15000";
/// Those and the first ones, which ChatBench does not count.
const PEOPLE: &str = "15100";
/// Each takes a while, and memory hardly varies.
const MOST_RUNS: u32 = 3;

/// Resident memory for each of many connections.
pub fn idle(session: &Session) -> Finding {
    let (database, accounts) = (Database::shared(), Accounts::new());
    let file = accounts.file("people");
    // All come from one address of this machine.
    let limits = ["--max-connections", "--max-connections-per-address", "--max-anonymous"];
    let plan = plan(1).flag("--database", database.url());
    let mut server = limits.into_iter().fold(plan, |plan, limit| plan.flag(limit, 0)).start();
    seed(&database, PEOPLE, &file);
    let mut memory = Samples::default();
    let runs = session.runs.min(MOST_RUNS);
    for round in 0..runs {
        refresh(&mut server);
        let held = ["--connections", CONNECTIONS, "--time", "1", "--accounts", &file];
        let held = chat_bench(&[&["idle", &address(&server)][..], &held].concat());
        let bytes = figure(&held, "/bytes_per_connection");
        progress(round, runs, &format!("{} bytes", short(bytes)));
        memory.push(bytes);
    }
    Finding::plain(&memory, "bytes")
}

/// Makes people with accounts, in the database itself: nobody hashes passwords.
#[track_caller]
pub fn seed(database: &Database, people: &str, file: &str) {
    let url = database.url();
    chat_bench(&["seed", "--database", &url, "--people", people, "--accounts", file]);
}
