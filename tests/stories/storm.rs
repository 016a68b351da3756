//! Everybody comes at once: the morning's logins by password, and the return by
//! token after a server has died. Those for whom there is no room hear when to
//! come back, whoever does as told gets in, and who is there already does not
//! notice.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person};
use crate::support::server::{ServerPlan, TestServer};

/// More than twice what may wait for the one password thread.
const CROWD: usize = 150;
/// How often somebody may have to ask who waits as long as they are told.
const MOST_ATTEMPTS: usize = 6;
/// Memory of a server after so many hashes, one at a time, 19 MiB each.
const MOST_MEMORY_KIB: u64 = 64 * 1024;

/// Somebody who has got in at last.
struct Arrival {
    client: TestClient,
    /// The pauses, in seconds, that they were told to make.
    told: Vec<u64>,
    attempts: usize,
}

/// Logs in and, where that is refused for want of room, waits as told and
/// tries again.
#[track_caller]
fn come_in(mut client: TestClient, person: &Person, login: &Value) -> Arrival {
    let mut told = Vec::new();
    for attempts in 1..=MOST_ATTEMPTS {
        let reply = client.log_in_with(person, login.clone());
        let pause = match reply.errno() {
            0 => return Arrival { client, told, attempts },
            12 => {
                let pause = reply["retry_after"].as_u64();
                let pause = pause.unwrap_or_else(|| panic!("no hint in {reply:?}"));
                told.push(pause);
                pause
            }
            // It has waited for three seconds, on a slow machine.
            13 => 1,
            _ => panic!("{reply:?}"),
        };
        let pushed = client.push_within(Duration::from_secs(pause));
        assert_eq!(pushed, None, "nothing is pushed to somebody who waits outside");
    }
    panic!("{} is not in after {MOST_ATTEMPTS} attempts", person.name);
}

/// Has everybody log in at the same moment, each from an address of their own,
/// and waits for them after `meanwhile`, which is told who is on the way.
fn storm(
    server: &TestServer,
    logins: &[(Person, Value)],
    meanwhile: impl FnOnce(&[ScopedJoinHandle<'_, Arrival>]),
) -> Vec<Arrival> {
    let start = Barrier::new(logins.len() + 1);
    let start = &start;
    thread::scope(|scope| {
        let crowd: Vec<_> = logins
            .iter()
            .zip(1..)
            .map(|((person, login), number)| {
                let from = IpAddr::from([127, 0, 1, number]);
                scope.spawn(move || {
                    let client = TestClient::connect_from(from, server.address());
                    start.wait();
                    come_in(client, person, login)
                })
            })
            .collect();
        start.wait();
        meanwhile(&crowd);
        crowd.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn everybody_gets_in_at_once_by_password_and_after_a_crash_by_token() {
    let plan = ServerPlan::new().flag("--hash-threads", 1);
    let mut server = plan.flag("--registrations", 0).start();
    let by_password = |number| {
        let person = server.register(&format!("person {number}"));
        let login = json!({"msgid": 1, "id": person.id, "password": person.password});
        (person, login)
    };
    let logins: Vec<_> = (0..CROWD).map(by_password).collect();
    let (mut alice, mut bob) = (server.enter("alice"), server.enter("bob"));
    let arrivals = storm(&server, &logins, |crowd| {
        for number in 0..50 {
            assert_eq!(alice.tell(&bob, &format!("message {number}")), "delivered");
            assert_eq!(bob.next_text(), format!("message {number}"));
        }
        let outside = crowd.iter().filter(|one| !one.is_finished()).count();
        assert!(outside > CROWD / 2, "they talk in the middle of it: {outside} are outside");
    });
    expect_spread_hints(&arrivals);
    let memory = server.memory_kib();
    assert!(memory < MOST_MEMORY_KIB, "some 300 hashes left {memory} KiB behind");

    let by_token = |(arrival, (person, _)): (&Arrival, &(Person, Value))| {
        let token = arrival.client.token();
        (person.clone(), json!({"msgid": 1, "id": person.id, "token": token, "ack": true}))
    };
    let logins: Vec<_> = arrivals.iter().zip(&logins).map(by_token).collect();
    server.kill9();
    server.restart();
    let mut arrivals = storm(&server, &logins, |_| ());
    let refused = arrivals.iter().filter(|one| !one.told.is_empty()).count();
    assert_eq!(refused, 0, "a token waits for no password thread");
    let neighbours: Vec<Person> = arrivals.iter().map(|one| one.client.person()).collect();
    for (arrival, neighbour) in arrivals.iter_mut().zip(neighbours.iter().cycle().skip(1)) {
        arrival.client.post(neighbour, "back again");
    }
    for arrival in &mut arrivals {
        assert_eq!(arrival.client.next_text(), "back again");
    }
}

/// Most were refused at first, and were not all told to come back at once.
#[track_caller]
fn expect_spread_hints(arrivals: &[Arrival]) {
    let refused = arrivals.iter().filter(|one| one.attempts > 1).count();
    assert!(refused > CROWD / 2, "there was no room for most of them: {refused}");
    let mut hints = BTreeMap::new();
    for first in arrivals.iter().filter_map(|one| one.told.first()) {
        *hints.entry(*first).or_insert(0) += 1;
    }
    let told: usize = hints.values().sum();
    let most_at_once = hints.values().max().copied().unwrap_or(0);
    assert!(most_at_once < told * 2 / 3, "they would come back at once: {hints:?}");
    assert!(hints.keys().all(|pause| (1..=60).contains(pause)), "{hints:?}");
}
