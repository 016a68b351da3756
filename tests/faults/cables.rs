//! One server loses its way to Redis or to MariaDB while the other keeps it.

use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::servers::everywhere;
use crate::support::cluster::Cluster;
use crate::support::wait::eventually;

/// A back-off, or a death that is declared.
const DEADLINE: Duration = Duration::from_secs(25);

fn says(cluster: &Cluster, server: usize, what: &str) {
    eventually(what, DEADLINE, || cluster.servers[server].log().contains(what));
}

fn scene(scenario: &str) -> (Cluster, Crowd) {
    let cluster = Cluster::plan().cables().start();
    let crowd = Crowd::gather(scenario, &cluster.database, everywhere(&cluster));
    crowd.talk();
    crowd.more_done(60);
    (cluster, crowd)
}

#[test]
fn one_server_is_cut_from_redis() {
    let (cluster, crowd) = scene("a cable to Redis cut");
    let begun = Instant::now();
    crowd.books.note("the first server's cable to Redis is cut");
    cluster.cables().redis.cut();
    says(&cluster, 0, "WARN  bus] down: ");
    crowd.more_done(100);
    crowd.books.note("it is mended");
    cluster.cables().redis.mend();
    crowd.more_done(100);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn one_servers_cable_to_redis_hangs() {
    let (cluster, crowd) = scene("a cable to Redis hangs");
    let begun = Instant::now();
    crowd.books.note("the first server's cable to Redis hangs");
    cluster.cables().redis.hang();
    says(&cluster, 0, "WARN  bus] down: ");
    crowd.more_done(100);
    crowd.books.note("it is mended");
    cluster.cables().redis.mend();
    crowd.more_done(100);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn one_server_is_cut_from_mariadb_for_a_while() {
    let (cluster, crowd) = scene("a cable to MariaDB cut");
    let begun = Instant::now();
    crowd.books.note("the first server's cable to MariaDB is cut");
    cluster.cables().mariadb.cut();
    // Somebody does not hear that.
    crowd.wait("what needs it is refused, or delivered all the same", |books| {
        crate::crowd::answers_since(books, begun, &|_| true) >= 100
    });
    crowd.books.note("it is mended");
    cluster.cables().mariadb.mend();
    crowd.more_done(100);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn one_server_that_hangs_on_mariadb_is_declared_dead_and_starts_afresh() {
    let (cluster, crowd) = scene("a cable to MariaDB hangs");
    crowd.books.note("the first server's cable to MariaDB hangs");
    cluster.cables().mariadb.hang();
    says(&cluster, 1, "declared dead");
    crowd.books.note("it is mended");
    cluster.cables().mariadb.mend();
    let mended = Instant::now();
    says(&cluster, 0, "this server was declared dead");
    crowd.wait("its clients are thrown out", |books| books.closed_by_servers_since(mended) > 0);
    crowd.all_are_here();
    crowd.more_done(100);
    crowd.finish();
}
