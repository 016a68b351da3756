//! ChatServers that are killed, stopped, replaced and frozen under load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::role::Role;
use crate::support::cluster::Cluster;
use crate::support::door::Door;
use crate::support::process::Signal;
use crate::support::wait::eventually;

/// A frozen server is declared dead after 10 s without a beat, looked for
/// every 3 s.
const DEATH_DEADLINE: Duration = Duration::from_secs(25);

/// The ways to come in for those at the first and at the second server.
pub fn two_homes(cluster: &Cluster) -> ([SocketAddr; 2], [SocketAddr; 2]) {
    let [one, other] = [cluster.servers[0].address(), cluster.servers[1].address()];
    ([one, other], [other, one])
}

/// Some at the first server and some at the second, all of whom write to all.
pub fn everywhere(cluster: &Cluster) -> Vec<Role> {
    let (one, other) = two_homes(cluster);
    (0..10).map(|place| Role::at(if place % 2 == 0 { &one } else { &other })).collect()
}

/// Five who write at one server and five who only listen at another.
fn writers_and_listeners(writers_at: &[SocketAddr], listeners_at: &[SocketAddr]) -> Vec<Role> {
    let writer = Role::at(writers_at).every(Duration::from_millis(120));
    let mut roles = vec![writer; 5];
    roles.extend(vec![Role::at(listeners_at).listening(); 5]);
    roles
}

#[test]
fn while_nothing_fails_everything_comes_once_and_in_order() {
    let cluster = Cluster::start();
    let crowd = Crowd::gather("nothing fails", &cluster.database, everywhere(&cluster));
    let begun = Instant::now();
    crowd.talk();
    crowd.more_done(200);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    assert_eq!(crowd.books.count(|m| m.attempts.len() > 1 || !m.doubles.is_empty()), 0);
    crowd.finish();
}

#[test]
fn the_recipients_server_is_killed_under_load() {
    let mut cluster = Cluster::start();
    let (one, other) = two_homes(&cluster);
    let roles = writers_and_listeners(&one, &other);
    let crowd = Crowd::gather("recipients' server killed", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(80);
    // They come back at the first server, and stay there.
    kill_and_restart(&mut cluster, &crowd, 1);
    crowd.finish();
}

#[test]
fn the_senders_server_is_killed_under_load() {
    let mut cluster = Cluster::start();
    let (one, other) = two_homes(&cluster);
    let roles = writers_and_listeners(&other, &one);
    let crowd = Crowd::gather("senders' server killed", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(80);
    kill_and_restart(&mut cluster, &crowd, 1);
    crowd.finish();
}

#[test]
fn one_server_after_the_other_is_killed_under_load() {
    let mut cluster = Cluster::start();
    let crowd = Crowd::gather("servers killed by turns", &cluster.database, everywhere(&cluster));
    crowd.talk();
    crowd.more_done(80);
    for server in [1, 0, 1, 0] {
        kill_and_restart(&mut cluster, &crowd, server);
    }
    crowd.finish();
}

/// Kills a server, lets everybody go on without it, and brings it back.
fn kill_and_restart(cluster: &mut Cluster, crowd: &Crowd, server: usize) {
    crowd.books.note(&format!("server {server} is killed"));
    cluster.servers[server].kill9();
    crowd.more_done(20);
    crowd.all_are_here();
    crowd.more_done(60);
    crowd.books.note(&format!("server {server} is started"));
    cluster.servers[server].restart();
    crowd.more_done(40);
}

#[test]
fn both_servers_are_killed_under_load() {
    let mut cluster = Cluster::start();
    let crowd = Crowd::gather("both servers killed", &cluster.database, everywhere(&cluster));
    crowd.talk();
    crowd.more_done(80);
    for _ in 0..2 {
        crowd.books.note("both servers are killed");
        for server in &mut cluster.servers {
            server.kill9();
        }
        for server in &mut cluster.servers {
            server.restart();
        }
        crowd.books.note("both servers are back");
        crowd.all_are_here();
        crowd.more_done(80);
    }
    crowd.finish();
}

#[test]
fn a_server_is_stopped_in_order_under_load() {
    let mut cluster = Cluster::start();
    let crowd = Crowd::gather("a server stopped", &cluster.database, everywhere(&cluster));
    crowd.talk();
    crowd.more_done(80);
    crowd.books.note("the second server is asked to stop");
    assert_eq!(cluster.servers[1].stop(), Some(0));
    crowd.books.note("the second server has stopped");
    crowd.all_are_here();
    crowd.more_done(80);
    cluster.servers[1].restart();
    crowd.more_done(40);
    crowd.finish();
}

#[test]
fn both_servers_are_replaced_one_after_the_other_under_load() {
    let mut cluster = Cluster::start();
    let nginx = [cluster.nginx().address()];
    let roles = vec![Role::at(&nginx); 10];
    let crowd = Crowd::gather("rolling restart", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(60);
    for number in [0, 1] {
        crowd.books.note(&format!("server {number} is asked to stop"));
        assert_eq!(cluster.servers[number].stop(), Some(0));
        cluster.servers[number].restart();
        // nginx has met a closed port: it would shun the new server for 30 s,
        // and once that is so of both, everybody.
        cluster.reload_nginx();
        crowd.books.note(&format!("server {number} is back"));
        crowd.all_are_here();
        crowd.more_done(60);
    }
    crowd.finish();
}

#[test]
fn a_server_is_frozen_until_it_is_declared_dead_and_goes_on() {
    let cluster = Cluster::start();
    let (one, other) = two_homes(&cluster);
    let mut roles = everywhere(&cluster);
    // These wait for the frozen server, and are thrown out by it afterwards.
    roles.extend([Role::at(&other).patient(), Role::at(&other).patient().listening()]);
    roles.push(Role::at(&one).patient());
    let crowd = Crowd::gather("a server frozen", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(80);
    crowd.books.note("the second server is frozen");
    cluster.servers[1].signal(Signal::Stop);
    eventually("it is declared dead", DEATH_DEADLINE, || {
        cluster.servers[0].log().contains("declared dead")
    });
    crowd.more_done(40);
    crowd.books.note("the second server goes on");
    // Before the signal: it may throw them out before this thread goes on.
    let thawed = Instant::now();
    cluster.servers[1].signal(Signal::Cont);
    crowd.wait("it throws out who is still there", |books| {
        books.closed_by_servers_since(thawed) >= 2
    });
    crowd.all_are_here();
    crowd.more_done(40);
    crowd.finish();
}
