//! nginx is reloaded under load: connections stay where they are.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::crowd::Crowd;
use crate::role::Role;
use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::services::{self, Service, Variant};
use crate::support::wait::{SOON, eventually};

#[test]
fn nginx_is_reloaded_under_load() {
    let cluster = Cluster::start();
    let nginx = [cluster.nginx().address()];
    let crowd = Crowd::gather("nginx reloaded", &cluster.database, vec![Role::at(&nginx); 10]);
    let begun = Instant::now();
    crowd.talk();
    for _ in 0..3 {
        crowd.more_done(40);
        crowd.books.note("nginx is reloaded");
        cluster.reload_nginx();
    }
    crowd.more_done(40);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

/// `bin/ConsistentHash` with a ring of its own.
#[track_caller]
fn consistent_hash(state: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ConsistentHash"));
    let output = command.arg("--state").arg(state).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// How many connections of this machine lead to a port.
fn connections_to(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_there = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[2].ends_with(&format!(":{port:04X}")) && fields[3] == "01"
    };
    table.lines().filter(is_there).count()
}

#[test]
fn a_third_server_is_added_to_the_ring_under_load() {
    let cluster = Cluster::plan().servers(3).start();
    let [first, second, third] = [0, 1, 2].map(|number| cluster.servers[number].address());
    let nginx = Service::nginx_as(Variant::HashAddrPort, &[first, second]);
    let crowd = Crowd::gather(
        "third server by consistent hash",
        &cluster.database,
        vec![Role::at(&[nginx.address()]); 10],
    );
    let begun = Instant::now();
    crowd.talk();
    crowd.more_done(40);
    assert_eq!(connections_to(third.port()), 0);
    let (dir, conf) = (services::new_dir(), nginx.conf().to_str().unwrap());
    let state = dir.path().join("ring.json");
    consistent_hash(&state, &["import", conf]);
    consistent_hash(&state, &["add", &third.ip().to_string(), &third.port().to_string(), "160"]);
    crowd.books.note("the third server is on the ring");
    consistent_hash(&state, &["export", conf, "--reload"]);
    let mut newcomers = Vec::new();
    eventually("newcomers get to the third server", SOON, || {
        newcomers.push(TcpStream::connect(nginx.address()).unwrap());
        connections_to(third.port()) > 0
    });
    crowd.more_done(40);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}
