//! Clients that are slow, restless, or read nothing at all: their senders are
//! answered, and they get everything in the end.

use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::member::Order;
use crate::role::{Confirms, Role};
use crate::servers::{everywhere, two_homes};
use crate::support::cluster::Cluster;

/// One who listens at the first server, and eight at both who write to nobody
/// else.
fn one_for_all(cluster: &Cluster, recipient: Role, pace: Duration, text: usize) -> Vec<Role> {
    let (one, other) = two_homes(cluster);
    let mut roles = vec![recipient.listening()];
    for place in 1..=8 {
        let home = if place % 2 == 0 { &one } else { &other };
        roles.push(Role::at(home).every(pace).to(&[0]).text_length(text));
    }
    roles
}

/// The reader of the next two stories. Its host takes little in advance.
fn reader(cluster: &Cluster) -> Role {
    Role::at(&two_homes(cluster).0).receive_buffer(16_384).patient()
}

#[test]
fn a_reader_that_stops_reading_gets_everything_when_it_reads_on() {
    let cluster = Cluster::start();
    let roles = one_for_all(&cluster, reader(&cluster), Duration::from_millis(100), 3_000);
    let crowd = Crowd::gather("a reader pauses", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(80);
    crowd.books.note("the reader stops reading");
    crowd.member(0).tell(Order::Read(false));
    let stopped = Instant::now();
    // Its senders do not wait for it.
    crowd.answers_since(stopped, 400, "what it does not read is stored", |a| a.answer.is_stored());
    crowd.books.note("the reader reads on");
    crowd.member(0).tell(Order::Read(true));
    crowd.more_done(80);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn a_reader_that_never_reads_is_thrown_out_and_gets_everything_when_it_comes_back() {
    let cluster = Cluster::plan().flag("--write-timeout", 3).start();
    // More than what sockets take in advance, within `--ack-timeout`.
    let roles = one_for_all(&cluster, reader(&cluster), Duration::from_millis(100), 20_000);
    let crowd = Crowd::gather("a reader is thrown out", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(80);
    crowd.books.note("the reader stops reading");
    crowd.member(0).tell(Order::Read(false));
    crowd.wait("the reader is thrown out", |_| {
        let log = cluster.servers[0].log();
        log.contains("took nothing for 3 s") || log.contains("slow reader")
    });
    crowd.more_done(100);
    crowd.books.note("the reader reads on");
    let read_on = Instant::now();
    crowd.member(0).tell(Order::Read(true));
    crowd.wait("it notices", |books| books.closed_by_servers_since(read_on) == 1);
    crowd.all_are_here();
    crowd.more_done(80);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn recipients_leave_and_come_back_all_the_time() {
    let cluster = Cluster::start();
    let mut roles = everywhere(&cluster);
    for (place, role) in roles.iter_mut().enumerate() {
        match place {
            // These write, too.
            0 | 1 => role.stays = Some(Duration::from_millis(600)),
            2..=4 => *role = role.clone().listening().stays(Duration::from_millis(200)),
            _ => role.pace = Some(Duration::from_millis(120)),
        }
    }
    let crowd = Crowd::gather("restless recipients", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(400);
    crowd.finish();
}

#[test]
fn clients_that_do_not_confirm_get_everything_while_their_connection_lasts() {
    let cluster = Cluster::start();
    let mut roles = everywhere(&cluster);
    for role in roles.iter_mut().skip(4) {
        *role = role.clone().confirms(Confirms::Not);
    }
    let crowd = Crowd::gather("plain clients", &cluster.database, roles);
    crowd.talk();
    crowd.more_done(200);
    crowd.all_was_answered_in_time();
    crowd.finish();
}

#[test]
fn what_is_confirmed_late_is_stored_and_deleted_again() {
    let cluster = Cluster::plan().flag("--ack-timeout", 1).start();
    let mut roles = everywhere(&cluster);
    for role in roles.iter_mut().take(3) {
        *role = role.clone().confirms(Confirms::After(Duration::from_secs(2)));
    }
    let crowd = Crowd::gather("slow confirmers", &cluster.database, roles);
    let begun = Instant::now();
    crowd.talk();
    crowd.more_done(200);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    assert!(crowd.books.count(|m| m.answers.iter().any(|a| a.answer.is_stored())) > 20);
    // The confirmation deletes it, not another login.
    crowd.hush();
    crowd.nothing_is_left_in_the_database();
    crowd.finish();
}

#[test]
fn somebody_with_hundreds_of_unconfirmed_messages_gets_everything() {
    let cluster = Cluster::start();
    let never = Confirms::After(Duration::from_secs(600));
    let recipient = Role::at(&two_homes(&cluster).0).confirms(never);
    let roles = one_for_all(&cluster, recipient, Duration::from_millis(25), 60);
    let crowd = Crowd::gather("many unconfirmed", &cluster.database, roles);
    let begun = Instant::now();
    crowd.talk();
    // 512 are pushed at most; what comes then is stored at once.
    crowd.more_done(1_000);
    assert!(crowd.books.count(|m| m.done().is_some_and(|a| a.answer.is_stored())) >= 990);
    crowd.books.note("the recipient begins to confirm");
    crowd.member(0).tell(Order::Confirm(Confirms::Promptly));
    crowd.more_done(200);
    crowd.nobody_was_thrown_out_since(begun);
    crowd.all_was_answered_in_time();
    crowd.hush();
    crowd.nothing_is_left_in_the_database();
    crowd.finish();
}
