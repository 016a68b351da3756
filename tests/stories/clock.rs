//! The wall clock of a server's machine jumps: only the times that people read
//! jump with it.
//!
//! The servers run under libfaketime, which fakes what the system says of the
//! wall clock and leaves the monotonic clock alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::TestClient;
use crate::support::door::Door;
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services::{Database, Service};
use crate::support::wait::{SOON, eventually};

/// Short, so that a clock that is set back would show: the silent one would
/// not be closed for two years.
const IDLE: Duration = Duration::from_secs(2);

/// A machine whose wall clock can be set.
struct Machine {
    server: TestServer,
    /// What the clock is off by, in a form that libfaketime reads.
    clock: PathBuf,
}

impl Machine {
    /// Starts a server whose clock is right.
    #[track_caller]
    fn start(plan: ServerPlan) -> Machine {
        let clock = plan.dir().join("clock");
        std::fs::write(&clock, "+0\n").unwrap();
        let server = plan
            .flag("--idle-timeout", IDLE.as_secs())
            .environment("LD_PRELOAD", libfaketime())
            .environment("FAKETIME_TIMESTAMP_FILE", clock.display())
            .environment("FAKETIME_NO_CACHE", 1)
            .environment("FAKETIME_DONT_FAKE_MONOTONIC", 1)
            .start();
        Machine { server, clock }
    }

    /// The clock is off by so many years from now on.
    fn set_off_by(&self, years: i32) {
        // By way of a rename: it is read at any moment.
        let new = self.clock.with_extension("new");
        std::fs::write(&new, format!("{years:+}y\n")).unwrap();
        std::fs::rename(&new, &self.clock).unwrap();
    }
}

/// The variant for programs with threads.
fn libfaketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = folders
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists());
    found.expect("libfaketime is installed: scripts/services.sh check").display().to_string()
}

/// The year that a server puts into a message that comes without a time.
#[track_caller]
fn year_of_messages(from: &mut TestClient, to: &mut TestClient) -> i32 {
    from.tell(to.me(), "what time is it?");
    let push = to.next_push();
    let time = push["time"].as_str().unwrap();
    time.split('-').next().unwrap().parse().unwrap()
}

/// Sessions of a server through jumps of its clock: those who chat, confirm
/// and ping stay, in order; who is silent is closed in time, and not before.
fn live_through_jumps(machine: &Machine) {
    let server = &machine.server;
    let (mut alice, mut dave) = (server.enter("alice"), server.enter("dave"));
    let mut bob = server.enter_confirming("bob");
    let mut stranger = server.connect();
    let this_year = year_of_messages(&mut alice, &mut dave);
    let mut numbers = 0..;
    let mut next = move |count| numbers.by_ref().take(count).map(|n: u64| n.to_string()).collect();
    let mut confirmed = 0;
    for years in [1, -2, 0] {
        let mut silent = server.enter(&format!("silent{years}"));
        // Posted before the jump and confirmed after it.
        let before: Vec<String> = next(1);
        let pending = alice.post_all(&bob, &before);
        assert_eq!(bob.next_texts(1), before);
        machine.set_off_by(years);
        let jumped = Instant::now();
        eventually("the clock has jumped", SOON, || {
            stranger.ping();
            bob.ping();
            year_of_messages(&mut alice, &mut dave) == this_year + years
        });
        confirmed += 1;
        bob.confirm(confirmed);
        assert_eq!(alice.statuses(&pending), ["delivered"]);
        // A time-out that went by the wall clock would strike by now, or never.
        assert!(silent.is_open(), "nobody's time is up");
        eventually("life goes on for longer than the idle timeout", SOON, || {
            for client in [&mut alice, &mut dave, &mut stranger] {
                client.ping();
            }
            let batch = next(10);
            let posted = alice.post_all(&bob, &batch);
            assert_eq!(bob.next_texts(10), batch, "in order");
            confirmed += 10;
            bob.confirm(confirmed);
            assert_eq!(alice.statuses(&posted), ["delivered"; 10]);
            jumped.elapsed() > IDLE * 3 / 2
        });
        silent.expect_closed();
        for client in [&mut alice, &mut bob, &mut dave, &mut stranger] {
            assert!(client.is_open(), "nobody else is closed");
        }
    }
}

#[test]
fn a_jump_of_the_clock_closes_nobody_and_stops_no_time_out() {
    live_through_jumps(&Machine::start(ServerPlan::new()));
}

#[test]
fn a_jump_of_one_servers_clock_is_nothing_to_its_cluster() {
    let (database, redis) = (Database::shared(), Service::redis());
    let plan =
        || ServerPlan::new().flag("--database", database.url()).flag("--redis", redis.redis_url());
    let machine = Machine::start(plan());
    let steady = plan().start();
    let mut carol = steady.enter("carol");
    let bob = machine.server.enter_confirming("bobby");
    let (person, mut token) = (bob.person(), bob.token());
    drop(bob);
    live_through_jumps(&machine);
    for years in [1, -2] {
        machine.set_off_by(years);
        // Tokens live by the database's clock, wherever they are used.
        let mut here = machine.server.resume(&person, &token);
        let mut there = steady.resume(&person, &token);
        here.expect_closed();
        // Neither server takes the other for dead.
        let posted = carol.post(&person, "hello");
        assert_eq!(there.next_text(), "hello");
        there.confirm(1);
        assert_eq!(carol.status(posted), "delivered");
        token = there.token();
    }
}

#[test]
fn a_message_waits_no_longer_for_a_confirmation_when_the_clock_jumps() {
    let machine = Machine::start(ServerPlan::new().flag("--ack-timeout", 0.5));
    let mut alice = machine.server.enter("alice");
    let mut bob = machine.server.enter_confirming("bob");
    for years in [-2, 1] {
        let posted = alice.send(json!({"msgid": 6, "to": bob.me().id, "msg": "hello"}));
        assert_eq!(bob.next_text(), "hello");
        machine.set_off_by(years);
        assert_eq!(alice.status(posted), "stored");
        bob.ping();
    }
    assert!(bob.is_open());
}
