//! Ordinary people among thousands who mean no good. The small scenario is a
//! test; the large one measures, and prints what docs/security.md says:
//!
//! ```text
//! cargo test --release --test abuse -- --ignored --nocapture
//! ```

// Tests unwrap; what is not there fails them.
#![allow(clippy::unwrap_used)]

mod crowd;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crowd::Crowd;
use support::client::TestClient;
use support::door::Door;
use support::server::{ServerPlan, TestServer};
use support::wait::eventually;

/// Memory that a server may hold beside its connections' buffers.
const BESIDE_BUFFERS_KIB: u64 = 96 * 1024;
/// Buffers of the small scenario's server.
const SMALL_BUFFERS_BYTES: u64 = 8 << 20;

/// Two people who talk.
struct Pair {
    one: TestClient,
    other: TestClient,
}

impl Pair {
    fn meet(server: &TestServer, number: usize) -> Pair {
        let (one, other) = (format!("one {number}"), format!("other {number}"));
        let (one, other) = (server.register(&one), server.register(&other));
        Pair { one: server.login(&one), other: server.login(&other) }
    }

    /// One message: from its sending until it has arrived and is answered.
    fn talk(&mut self) -> Duration {
        let begun = Instant::now();
        let posted = self.one.post(&self.other.person(), "how are you?");
        assert_eq!(self.other.next_text(), "how are you?");
        assert_eq!(self.one.status(posted), "delivered");
        begun.elapsed()
    }
}

/// Has the pairs talk in turn for so long, a message every 10 ms at most.
fn talk_for(pairs: &mut [Pair], time: Duration) -> Vec<Duration> {
    let end = Instant::now() + time;
    let mut latencies = Vec::new();
    for turn in 0.. {
        if Instant::now() >= end {
            break;
        }
        let latency = pairs[turn % pairs.len()].talk();
        latencies.push(latency);
        // The pace of people, not a wait for anything.
        std::thread::sleep(Duration::from_millis(10).saturating_sub(latency));
    }
    latencies.sort();
    latencies
}

/// Some who are logged in and flood each other with messages.
fn quarrelers(server: &TestServer, count: usize) -> Vec<(std::net::TcpStream, String)> {
    let names = (0..count).map(|number| format!("quarreler {number}"));
    let people: Vec<_> = names.map(|name| server.register(&name)).collect();
    let others = people.iter().cycle().skip(1);
    let clients = people.iter().zip(others).map(|(person, other)| {
        let text = format!(r#"{{"msgid":6,"to":{},"msg":"flood"}}"#, other.id);
        (server.login(person).into_stream(), text)
    });
    clients.collect()
}

#[test]
fn people_go_on_talking_among_a_crowd_that_means_no_good() {
    let plan = ServerPlan::new().flag("--max-anonymous", 0).flag("--message-spare", 5000);
    let server = plan.flag("--max-buffers", SMALL_BUFFERS_BYTES).start();
    let mut pairs: Vec<Pair> = (0..3).map(|number| Pair::meet(&server, number)).collect();
    let quarrelers = quarrelers(&server, 10);
    // Password hashes have had their memory by now.
    let before = server.memory_kib();
    let crowd = Crowd::connect(server.address(), 300, quarrelers);
    eventually("the crowd is refused, and what it never reads is stopped", SLOWLY, || {
        talk_for(&mut pairs, Duration::from_millis(200));
        server.log().contains("throttled requests") && crowd.read_bytes() > 0
    });
    for pair in &mut pairs {
        pair.talk();
    }
    let grown = server.memory_kib().saturating_sub(before);
    let bound = BESIDE_BUFFERS_KIB + SMALL_BUFFERS_BYTES / 1024;
    assert!(grown <= bound, "{grown} KiB more than before");
    drop(crowd);
    Pair::meet(&server, 3).talk();
}

const SLOWLY: Duration = Duration::from_secs(60);

#[test]
#[ignore = "measures; run it in release mode on a quiet machine"]
fn five_thousand_who_mean_no_good() {
    let plan = ServerPlan::new().flag("--max-anonymous", 0).flag("--registrations", 0);
    let server = plan.start();
    let mut pairs: Vec<Pair> = (0..20).map(|number| Pair::meet(&server, number)).collect();
    let quarrelers = quarrelers(&server, 200);
    talk_for(&mut pairs, Duration::from_secs(2));
    let unloaded = talk_for(&mut pairs, Duration::from_secs(10));
    report("alone", &unloaded, &server);
    let crowd = Crowd::connect(server.address(), 4800, quarrelers);
    let burst = talk_for(&mut pairs, Duration::from_secs(10));
    report("the first 10 s of the crowd", &burst, &server);
    let later = talk_for(&mut pairs, Duration::from_secs(30));
    report("the next 30 s", &later, &server);
    println!("{}", crowd.summary());
    drop(crowd);
    talk_for(&mut pairs, Duration::from_secs(2));
    report("after the crowd", &talk_for(&mut pairs, Duration::from_secs(5)), &server);
}

/// Prints a line of the table.
fn report(when: &str, latencies: &[Duration], server: &TestServer) {
    let at = |share: f64| {
        let index = ((latencies.len() as f64 * share) as usize).min(latencies.len() - 1);
        latencies[index].as_secs_f64() * 1000.0
    };
    println!(
        "{when}: {} messages, p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms, server {} MiB",
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        server.memory_kib() / 1024
    );
}

impl Crowd {
    fn read_bytes(&self) -> usize {
        self.counts().read_bytes.load(Ordering::Relaxed)
    }

    fn summary(&self) -> String {
        let counts = self.counts();
        format!(
            "the crowd sent {} MiB, read {} MiB, {} of its connections were closed",
            counts.sent_bytes.load(Ordering::Relaxed) >> 20,
            counts.read_bytes.load(Ordering::Relaxed) >> 20,
            counts.closed.load(Ordering::Relaxed)
        )
    }
}
