//! Starting a server: what it says, and how it refuses.

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use serde_json::json;

use crate::support::cluster::Cluster;
use crate::support::door::{Door, User};
use crate::support::server::{Refusal, ServerPlan, TestServer};
use crate::support::services::{Database, Service, free_port};
use crate::support::wait::{SOON, eventually};

#[track_caller]
fn expect_refusal(refusal: &Refusal, code: i32, named: &str) {
    assert_eq!(refusal.code, Some(code), "{refusal:?}");
    let lines: Vec<&str> = refusal.stderr.lines().filter(|line| line.contains(named)).collect();
    assert!(!lines.is_empty(), "stderr names {named:?}: {refusal:?}");
    assert!(!refusal.stderr.contains("panicked"), "{refusal:?}");
}

#[test]
fn with_nothing_configured_everything_is_kept_in_a_file() {
    let mut server = TestServer::start();
    let bob = server.register("bob");
    assert_eq!(server.stop(), Some(0));
    server.restart();
    server.login(&bob);
}

#[test]
fn help_shows_the_flags_with_their_defaults() {
    let output = Command::new(env!("CARGO_BIN_EXE_ChatServer")).arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in ["--reactors", "--database", "--redis", "--server-id", "--start-timeout"] {
        assert!(help.contains(flag), "{flag} in {help}");
    }
    assert!(help.contains("65536") && help.contains("CHAT_DATABASE"), "{help}");
}

#[test]
fn a_wrong_command_line_is_refused_with_2() {
    let wrong: [&[&str]; 11] = [
        &[],
        &["127.0.0.1"],
        &["127.0.0.1", "port"],
        &["127.0.0.1", "70000"],
        &["999.0.0.1", "0"],
        &["127.0.0.1", "0", "extra"],
        &["127.0.0.1", "0", "--no-such-flag"],
        &["127.0.0.1", "0", "--reactors", "0"],
        &["127.0.0.1", "0", "--reactors", "many"],
        &["127.0.0.1", "0", "--max-frame", "16777216"],
        &["127.0.0.1", "0", "--database", "ftp://nowhere"],
    ];
    let dir = tempfile::tempdir().unwrap();
    for arguments in wrong {
        let output = Command::new(env!("CARGO_BIN_EXE_ChatServer"))
            .args(arguments)
            .current_dir(&dir)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}: it says why");
        assert!(output.stdout.is_empty(), "{arguments:?}: it never served");
    }
}

#[test]
fn a_mysql_that_is_not_there_is_told_with_3() {
    let address = format!("127.0.0.1:{}", free_port());
    let refusal = ServerPlan::new()
        .flag("--database", format!("mysql://root:hunter2@{address}/chat"))
        .flag("--start-timeout", 1)
        .start_in_vain();
    expect_refusal(&refusal, 3, &address);
    assert!(!refusal.stderr.contains("hunter2"), "the password is not shown: {refusal:?}");
    assert!(refusal.took < Duration::from_secs(8), "{refusal:?}");
}

#[test]
fn a_mysql_that_does_not_answer_is_told_with_3() {
    // It accepts and is silent for ever.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let refusal = ServerPlan::new()
        .flag("--database", format!("mysql://root@{address}/chat"))
        .flag("--start-timeout", 1)
        .start_in_vain();
    expect_refusal(&refusal, 3, &address);
}

#[test]
fn a_redis_that_is_not_there_is_told_with_3() {
    let database = Database::shared();
    let address = format!("127.0.0.1:{}", free_port());
    let refusal = ServerPlan::new()
        .flag("--database", database.url())
        .flag("--redis", format!("redis://{address}"))
        .flag("--start-timeout", 1)
        .start_in_vain();
    expect_refusal(&refusal, 3, &address);
    assert!(refusal.took < Duration::from_secs(8), "{refusal:?}");
}

#[test]
fn a_server_waits_at_start_for_a_service_that_comes_late() {
    let mut redis = Service::redis();
    let database = Database::shared();
    redis.kill();
    let plan = ServerPlan::new()
        .flag("--database", database.url())
        .flag("--redis", redis.redis_url())
        .flag("--start-timeout", 20);
    let server = std::thread::scope(|scope| {
        let starting = scope.spawn(|| plan.start());
        redis.restart();
        starting.join().unwrap()
    });
    server.enter("bob");
}

#[test]
fn a_file_that_another_server_uses_is_refused_with_2() {
    let first = TestServer::start();
    let mut bob = first.enter("bob");
    let refusal = first.plan().start_in_vain();
    expect_refusal(&refusal, 2, "chat.db");
    // The first one does not notice.
    bob.ping();
    first.connect().log_in(bob.me()).refused(2);
}

#[test]
fn a_file_is_free_again_after_kill_9() {
    let mut server = TestServer::start();
    let bob = server.enter("bob").person();
    server.kill9();
    server.restart();
    // A start resets what this server left behind.
    server.login(&bob);
}

#[test]
fn a_server_id_that_is_in_use_is_refused_with_2() {
    let database = Database::shared();
    let redis = Service::redis();
    let plan = || {
        ServerPlan::new()
            .flag("--database", database.url())
            .flag("--redis", redis.redis_url())
            .flag("--server-id", "one-and-only")
    };
    let first = plan().start();
    let mut bob = first.enter("bob");
    let refusal = plan().start_in_vain();
    expect_refusal(&refusal, 2, "one-and-only");
    // The one that is there keeps its users.
    bob.ping();
    first.connect().log_in(bob.me()).refused(2);
}

#[test]
fn a_wildcard_address_needs_a_server_id_in_a_cluster() {
    let database = Database::shared();
    let redis = Service::redis();
    let plan = ServerPlan::new()
        .ip("0.0.0.0")
        .flag("--database", database.url())
        .flag("--redis", redis.redis_url());
    expect_refusal(&plan.start_in_vain(), 2, "--server-id");
}

#[test]
fn a_cluster_that_starts_at_once_on_an_empty_database_stands() {
    let cluster = Cluster::plan().servers(4).start();
    let mut alice = cluster.servers[0].enter("alice");
    for (i, server) in cluster.servers.iter().enumerate() {
        let mut other = server.enter(&format!("user {i}"));
        assert_eq!(alice.tell(&other, "hello"), "delivered");
        assert_eq!(other.next_text(), "hello");
    }
}

#[test]
fn an_address_in_use_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ChatServer"))
        .args(["127.0.0.1", &port])
        .current_dir(&dir)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    assert!([1, 2].contains(&code), "{code}: {stderr}");
    assert!(stderr.contains(&port) && !stderr.contains("panicked"), "{stderr}");
}

#[test]
fn servers_that_have_just_started_hand_messages_over_and_store_none() {
    // Longer than they take to look at each other for the second time.
    const WATCHED: Duration = Duration::from_secs(4);
    let cluster = Cluster::start();
    let mut alice = cluster.servers[0].enter("alice");
    let mut bob = cluster.servers[1].enter("bob");
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        let there = (0..8).map(|_| json!({"msgid": 6, "to": bob.id(), "msg": "ping"})).collect();
        let back = (0..8).map(|_| json!({"msgid": 6, "to": alice.id(), "msg": "pong"})).collect();
        let (there, back) = (alice.send_all(there), bob.send_all(back));
        for sent in there {
            assert_eq!(alice.status(sent), "delivered");
        }
        for sent in back {
            assert_eq!(bob.status(sent), "delivered");
        }
    }
}

#[test]
fn a_server_that_was_restarted_is_handed_messages_from_the_first_one_on() {
    let mut cluster = Cluster::start();
    let mut alice = cluster.servers[0].enter("alice");
    let bob = cluster.servers[1].enter("bob");
    assert_eq!(alice.tell(&bob, "before"), "delivered");
    let person = bob.person();
    let beats = "SELECT COUNT(*) FROM `Server` WHERE beat >= 2";
    let mut database = cluster.database.connect();
    eventually("both servers have lived for a while", SOON, || {
        database.query_first::<u8, _>(beats).unwrap() == Some(2)
    });
    assert_eq!(cluster.servers[1].stop(), Some(0));
    cluster.servers[1].restart();
    let mut bob = cluster.servers[1].login(&person);
    for text in ["after", "and after that"] {
        assert_eq!(alice.tell(&bob, text), "delivered");
        assert_eq!(bob.next_text(), text);
    }
}
