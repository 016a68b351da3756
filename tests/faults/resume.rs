//! A server dies and all of its clients come back at once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crowd::enrol;
use crate::rng::{Rng, seed};
use crate::support::cluster::Cluster;
use crate::support::door::{Door, Person};
use crate::support::wire::{Incoming, Wire};

const SESSIONS: usize = 1_000;

/// What somebody says to all of them while they are away.
const TEXT: &str = "who is left?";

/// So many threads log them in, each its share at once.
const THREADS: usize = 8;

/// When all are back. With a token nobody has to wait until the dead server is
/// noticed.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// An answer to one login.
const REPLY_DEADLINE: Duration = Duration::from_secs(10);

/// Somebody's connection and what came with the login.
struct Session {
    person: Person,
    wire: Wire,
    welcome: Value,
}

/// Logs everybody in at a server, each by the token if there is one, and tries
/// again with who is refused for now.
fn log_in_all(server: &impl Door, people: Vec<(Person, Option<String>)>) -> Vec<Session> {
    let address = server.address();
    let share = people.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        let shares: Vec<_> = people.chunks(share).map(<[_]>::to_vec).collect();
        let threads: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(number, share)| {
                scope.spawn(move || log_in_share(address, share, Rng::new(seed(), number as u64)))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn log_in_share(
    address: std::net::SocketAddr,
    mut waiting: Vec<(Person, Option<String>)>,
    mut rng: Rng,
) -> Vec<Session> {
    let begun = Instant::now();
    let mut sessions = Vec::new();
    while !waiting.is_empty() {
        assert!(begun.elapsed() < BACK_WITHIN, "{} cannot log in", waiting.len());
        let mut asked = Vec::new();
        for (person, token) in waiting.drain(..) {
            let mut wire = Wire::connect(address);
            wire.send_text(&login(&person, token.as_deref()).to_string());
            asked.push((person, token, wire));
        }
        for (person, token, mut wire) in asked {
            let welcome = match wire.read(REPLY_DEADLINE) {
                Incoming::Frame(welcome) => welcome,
                other => panic!("{} gets no answer to the login: {other:?}", person.name),
            };
            match welcome["errno"].as_i64().unwrap() {
                0 => sessions.push(Session { person, wire, welcome }),
                1 if token.is_some() => waiting.push((person, None)),
                2 | 12 | 13 => waiting.push((person, token)),
                _ => panic!("{} cannot log in: {welcome}", person.name),
            }
        }
        if !waiting.is_empty() {
            std::thread::park_timeout(rng.around(Duration::from_millis(500)));
        }
    }
    sessions
}

fn login(person: &Person, token: Option<&str>) -> Value {
    match token {
        Some(token) => json!({"msgid": 1, "id": person.id, "token": token, "ack": true}),
        None => json!({"msgid": 1, "id": person.id, "password": person.password,
            "ack": true, "takeover": true}),
    }
}

impl Session {
    /// Whether this message has come, with the login or after it.
    fn gets(&mut self, text: &str) -> bool {
        let missed = self.welcome["offlinemsg"].as_array().unwrap();
        let parse = |missed: &Value| serde_json::from_str(missed.as_str().unwrap()).unwrap();
        if missed.iter().map(parse).any(|missed: Value| missed["msg"] == text) {
            return true;
        }
        loop {
            match self.wire.read(REPLY_DEADLINE) {
                Incoming::Frame(frame) if frame["msg"] == text => return true,
                Incoming::Frame(_) => {}
                Incoming::Closed | Incoming::Silence => return false,
            }
        }
    }
}

#[test]
fn a_thousand_sessions_of_a_killed_server_are_back_at_once() {
    println!("CHAT_FAULT_SEED={}", seed());
    let mut cluster = Cluster::start();
    let people = enrol(&mut cluster.database.connect(), SESSIONS);
    let mut alice = cluster.servers[1].enter("alice");
    let people = people.into_iter().map(|person| (person, None)).collect();
    let sessions = log_in_all(&cluster.servers[0], people);
    assert_eq!(sessions.len(), SESSIONS);

    cluster.servers[0].kill9();
    let killed = Instant::now();
    // Somebody writes to all of them before anybody knows.
    let tell = |session: &Session| json!({"msgid": 6, "to": session.person.id, "msg": TEXT});
    let told = alice.send_all(sessions.iter().map(tell).collect());
    let people = sessions.into_iter().map(|session| {
        let token = session.welcome["token"].as_str().map(str::to_owned);
        (session.person, token)
    });
    let mut sessions = log_in_all(&cluster.servers[1], people.collect());
    assert_eq!(sessions.len(), SESSIONS);
    println!("all are back after {:?}", killed.elapsed());
    assert!(killed.elapsed() < BACK_WITHIN, "took {:?}", killed.elapsed());
    for one in told {
        alice.reply_to(one).done();
    }
    for session in &mut sessions {
        let name = session.person.name.clone();
        assert!(session.gets(TEXT), "{name} has not got what was said meanwhile");
    }
}
