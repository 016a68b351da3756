//! How long a token lives, what ends it, and that nobody can read it.

use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::Queryable;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::cluster::Cluster;
use crate::support::door::{Door, Person, User};
use crate::support::server::TestServer;
use crate::support::wait::{SOON, eventually};
use crate::support::world::World;

stories! { everywhere:
    a_token_brings_back_somebody_who_is_offline,
    a_frame_sent_together_with_the_login_does_not_end_the_former_token,
    of_twenty_that_resume_at_once_one_stands,
}

fn a_token_brings_back_somebody_who_is_offline(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().enter_confirming("bob");
    alice.befriend(&bob).done();
    let (person, token) = (bob.person(), bob.token());
    drop(bob);
    eventually("bob is offline", SOON, || alice.friends() == ["bob:offline"]);
    assert_eq!(alice.tell(&person, "missed"), "stored");
    let mut bob = world.near().resume(&person, &token);
    assert_eq!(bob.missed_texts(), ["missed"]);
    assert_eq!(alice.friends(), ["bob:online"]);
    bob.confirm(1);
    bob.log_out();
    // The log-out has ended this one and its former one.
    world.far().connect().resume(&person, &token).refused(1);
}

fn a_frame_sent_together_with_the_login_does_not_end_the_former_token(world: &World) {
    let bob = world.near().enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    for door in [world.far(), world.near(), world.far()] {
        let mut phone = door.connect();
        let login = json!({"msgid": 1, "id": person.id, "token": token, "ack": true});
        let together = phone.send_all(vec![login, json!({"msgid": 15}), json!({"msgid": 13})]);
        // All of it is answered; then the answers are lost.
        for one in together {
            phone.reply_to(one).done();
        }
    }
    let mut phone = world.near().resume(&person, &token);
    phone.ping();
}

fn of_twenty_that_resume_at_once_one_stands(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.near().enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    let mut phones: Vec<(TestClient, Value)> = thread::scope(|scope| {
        let resuming: Vec<_> = (0..20)
            .map(|n| {
                let door = if n % 2 == 0 { world.near() } else { world.far() };
                let (person, token) = (&person, &token);
                scope.spawn(move || {
                    let mut phone = door.connect();
                    let login = json!({"msgid": 1, "id": person.id, "token": token, "ack": true});
                    let login = phone.send(login);
                    // One that was granted may be taken over before it hears so.
                    let Some(reply) = phone.reply_within(login, SOON) else {
                        phone.expect_closed();
                        return None;
                    };
                    assert!([0, 13].contains(&reply.errno()), "{reply:?}");
                    (reply.errno() == 0).then_some((phone, reply["token"].clone()))
                })
            })
            .collect();
        resuming.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    phones.push((bob, json!(token)));
    eventually("all but one are closed", SOON, || {
        phones.retain_mut(|(phone, _)| phone.is_open());
        assert!(!phones.is_empty(), "the last that was granted stands");
        phones.len() == 1
    });
    let (mut last, newest) = phones.remove(0);
    let posted = alice.post(&person, "hello");
    assert_eq!(last.next_text(), "hello");
    last.confirm(1);
    // Stored first, where a late word of a former session has just had it look
    // for what that one left.
    assert!(["delivered", "stored"].contains(&&*alice.status(posted)));
    assert_eq!(last.tell(&alice, "hello yourself"), "delivered");
    // Its token is the one that is valid; theirs are of no use.
    world.far().resume(&person, newest.as_str().unwrap());
}

/// Bob comes back by token after `restart`.
fn resumes_after(server: &mut TestServer, restart: impl FnOnce(&mut TestServer)) {
    let bob = server.enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    restart(server);
    let mut phone = server.resume(&person, &token);
    phone.ping();
    assert_ne!(phone.token(), token);
}

#[test]
fn a_token_is_valid_after_a_restart() {
    let mut server = TestServer::start();
    resumes_after(&mut server, |server| {
        assert_eq!(server.stop(), Some(0));
        server.restart();
    });
}

#[test]
fn a_token_is_valid_after_a_crash() {
    let mut server = TestServer::start();
    resumes_after(&mut server, |server| {
        server.kill9();
        server.restart();
    });
}

#[test]
fn a_token_is_valid_after_the_whole_cluster_was_restarted() {
    let mut cluster = Cluster::start();
    let bob = cluster.servers[0].enter_confirming("bob");
    let (person, token) = (bob.person(), bob.token());
    for server in &mut cluster.servers {
        assert_eq!(server.stop(), Some(0));
    }
    cluster.servers.iter_mut().for_each(TestServer::restart);
    cluster.servers[1].resume(&person, &token).ping();
}

/// Bob, offline, and his two tokens: the former one is still valid.
fn leave_with_two_tokens(server: &TestServer) -> (Person, [String; 2]) {
    let bob = server.enter_confirming("bob");
    let (person, first) = (bob.person(), bob.token());
    drop(bob);
    let phone = server.resume(&person, &first);
    let second = phone.token();
    let mut alice = server.enter("alice");
    alice.befriend(&person).done();
    drop(phone);
    eventually("bob is offline", SOON, || alice.friends() == ["bob:offline"]);
    (person, [first, second])
}

/// Ends every token's life, as seven days without use do.
const EXPIRE: &str = "UPDATE LoginToken SET expires = 1";

#[track_caller]
fn expect_expired(server: &TestServer, person: &Person, tokens: &[String]) {
    for token in tokens {
        server.connect().resume(person, token).refused(1);
    }
    // The password makes a new one.
    let bob = server.login(person);
    server.resume(person, &bob.token()).ping();
}

#[test]
fn an_expired_token_is_refused_by_the_embedded_database() {
    let server = TestServer::start();
    let (person, tokens) = leave_with_two_tokens(&server);
    let database = sqlite(&server);
    assert_eq!(database.execute(EXPIRE, []).unwrap(), 3, "bob's two and alice's");
    expect_expired(&server, &person, &tokens);
}

#[test]
fn an_expired_token_is_refused_by_every_server_of_a_cluster() {
    let cluster = Cluster::start();
    let (person, tokens) = leave_with_two_tokens(&cluster.servers[0]);
    cluster.database.connect().query_drop(EXPIRE).unwrap();
    for server in &cluster.servers {
        for token in &tokens {
            server.connect().resume(&person, token).refused(1);
        }
    }
    expect_expired(&cluster.servers[1], &person, &tokens);
}

fn sqlite(server: &TestServer) -> rusqlite::Connection {
    let database = rusqlite::Connection::open(server.sqlite_file()).unwrap();
    database.busy_timeout(SOON).unwrap();
    database
}

/// The secrets of a conversation whose traces are looked for afterwards.
fn secrets(server: &TestServer) -> (Vec<TestClient>, Vec<String>) {
    let bob = server.enter_confirming("bob");
    let phone = server.resume(&bob.person(), &bob.token());
    let password = bob.me().password.clone();
    let secrets = vec![bob.token(), phone.token(), password];
    (vec![bob, phone], secrets)
}

/// No value of the database is, or holds, one of the secrets.
#[track_caller]
fn expect_kept(values: &[Vec<u8>], secrets: &[String]) {
    assert!(values.iter().any(|value| value == b"bob"), "the name is there in plain");
    for secret in secrets {
        let found = values.iter().any(|value| contains(value, secret));
        assert!(!found, "{secret} is there in plain");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()))
}

#[test]
fn the_embedded_database_and_the_log_hold_no_token_in_plain() {
    let server = TestServer::start();
    let (_clients, secrets) = secrets(&server);
    let database = sqlite(&server);
    let mut tables =
        database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().flatten().collect();
    let mut values = Vec::new();
    for table in tables {
        let mut all = database.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            values.extend((0..columns).filter_map(|n| match row.get_ref_unwrap(n) {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec()),
                _ => None,
            }));
        }
    }
    expect_kept(&values, &secrets);
    // Nor do its files, where deleted rows live on, or the log.
    let mut files = vec![server.log().into_bytes()];
    for entry in std::fs::read_dir(server.sqlite_file().parent().unwrap()).unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(files.iter().any(|file| contains(file, "LoginToken")), "the files were read");
    for secret in &secrets {
        assert!(!files.iter().any(|file| contains(file, secret)), "{secret} is in a file");
    }
}

#[test]
fn a_shared_database_and_the_logs_hold_no_token_in_plain() {
    let cluster = Cluster::start();
    let (_clients, secrets) = secrets(&cluster.servers[0]);
    let mut database = cluster.database.connect();
    let tables: Vec<String> = database.query("SHOW TABLES").unwrap();
    let mut values = Vec::new();
    for table in tables {
        let rows: Vec<mysql::Row> = database.query(format!("SELECT * FROM `{table}`")).unwrap();
        values.extend(rows.into_iter().flat_map(mysql::Row::unwrap).filter_map(
            |value| match value {
                mysql::Value::Bytes(bytes) => Some(bytes),
                _ => None,
            },
        ));
    }
    expect_kept(&values, &secrets);
    for server in &cluster.servers {
        for secret in &secrets {
            assert!(!server.log().contains(secret), "{secret} is in a log");
        }
    }
}

/// How many sessions a dying server takes with it.
const CROWD: i64 = 200;

#[test]
fn two_hundred_sessions_of_a_dead_server_resume_at_once_on_the_other() {
    let mut cluster = Cluster::start();
    let alice = cluster.servers[1].enter("alice");
    // Two hundred password hashes for accounts that nobody cares for would
    // take longer than the story.
    let copy = "INSERT INTO User (name, password) SELECT ?, password FROM User WHERE id = ?";
    let mut database = cluster.database.connect();
    for n in 0..CROWD {
        database.exec_drop(copy, (format!("user{n}"), alice.id())).unwrap();
    }
    let people: Vec<(i64, String)> =
        database.query("SELECT id, name FROM User WHERE name LIKE 'user%'").unwrap();
    let password = alice.me().password.clone();
    let person = |(id, name)| Person { id, name, password: password.clone() };
    let people: Vec<Person> = people.into_iter().map(person).collect();
    assert_eq!(people.len(), CROWD as usize);
    let enter = |person: &Person| cluster.servers[0].login_confirming(person);
    // By password not all at once: too many of those wait for each other.
    let sessions = people.chunks(20).flat_map(|some| at_once(some, enter));
    let tokens: Vec<(Person, String)> =
        sessions.map(|client| (client.person(), client.token())).collect();
    let (dying, other) = cluster.two();
    dying.kill9();
    let begun = Instant::now();
    let mut phones = at_once(&tokens, |(person, token)| other.resume(person, token));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "200 resumes took {took:?}");
    // Everybody is there: each writes to the next, who confirms.
    let posted: Vec<_> = (0..phones.len())
        .map(|n| {
            let next = phones[(n + 1) % phones.len()].person();
            phones[n].post(&next, "here")
        })
        .collect();
    for phone in &mut phones {
        assert_eq!(phone.next_text(), "here");
        phone.confirm(1);
    }
    for (phone, posted) in phones.iter_mut().zip(posted) {
        assert_eq!(phone.status(posted), "delivered");
    }
}

/// Does it for all of them, each in a thread of its own.
fn at_once<T: Sync, R: Send>(all: &[T], what: impl Fn(&T) -> R + Sync) -> Vec<R> {
    thread::scope(|scope| {
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(|| what(one))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
