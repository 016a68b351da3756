//! Limits on connections, tries and speed: who goes too far hears errno 12 and
//! when to come back, and nobody at another address notices.

use std::net::{IpAddr, Ipv4Addr};

use rusqlite::TransactionBehavior;
use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person};
use crate::support::server::{ServerPlan, TestServer};
use crate::support::wait::{SOON, eventually};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));

fn from_stranger(server: &TestServer) -> TestClient {
    TestClient::connect_from(STRANGER, server.address())
}

fn wrong_login(person: &Person) -> Value {
    json!({"msgid": 1, "id": person.id, "password": "a guess"})
}

/// Seconds after which a refused client may come back.
fn hint(refused: &Value) -> u64 {
    refused["retry_after"].as_u64().unwrap_or_else(|| panic!("no hint in {refused}"))
}

#[test]
fn who_guesses_passwords_has_to_wait_and_the_owner_elsewhere_has_not() {
    let server = ServerPlan::new().flag("--login-failures", 3).start();
    let alice = server.register("alice");
    let mut stranger = from_stranger(&server);
    for _ in 0..3 {
        stranger.request(wrong_login(&alice)).refused(1);
    }
    let refused = stranger.request(wrong_login(&alice)).refused(12);
    assert!((1..=2).contains(&hint(&refused)), "{refused}");
    // Not with the right password either, nor on another connection.
    from_stranger(&server).log_in(&alice).refused(12);
    server.login(&alice);
}

#[test]
fn guesses_at_an_account_that_does_not_exist_are_treated_alike() {
    let server = ServerPlan::new().flag("--login-failures", 3).start();
    let mut stranger = from_stranger(&server);
    let guess = json!({"msgid": 1, "id": 4711, "password": "a guess"});
    for _ in 0..3 {
        stranger.request(guess.clone()).refused(1);
    }
    stranger.request(guess).refused(12);
    let by_name = json!({"msgid": 1, "name": "nobody", "password": "a guess"});
    for _ in 0..3 {
        stranger.request(by_name.clone()).refused(1);
    }
    stranger.request(by_name).refused(12);
}

#[test]
fn the_right_password_after_the_pause_is_let_in() {
    let server = ServerPlan::new().flag("--login-failures", 1).start();
    let alice = server.register("alice");
    let mut client = server.connect();
    client.request(wrong_login(&alice)).refused(1);
    eventually("the pause of a second is over", SOON, || client.log_in(&alice).errno() == 0);
}

#[test]
fn one_password_tried_on_many_accounts_is_noticed() {
    let server = ServerPlan::new().flag("--address-login-failures", 5).start();
    let alice = server.register("alice");
    let mut stranger = from_stranger(&server);
    for id in 1000..1005 {
        stranger.request(json!({"msgid": 1, "id": id, "password": "123456"})).refused(1);
    }
    stranger.request(json!({"msgid": 1, "id": 2000, "password": "123456"})).refused(12);
    let mut alice = server.login(&alice);
    let token = alice.token();
    // Who comes back by token has proved enough: their address is no matter.
    from_stranger(&server).resume(&alice.person(), &token).done();
    alice.expect_closed();
}

#[test]
fn tokens_that_are_no_longer_valid_keep_nobody_from_the_password() {
    let plan = ServerPlan::new().flag("--login-failures", 3);
    let server = plan.flag("--address-login-failures", 5).start();
    let alice = server.register("alice");
    let mut client = server.connect();
    for _ in 0..10 {
        client.resume(&alice, "of last month").refused(1);
    }
    client.log_in(&alice).done();
}

#[test]
fn registrations_of_an_address_are_bounded() {
    let server = ServerPlan::new().flag("--registrations", 3).start();
    let mut stranger = from_stranger(&server);
    for name in ["one", "two", "three"] {
        stranger.register(name, "secret").done();
    }
    let refused = stranger.register("four", "secret").refused(12);
    assert!((1150..=1201).contains(&hint(&refused)), "a third of an hour: {refused}");
    server.register("four");
}

#[test]
fn an_office_of_fifty_behind_one_address_comes_in_at_nine_o_clock() {
    let server = TestServer::start();
    let people: Vec<Person> =
        (0..50).map(|number| server.register(&format!("person {number}"))).collect();
    let mut clients = Vec::new();
    for person in &people {
        let mut client = server.connect();
        // Some mistype.
        if person.id % 3 == 0 {
            client.request(wrong_login(person)).refused(1);
        }
        client.log_in(person).done();
        clients.push(client);
    }
    for (client, neighbour) in clients.iter_mut().zip(people.iter().cycle().skip(1)) {
        client.chat(neighbour, "good morning").done();
    }
}

#[test]
fn one_connection_too_many_of_an_address_hears_why() {
    let server = ServerPlan::new().flag("--max-connections-per-address", 3).start();
    let mut stay: Vec<TestClient> = (0..3).map(|_| from_stranger(&server)).collect();
    stay.iter_mut().for_each(TestClient::ping);
    let mut one_too_many = from_stranger(&server);
    let refused = one_too_many.request(json!({"msgid": 15})).refused(12);
    assert!(refused["errmsg"].as_str().unwrap().contains("connections"), "{refused}");
    one_too_many.expect_closed();
    server.connect().ping();
    stay.pop();
    eventually("there is room again", SOON, || {
        from_stranger(&server).request(json!({"msgid": 15})).errno() == 0
    });
    stay.iter_mut().for_each(TestClient::ping);
}

#[test]
fn connections_far_beyond_an_addresss_limit_are_closed_at_once() {
    let server = ServerPlan::new().flag("--max-connections-per-address", 4).start();
    let mut crowd: Vec<TestClient> = (0..40).map(|_| from_stranger(&server)).collect();
    eventually("only those that are told why are left", SOON, || {
        crowd.retain_mut(TestClient::is_open);
        crowd.len() == 9
    });
    server.connect().ping();
}

#[test]
fn a_full_server_takes_nobody_more_until_somebody_leaves() {
    let server = ServerPlan::new().flag("--max-connections", 2).start();
    let mut first = server.connect();
    let mut second = server.connect();
    first.ping();
    second.ping();
    server.connect().expect_closed();
    drop(second);
    eventually("there is room again", SOON, || {
        let mut client = server.connect();
        client.is_open() && {
            client.ping();
            true
        }
    });
    first.ping();
}

#[test]
fn of_those_who_do_not_log_in_the_oldest_gives_way() {
    let plan = ServerPlan::new().flag("--max-anonymous", 5).flag("--reactors", 1);
    let server = plan.start();
    let alice = server.register("alice");
    let mut alice = server.login(&alice);
    let mut waiting: Vec<TestClient> = (0..5).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(TestClient::ping);
    let bob = server.register("bob");
    let notice = waiting[0].next_reply();
    assert_eq!(notice.errno(), 12);
    waiting[0].expect_closed();
    let mut bob = server.login(&bob);
    bob.tell(&alice, "made it");
    assert_eq!(alice.next_text(), "made it", "who is logged in is not concerned");
}

#[test]
fn an_address_with_many_who_do_not_log_in_pushes_out_its_own_and_nobody_elses() {
    let plan = ServerPlan::new().flag("--max-anonymous", 5).flag("--reactors", 1);
    let server = plan.start();
    let mut at_the_menu = server.connect();
    at_the_menu.ping();
    let mut crowd: Vec<TestClient> = (0..20).map(|_| from_stranger(&server)).collect();
    crowd[19].ping();
    crowd[15].expect_closed();
    assert!(crowd[16].is_open());
    at_the_menu.ping();
}

#[test]
fn who_logs_out_among_too_many_waits_as_one_that_has_just_come() {
    let plan = ServerPlan::new().flag("--max-anonymous", 3).flag("--reactors", 1);
    let server = plan.start();
    let mut alice = server.enter("alice");
    let mut waiting: Vec<TestClient> = (0..3).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(TestClient::ping);
    alice.log_out();
    alice.ping();
    assert_eq!(waiting[0].next_reply().errno(), 12);
    waiting[0].expect_closed();
}

#[test]
fn a_flooder_is_slowed_down_and_its_neighbour_is_not() {
    let plan = ServerPlan::new().flag("--message-rate", 5).flag("--message-burst", 10);
    let server = plan.flag("--message-spare", 0).flag("--reactors", 1).start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut flooder, mut bob) = (server.login(&alice), server.login(&bob));
    let texts: Vec<String> = (0..40).map(|number| format!("flood {number}")).collect();
    let posted = flooder.post_all(&bob, &texts);
    // While the flooder waits: a whole conversation of the neighbour's.
    for number in 0..5 {
        let text = format!("to myself {number}");
        bob.tell(&bob.person(), &text);
    }
    let mut errnos = Vec::new();
    for pending in posted {
        let reply = flooder.reply_to(pending);
        errnos.push(reply.errno());
        if reply.errno() == 12 {
            assert!(hint(&reply.refused(12)) >= 1);
        }
    }
    // The login was the first request of ten.
    assert!(errnos[..9].iter().all(|errno| *errno == 0), "its burst: {errnos:?}");
    assert!(errnos.contains(&12), "then not all: {errnos:?}");
    assert!(errnos[10..].contains(&0), "and still some: {errnos:?}");
}

#[test]
fn strangers_who_flood_the_workers_do_not_keep_users_from_them() {
    let plan = ServerPlan::new().flag("--workers", 1).flag("--reactors", 1);
    let server = plan.flag("--message-rate", 0).start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let mut alice = server.login(&alice);
    let group = server.enter("carol").create_group("carol's", "");
    let guess = json!({"msgid": 1, "id": bob.id, "token": "A".repeat(32)});
    // Each from an address of its own: of one the audit log tells a hundred.
    let addresses = (0..200).map(|last| Ipv4Addr::new(127, 0, 3, last));
    let mut crowd: Vec<TestClient> =
        addresses.map(|ip| TestClient::connect_from(ip.into(), server.address())).collect();
    let mut asked = Vec::new();
    for (number, stranger) in crowd.iter_mut().enumerate() {
        stranger.send_all(vec![guess.clone(); 40]);
        if number == 100 {
            // Once the flood is on. The answers are in the audit log.
            asked = alice.send_all(vec![json!({"msgid": 11, "groupid": group}); 30]);
        }
    }
    for pending in asked {
        alice.reply_to(pending).refused(9);
    }
    // And the strangers are answered in the end.
    for stranger in &mut crowd {
        stranger.ping();
    }
    let log = server.log();
    let audited = log.lines().filter(|line| line.contains(" audit]"));
    let order: String = audited
        .filter_map(|line| match line {
            _ if line.contains("] refused user=") => Some('a'),
            _ if line.contains("] login failed ") => Some('s'),
            _ => None,
        })
        .collect();
    let mut waits: Vec<usize> = order.split('a').map(str::len).collect();
    let (before, after) = (waits.remove(0), waits.pop().unwrap());
    assert!(before > 0 && after > 0, "the flood was on: {before} before, {after} after");
    // A hundred strangers and more are waiting each time.
    waits.sort_unstable();
    assert!(waits[waits.len() / 2] < 50, "strangers who went first each time: {waits:?}");
}

#[test]
fn who_fills_the_queue_for_the_database_keeps_nobody_else_out() {
    let plan = ServerPlan::new().flag("--offline-queue", 200).flag("--message-rate", 0);
    let server = plan.start();
    let [carol, dave] = ["carol", "dave"].map(|name| server.register(name));
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| server.enter(name));
    assert_eq!(bob.tell(&dave, "first"), "stored");
    // As long as this transaction lasts nothing is stored.
    let mut database = rusqlite::Connection::open(server.sqlite_file()).unwrap();
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let texts: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let flood = alice.post_all(&carol, &texts);
    let refused = alice.reply_to(flood[999]).refused(12);
    let posted = bob.post_all(&dave, &texts[..40]);
    drop(transaction);
    assert_eq!(bob.statuses(&posted), ["stored"; 40]);
    assert_eq!(alice.status(flood[0]), "stored");
    assert!(hint(&refused) >= 1, "{refused}");
    let missed = server.login(&dave).texts_since_login(41);
    assert_eq!((&*missed[0], &missed[1..]), ("first", &texts[..40]));
}

#[test]
fn a_message_that_was_refused_for_its_pace_arrives_once_when_it_is_repeated() {
    let plan = ServerPlan::new().flag("--message-rate", 20).flag("--message-burst", 5);
    let server = plan.flag("--message-spare", 0).start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let (mut alice, mut bob) = (server.login(&alice), server.login(&bob));
    let to = bob.me().id;
    for number in 0..20 {
        let chat =
            json!({"msgid": 6, "to": to, "msg": number.to_string(), "mid": number.to_string()});
        eventually("it is taken", SOON, || alice.request(chat.clone()).errno() == 0);
    }
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(bob.next_texts(20), expected);
    bob.expect_no_push();
}

#[test]
fn confirming_what_one_is_sent_is_never_too_fast() {
    let plan = ServerPlan::new().flag("--message-rate", 1).flag("--message-burst", 3);
    let server = plan.flag("--message-spare", 3000).flag("--reactors", 1).start();
    let (alice, bob) = (server.register("alice"), server.register("bob"));
    let login = json!({"msgid": 1, "id": bob.id, "password": bob.password, "ack": true});
    let mut confirming = server.connect();
    confirming.log_in_with(&bob, login).done();
    let mut alice = server.login(&alice);
    for number in 1..=200 {
        let posted = alice.post(&bob, "x");
        confirming.next_text();
        confirming.confirm(number);
        assert_eq!(alice.status(posted), "delivered", "message {number}");
    }
}

#[test]
fn the_audit_log_says_who_did_what_from_where() {
    let plan = ServerPlan::new().flag("--login-failures", 2).flag("--message-rate", 1);
    let server = plan.flag("--message-burst", 6).flag("--message-spare", 0).start();
    let alice = server.register("alice");
    let mut stranger = from_stranger(&server);
    stranger.request(wrong_login(&alice)).refused(1);
    stranger.request(json!({"msgid": 1, "name": "x\ny", "password": "p"}));
    stranger.request(json!({"msgid": 1, "name": "nobody", "password": "p"})).refused(1);
    stranger.request(wrong_login(&alice)).refused(1);
    stranger.request(wrong_login(&alice)).refused(12);
    let mut client = server.login(&alice);
    let mut other = server.connect();
    let takeover =
        json!({"msgid": 1, "id": alice.id, "password": alice.password, "takeover": true});
    other.log_in_with(&alice, takeover).done();
    client.expect_closed();
    other.request(json!({"msgid": 13, "id": 4711})).refused(5);
    other.log_out();
    while other.request(json!({"msgid": 15})).errno() == 0 {}
    let (theirs, own) = (stranger.local_port(), other.local_port());
    let expected = [
        format!("registered user={} peer=127.0.0.1:", alice.id),
        format!("login failed user={} peer=127.0.0.66:{theirs} by=password", alice.id),
        format!("login failed name=\"nobody\" peer=127.0.0.66:{theirs} by=password"),
        format!("throttled logins peer=127.0.0.66:{theirs}"),
        format!("login user={} peer=127.0.0.1:{own} by=password", alice.id),
        format!("takeover user={} peer=127.0.0.1:{own} from server=", alice.id),
        format!("refused user={} peer=127.0.0.1:{own} msgid=13 errno=5", alice.id),
        format!("logout user={} peer=127.0.0.1:{own}", alice.id),
        format!("throttled requests user=0 peer=127.0.0.1:{own}"),
    ];
    eventually("the log has it all", SOON, || {
        let log = server.log();
        let audited: Vec<&str> = log.lines().filter(|line| line.contains(" audit]")).collect();
        expected.iter().all(|line| audited.iter().any(|audited| audited.contains(line)))
    });
    assert!(!server.log().contains("a guess"), "no password is ever logged");
}
