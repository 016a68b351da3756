//! People who come and go: seeded accounts, idle connections, logins, storms.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::support::cluster::Cluster;
use super::support::server::{ServerPlan, TestServer};
use super::{address, chat_bench};

/// A server whose database was seeded before it started.
struct Seeded {
    server: TestServer,
    accounts: PathBuf,
    _dir: TempDir,
}

fn seeded(people: u32, plan: ServerPlan) -> Seeded {
    let dir = tempfile::tempdir().unwrap();
    let accounts = dir.path().join("accounts.json");
    let database = format!("sqlite:{}", plan.dir().join("data/chat.db").display());
    let figures = figures(&seed(&database, people, &accounts), &[]);
    assert_eq!(figures["people"], people);
    Seeded { server: plan.start(), accounts, _dir: dir }
}

fn seed(database: &str, people: u32, accounts: &Path) -> Vec<String> {
    let people = people.to_string();
    ["seed", "--database", database, "--people", &people, "--accounts", accounts.to_str().unwrap()]
        .map(str::to_owned)
        .into()
}

/// The command line of a mode for this server and its accounts.
fn mode(name: &str, seeded: &Seeded) -> Vec<String> {
    let accounts = seeded.accounts.to_str().unwrap();
    [name, &address(&seeded.server), "--accounts", accounts].map(str::to_owned).into()
}

/// Runs a mode that must go well.
#[track_caller]
fn figures(mode: &[String], flags: &[&str]) -> Value {
    let (succeeded, figures) = run(mode, flags);
    assert!(succeeded, "{figures}");
    assert_eq!(figures["fault"], Value::Null);
    figures
}

/// Runs a mode that gets as far as to have figures.
#[track_caller]
fn run(mode: &[String], flags: &[&str]) -> (bool, Value) {
    let mode = mode.iter().map(String::as_str);
    let arguments: Vec<&str> = mode.chain(flags.iter().copied()).chain(["--json"]).collect();
    let output = chat_bench(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    let figures = serde_json::from_slice(&output.stdout);
    (output.status.success(), figures.unwrap_or_else(|e| panic!("{e}: {said}")))
}

/// Runs a mode that must not get that far, and hears why.
#[track_caller]
fn complaint(mode: &[String], flags: &[&str]) -> String {
    let mode = mode.iter().map(String::as_str);
    let output = chat_bench(&mode.chain(flags.iter().copied()).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn number(figures: &Value, field: &str) -> f64 {
    figures[field].as_f64().unwrap_or_else(|| panic!("no number {field}: {figures}"))
}

const SHORT: [&str; 4] = ["--warm-up", "0.1", "--time", "0.5"];

#[test]
fn seeded_accounts_log_in_by_token_and_by_password() {
    let seeded = seeded(12, ServerPlan::new());
    for proof in ["token", "password"] {
        let flags = ["--proof", proof, "--people", "12", "--window", "3"];
        let figures = figures(&mode("login", &seeded), &[&flags[..], &SHORT].concat());
        assert!(number(&figures, "logins") > 0.0, "{figures}");
        assert!(number(&figures, "logins_per_second") > 0.0);
        assert!(number(&figures, "server_cpu_us_per_login") > 0.0);
        assert!(figures["latency_us"]["p50"].as_f64().unwrap() > 0.0);
        assert_eq!(figures["proof"], proof);
        let by_password = seeded.server.log().contains("by=password");
        assert_eq!(by_password, proof == "password", "no token is lost on the way");
    }
    assert!(!seeded.server.log().contains("registered"));
}

#[test]
fn a_running_cluster_is_seeded_in_mysql() {
    let cluster = Cluster::start();
    let dir = tempfile::tempdir().unwrap();
    let accounts = dir.path().join("accounts.json");
    figures(&seed(&cluster.database.url(), 10, &accounts), &[]);
    let accounts = accounts.to_str().unwrap();
    let storm = ["storm", &address(&cluster.servers[1]), "--connections", "10"];
    figures(&storm.map(str::to_owned), &["--accounts", accounts]);
    assert!(!cluster.servers[1].log().contains("by=password"));
}

#[test]
fn seeding_says_what_is_in_its_way() {
    let seeded = seeded(1, ServerPlan::new());
    let database = format!("sqlite:{}", seeded.server.sqlite_file().display());
    let said = complaint(&seed(&database, 1, &seeded.accounts), &[]);
    assert!(said.contains("has accounts already"), "{said}");
    let other = seeded.accounts.with_extension("other");
    let said = complaint(&seed(&database, 1, &other), &[]);
    assert!(said.contains("is in use by another ChatServer"), "{said}");
    let said = complaint(&seed("postgres://nowhere", 1, &other), &[]);
    assert!(said.contains("--database names no database"), "{said}");
}

#[test]
fn idle_connections_cost_memory() {
    let seeded = seeded(260, ServerPlan::new());
    let flags = ["--connections", "200", "--baseline", "60", "--time", "0.5"];
    let figures = figures(&mode("idle", &seeded), &flags);
    assert_eq!(figures["connections"], 200);
    let each = number(&figures, "bytes_per_connection");
    let grown = number(&figures, "memory_after") - number(&figures, "memory_before");
    assert!((each * 200.0 - grown).abs() < 1.0 && each > 256.0, "{figures}");
    assert!(number(&figures, "server_cpu_us_per_connection_second") > 0.0);
}

#[test]
fn an_idle_connection_that_the_server_closes_is_a_fault() {
    let seeded = seeded(2, ServerPlan::new().flag("--idle-timeout", 2));
    let flags = ["--connections", "2", "--baseline", "0", "--time", "6"];
    let (succeeded, figures) = run(&mode("idle", &seeded), &flags);
    let fault = figures["fault"].as_str().unwrap_or_default();
    assert!(!succeeded && fault.contains("the server closed a connection"), "{figures}");
}

#[test]
fn who_is_one_too_many_is_told_which_flag_helps() {
    let seeded = seeded(30, ServerPlan::new().flag("--max-connections-per-address", 10));
    let said = complaint(&mode("idle", &seeded), &["--connections", "30", "--baseline", "0"]);
    assert!(said.contains("--max-connections-per-address 0"), "{said}");
}

#[test]
fn too_few_descriptors_are_told_before_anything_is_done() {
    let seeded = seeded(1, ServerPlan::new().descriptors(200));
    let said = complaint(&mode("idle", &seeded), &["--connections", "190", "--baseline", "10"]);
    assert!(said.contains("264 descriptors and the server may have 200"), "{said}");
    assert!(!seeded.server.log().contains("audit"), "{}", seeded.server.log());
}

#[test]
fn more_at_once_than_there_are_people_is_a_mistake() {
    let seeded = seeded(4, ServerPlan::new());
    let people = ["--proof", "token", "--people", "4", "--window", "5"];
    let said = complaint(&mode("login", &seeded), &people);
    assert!(said.contains("4 people cannot be 5 at once: give --people 5"), "{said}");
}

#[test]
fn logins_keep_to_a_rate() {
    let seeded = seeded(20, ServerPlan::new());
    let flags = ["--proof", "token", "--people", "20", "--rate", "60"];
    let figures = figures(&mode("login", &seeded), &[&flags[..], &SHORT].concat());
    let logins = number(&figures, "logins");
    // A slow disk makes fewer, and nothing makes more but what was late.
    assert!((1.0..=40.0).contains(&logins), "0.5 s at 60 a second: {logins}");
}

#[test]
fn logins_that_are_put_off_come_again_and_are_counted() {
    let seeded = seeded(90, ServerPlan::new().flag("--hash-threads", 1));
    let flags = ["--proof", "password", "--people", "90", "--window", "90", "--warm-up", "0"];
    let figures = figures(&mode("login", &seeded), &[&flags[..], &["--time", "2"]].concat());
    assert!(number(&figures, "put_off") > 0.0, "64 wait for a password thread: {figures}");
    assert!(number(&figures, "logins") > 0.0);
}

#[test]
fn logins_that_are_refused_fail_the_run() {
    let (one, other) = (seeded(3, ServerPlan::new()), seeded(3, ServerPlan::new()));
    let crossed = Seeded { accounts: other.accounts.clone(), ..one };
    let flags = ["--proof", "password", "--people", "3", "--window", "3"];
    let (succeeded, figures) = run(&mode("login", &crossed), &[&flags[..], &SHORT].concat());
    let fault = figures["fault"].as_str().unwrap_or_default();
    assert!(!succeeded && fault.contains("errno 1,"), "{figures}");
}

#[test]
fn everybody_comes_back_after_a_storm_and_keeps_a_valid_token() {
    let seeded = seeded(60, ServerPlan::new());
    for _ in 0..3 {
        let figures = figures(&mode("storm", &seeded), &["--connections", "60"]);
        assert_eq!(figures["connections"], 60);
        let [first, half, all] =
            ["first", "half", "all"].map(|what| number(&figures, &format!("seconds_to_{what}")));
        assert!(0.0 < first && first <= half && half <= all, "{figures}");
        assert!(number(&figures, "logins_per_second") > 0.0);
        assert!(number(&figures, "server_cpu_us_per_login") > 0.0);
        assert!(figures["latency_us"]["max"].as_f64().unwrap() > 0.0);
    }
    let log = seeded.server.log();
    assert!(!log.contains("by=password") && log.contains("by=token"));
}

#[test]
fn a_storm_for_which_the_server_has_no_room_fails() {
    let seeded = seeded(30, ServerPlan::new().flag("--max-connections", 10));
    let said = complaint(&mode("storm", &seeded), &["--connections", "30"]);
    assert!(said.contains("--max-connections 0"), "{said}");
}
