//! One message that its sender repeats again and again, as one does who never
//! hears the answer.

use mysql::prelude::Queryable;
use serde_json::{Value, json};

use crate::crowd::enrol;
use crate::support::client::TestClient;
use crate::support::cluster::Cluster;
use crate::support::door::{Door, Person};
use crate::support::server::TestServer;
use crate::support::wait::{SOON, eventually, eventually_some};

/// Alice comes in at a server while she may still be elsewhere.
fn take_over(server: &TestServer, alice: &Person, elsewhere: Option<TestClient>) -> TestClient {
    let login = json!({"msgid": 1, "id": alice.id, "password": alice.password,
        "ack": true, "takeover": true});
    let mut client = server.connect();
    if client.log_in_with(alice, login.clone()).errno() == 0 {
        return client;
    }
    drop(elsewhere);
    eventually_some("the account is free", SOON, || {
        (client.log_in_with(alice, login.clone()).errno() == 0).then_some(())
    });
    client
}

/// Alice says the same a hundred times, by turns at both servers.
fn say_a_hundred_times(cluster: &Cluster, alice: &Person, request: &Value) {
    let mut client = None;
    for round in 0..20 {
        let server = &cluster.servers[round % 2];
        let mut here = take_over(server, alice, client.take());
        let pending = here.send_all(vec![request.clone(); 5]);
        for one in pending {
            here.reply_to(one).done();
        }
        client = Some(here);
    }
}

fn rows(cluster: &Cluster) -> u64 {
    let count = cluster.database.connect().query_first("SELECT COUNT(*) FROM OfflineMessage");
    count.unwrap().unwrap()
}

#[test]
fn a_message_repeated_a_hundred_times_over_two_servers_is_one_for_who_comes_later() {
    let cluster = Cluster::start();
    let people = enrol(&mut cluster.database.connect(), 2);
    let [alice, bob] = &people[..] else { unreachable!("two were asked for") };
    let request = json!({"msgid": 6, "to": bob.id, "msg": "once", "mid": "m-1"});
    say_a_hundred_times(&cluster, alice, &request);
    assert_eq!(rows(&cluster), 1);
    let mut phone = cluster.servers[1].login_confirming(bob);
    assert_eq!(phone.texts_since_login(1), ["once"]);
    phone.confirm(1);
    phone.expect_no_push();
    eventually("it is deleted", SOON, || rows(&cluster) == 0);
}

#[test]
fn a_message_repeated_a_hundred_times_can_be_told_by_its_mid() {
    let cluster = Cluster::start();
    let people = enrol(&mut cluster.database.connect(), 2);
    let [alice, bob] = &people[..] else { unreachable!("two were asked for") };
    let mut phone = cluster.servers[1].login_confirming(bob);
    let request = json!({"msgid": 6, "to": bob.id, "msg": "once", "mid": "m-1"});
    let mut count = 0;
    std::thread::scope(|scope| {
        let saying = scope.spawn(|| say_a_hundred_times(&cluster, alice, &request));
        while let Some(push) = (!saying.is_finished()).then(|| phone.push_within(SOON)).flatten() {
            assert_eq!((&push["id"], &push["mid"]), (&json!(alice.id), &json!("m-1")));
            assert_eq!(push["msg"], "once");
            count += 1;
            phone.confirm(count);
        }
        saying.join().unwrap();
    });
    let left = phone.take_pushes().len() as u64;
    phone.confirm(count + left);
    phone.ping();
    // An attempt whose handover was in doubt is pushed, and stored as well.
    assert!((1..=200).contains(&(count + left)), "{count} and {left}");
    eventually("nothing is left of it", SOON, || {
        let late = phone.take_pushes().len() as u64;
        count += late;
        phone.confirm(count + left);
        phone.ping();
        rows(&cluster) == 0
    });
}
