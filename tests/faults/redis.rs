//! Redis dies, hangs and forgets under load. It is a hint between servers:
//! nobody is thrown out, and nothing is lost.

use std::time::Instant;

use crate::crowd::Crowd;
use crate::servers::everywhere;
use crate::support::cluster::Cluster;
use crate::support::wait::{SOON, eventually};

/// Every server has said so since the others have.
fn all_say(cluster: &Cluster, what: &str, times: usize) {
    eventually(what, SOON, || {
        cluster.servers.iter().all(|server| server.log().matches(what).count() >= times)
    });
}

const DOWN: &str = "WARN  bus] down: ";
const UP: &str = "INFO  bus] up: ";

#[test]
fn redis_is_killed_and_started_under_load() {
    let mut cluster = Cluster::start();
    let crowd = Crowd::gather("Redis killed", &cluster.database, everywhere(&cluster));
    let begun = Instant::now();
    crowd.talk();
    crowd.more_done(60);
    for round in 1..=2 {
        crowd.books.note("Redis is killed");
        cluster.redis.kill();
        all_say(&cluster, DOWN, round);
        crowd.more_done(60);
        crowd.books.note("Redis is started");
        cluster.redis.restart();
        all_say(&cluster, UP, round + 1);
        crowd.more_done(60);
    }
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn redis_hangs_and_goes_on_under_load() {
    let cluster = Cluster::start();
    let crowd = Crowd::gather("Redis frozen", &cluster.database, everywhere(&cluster));
    let begun = Instant::now();
    crowd.talk();
    crowd.more_done(60);
    crowd.books.note("Redis is frozen");
    cluster.redis.freeze();
    all_say(&cluster, DOWN, 1);
    crowd.more_done(80);
    crowd.books.note("Redis goes on");
    cluster.redis.thaw();
    all_say(&cluster, UP, 2);
    crowd.more_done(80);
    // Too short for anybody to notice.
    crowd.books.note("Redis hangs for a moment");
    cluster.redis.freeze();
    crowd.more_done(5);
    cluster.redis.thaw();
    crowd.more_done(60);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn redis_forgets_everything_under_load() {
    let cluster = Cluster::start();
    let crowd = Crowd::gather("FLUSHALL", &cluster.database, everywhere(&cluster));
    let begun = Instant::now();
    crowd.talk();
    for _ in 0..5 {
        crowd.more_done(50);
        crowd.books.note("FLUSHALL");
        redis::cmd("FLUSHALL").exec(&mut cluster.redis.redis_client()).unwrap();
    }
    crowd.more_done(50);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}
