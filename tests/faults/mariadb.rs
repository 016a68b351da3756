//! MariaDB dies and hangs under load. What needs it is refused in time, the
//! rest goes on, and nobody is told that something is stored while it is not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::books::Answer;
use crate::crowd::{Crowd, answers_since};
use crate::role::Role;
use crate::servers::everywhere;
use crate::support::client::TestClient;
use crate::support::cluster::Cluster;
use crate::support::door::Door;

/// What needs the database is refused within three seconds, and a little on a
/// busy machine.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// A cluster with a MariaDB to break and a crowd that has warmed up, with
/// somebody who only asks for lists.
fn scene(scenario: &str) -> (Cluster, Crowd, TestClient) {
    let cluster = Cluster::plan().own_mariadb().start();
    let mut roles: Vec<Role> = everywhere(&cluster);
    for role in &mut roles {
        role.pace = Some(Duration::from_millis(150));
    }
    let crowd = Crowd::gather(scenario, &cluster.database, roles);
    let visitor = cluster.servers[0].enter("visitor");
    crowd.talk();
    // Everybody has written to everybody: nobody's existence is asked for.
    crowd.more_done(300);
    (cluster, crowd, visitor)
}

/// While MariaDB is away since `since`.
fn without_mariadb(crowd: &Crowd, visitor: &mut TestClient, since: Instant) {
    for request in [json!({"msgid": 13}), json!({"msgid": 12, "friendid": 1})] {
        let begun = Instant::now();
        visitor.request(request).refused(13);
        assert!(begun.elapsed() < REFUSED_WITHIN, "took {:?}", begun.elapsed());
    }
    let delivered = |answered: &crate::books::Answered| answered.answer == Answer::Delivered;
    crowd.answers_since(since, 40, "people who are online chat on", delivered);
}

/// Nobody was told `stored` of what was sent meanwhile.
fn nothing_was_stored_since(crowd: &Crowd, since: Instant) {
    let stored = answers_since(&crowd.books, since, &|a| a.answer.is_stored());
    if stored > 0 {
        let is_it = |message: &crate::books::Message| {
            message.sent_at() >= since && message.answers.iter().any(|a| a.answer.is_stored())
        };
        panic!("{}", crate::report::of_messages(&crowd.books, "cannot have been stored", is_it));
    }
}

#[test]
fn mariadb_is_killed_and_started_under_load() {
    let (mut cluster, crowd, mut visitor) = scene("MariaDB killed");
    let begun = Instant::now();
    crowd.books.note("MariaDB is killed");
    cluster.mariadb().kill();
    let killed = Instant::now();
    without_mariadb(&crowd, &mut visitor, killed);
    nothing_was_stored_since(&crowd, killed);
    crowd.books.note("MariaDB is started");
    cluster.mariadb().restart();
    crowd.more_done(150);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn mariadb_hangs_and_goes_on_under_load() {
    let (mut cluster, crowd, mut visitor) = scene("MariaDB frozen");
    let begun = Instant::now();
    crowd.books.note("MariaDB is frozen");
    cluster.mariadb().freeze();
    let frozen = Instant::now();
    without_mariadb(&crowd, &mut visitor, frozen);
    nothing_was_stored_since(&crowd, frozen);
    crowd.books.note("MariaDB goes on");
    cluster.mariadb().thaw();
    crowd.more_done(150);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.finish();
}
