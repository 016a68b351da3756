//! ChatBench against a real server and against its own floor.

// Tests unwrap; what is not there fails them.
#![allow(clippy::unwrap_used)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;
mod crowds;

use std::process::{Command, Output};

use serde_json::Value;
use support::cluster::Cluster;
use support::floor::Floor;
use support::server::{ServerPlan, TestServer};

fn server() -> TestServer {
    ServerPlan::new().flag("--message-rate", 0).flag("--reactors", 1).start()
}

fn chat_bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ChatBench")).args(arguments).output().unwrap()
}

/// Runs a short load and reads its figures.
#[track_caller]
fn figures(arguments: &[&str]) -> Value {
    const SHORT: [&str; 5] = ["--warm-up", "0.1", "--time", "0.5", "--json"];
    let output = chat_bench(&[arguments, &SHORT].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}{}", String::from_utf8_lossy(&output.stdout));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["fault"], Value::Null);
    assert!(figures["received"].as_u64().unwrap() > 0, "{figures}");
    assert!(figures["server_cpu_us_per_copy"].as_f64().unwrap() > 0.0, "{figures}");
    figures
}

fn address(server: &TestServer) -> String {
    format!("127.0.0.1:{}", server.port())
}

#[test]
fn pairs_talk_and_everything_is_counted() {
    let server = server();
    let figures = figures(&["pairs", &address(&server), "--pairs", "3", "--window", "4"]);
    let books = &figures["books"];
    assert_eq!(books["sent"], books["answered"]);
    assert_eq!(books["sent"], books["received"]);
}

#[test]
fn recipients_confirm_and_accounts_are_used_again() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let accounts = dir.path().join("accounts.json");
    let accounts = accounts.to_str().unwrap();
    let pairs = ["pairs", &address(&server), "--pairs", "2", "--ack", "--accounts", accounts];
    figures(&pairs);
    let registered = server.log().matches("audit] registered").count();
    figures(&pairs);
    assert_eq!(server.log().matches("audit] registered").count(), registered);
}

#[test]
fn a_rate_is_kept_to() {
    let server = server();
    let figures = figures(&["pairs", &address(&server), "--pairs", "2", "--rate", "200"]);
    let sent = figures["books"]["sent"].as_u64().unwrap();
    assert!((30..=125).contains(&sent), "0.6 s at 200 a second: {sent}");
}

#[test]
fn groups_hear_their_senders() {
    let server = server();
    let load = ["--groups", "2", "--members", "4", "--senders", "2"];
    let figures = figures(&[&["groups", &address(&server)][..], &load].concat());
    let books = &figures["books"];
    let sent = books["sent"].as_u64().unwrap();
    assert_eq!(books["received"].as_u64().unwrap(), sent * 3);
}

#[test]
fn a_blend_of_everything_loses_nothing_while_people_come_and_go() {
    let server = server();
    let load = ["--people", "12", "--rate", "600", "--logins", "40"];
    let figures = figures(&[&["mixed", &address(&server)][..], &load].concat());
    let [books, blended] = ["books", "blended"].map(|part| &figures[part]);
    let number = |part: &Value, name: &str| part[name].as_u64().unwrap();
    assert!(number(books, "sent") > 200, "{figures}");
    assert_eq!(books["sent"], books["answered"]);
    assert!(number(books, "received") > number(books, "sent"), "groups too: {figures}");
    assert!(number(books, "requests") > 0, "{figures}");
    let logins = number(blended, "by_token") + number(blended, "by_password");
    assert!(logins > 10, "{figures}");
}

#[test]
fn pairs_talk_across_two_servers() {
    let cluster = Cluster::plan().flag("--message-rate", 0).start();
    let [one, other] = [0, 1].map(|number| address(&cluster.servers[number]));
    let figures = figures(&["pairs", &one, "--across", &other, "--pairs", "2"]);
    assert_eq!(figures["server_cpu"].as_array().unwrap().len(), 2);
}

#[test]
fn messages_to_people_who_are_offline_are_stored_and_come_later() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let accounts = dir.path().join("accounts.json");
    let offline = ["--offline", "--pairs", "3", "--window", "4", "--time", "0.5", "--json"];
    // The second time too: nothing of the first is left.
    for _ in 0..2 {
        let head = ["pairs", &address(&server), "--accounts", accounts.to_str().unwrap()];
        let output = chat_bench(&[&head[..], &offline].concat());
        let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{figures}");
        let books = &figures["books"];
        assert!(books["sent"].as_u64().unwrap() > 0, "{figures}");
        assert_eq!(books["stored"], books["sent"]);
        assert_eq!(books["received"], books["sent"]);
        assert!(figures["answers_per_second"].as_f64().unwrap() > 0.0, "{figures}");
    }
}

#[test]
fn a_run_is_drawn() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let file = dir.path().join("run.svg");
    figures(&["pairs", &address(&server), "--pairs", "2", "--plot", file.to_str().unwrap()]);
    let svg = std::fs::read_to_string(file).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    let parts = ["Latency by percentile", "99 %", "Throughput", "copies delivered", "dark"];
    for part in parts {
        assert!(svg.contains(part), "no {part} in {svg}");
    }
    let lines = svg.matches("<polyline").count();
    assert!(lines > 3, "two latencies, a throughput, axes: {lines} lines in {svg}");
}

#[test]
fn the_floor_takes_the_same_loads() {
    let floor = Floor::start();
    let address = floor.address();
    figures(&["pairs", address, "--floor", "--pairs", "3", "--window", "16"]);
    figures(&["groups", address, "--floor", "--members", "5"]);
}

#[test]
fn a_run_without_a_server_says_what_to_do() {
    let output = chat_bench(&["pairs", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("ChatBench: no server at 127.0.0.1:1:"), "{said}");
}

#[test]
fn a_run_in_which_messages_are_refused_fails() {
    let plan = ServerPlan::new().flag("--message-rate", 1).flag("--message-burst", 1);
    let server = plan.flag("--message-spare", 0).start();
    let load = ["--pairs", "1", "--window", "8", "--time", "0.5", "--warm-up", "0"];
    let output = chat_bench(&[&["pairs", &address(&server)][..], &load].concat());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("FAILED:") && said.contains("refused"), "{said}");
}
