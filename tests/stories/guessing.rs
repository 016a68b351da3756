//! What a refused login tells: that it is refused, and not whether the account
//! exists, neither by its words nor by the time that it takes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::Door;
use crate::support::world::World;

stories! { databases [&[("--login-failures", "0"), ("--address-login-failures", "0")]]:
    refused_passwords_are_answered_alike,
    refused_tokens_are_answered_alike,
    an_account_that_does_not_exist_costs_a_hash_as_well,
}

const NO_SUCH_ID: i64 = 4_711_000;

/// The answer to a refused login, without what tells requests apart.
#[track_caller]
fn refusal(client: &mut TestClient, login: Value) -> Value {
    let mut reply = client.request(login).refused(1);
    reply.as_object_mut().unwrap().remove("seq");
    reply
}

/// Asserts that these logins get one and the same answer.
#[track_caller]
fn expect_alike(client: &mut TestClient, logins: Vec<Value>) {
    let answers: Vec<Value> = logins.into_iter().map(|login| refusal(client, login)).collect();
    for answer in &answers {
        assert_eq!(*answer, answers[0]);
    }
}

fn refused_passwords_are_answered_alike(world: &World) {
    let (online, offline) = (world.near().enter("alice"), world.near().register("bob"));
    let mut stranger = world.far().connect();
    let by_id = |id: i64| json!({"msgid": 1, "id": id, "password": "a guess"});
    let by_name = |name: &str| json!({"msgid": 1, "name": name, "password": "a guess"});
    let logins = vec![
        by_id(NO_SUCH_ID),
        by_id(offline.id),
        by_id(online.me().id),
        by_name("nobody"),
        by_name("bob"),
        by_name("alice"),
        json!({"msgid": 1, "id": online.me().id, "password": "a guess", "takeover": true}),
        json!({"msgid": 1, "id": NO_SUCH_ID, "password": "a guess", "takeover": true}),
    ];
    expect_alike(&mut stranger, logins);
}

fn refused_tokens_are_answered_alike(world: &World) {
    let (online, mut gone) = (world.near().enter("alice"), world.near().enter("bob"));
    let person = gone.person();
    let (of_another, ended) = (online.token(), gone.token());
    gone.log_out();
    let mut stranger = world.far().connect();
    let login = |id: i64, token: &str| json!({"msgid": 1, "id": id, "token": token});
    let logins = vec![
        login(NO_SUCH_ID, "a guess"),
        login(person.id, "a guess"),
        login(person.id, &ended),
        login(person.id, &of_another),
        login(NO_SUCH_ID, &of_another),
        login(online.me().id, "a guess"),
        login(online.me().id, &ended),
    ];
    expect_alike(&mut stranger, logins);
}

/// How long this login takes to be refused.
#[track_caller]
fn refused_after(client: &mut TestClient, login: &Value) -> Duration {
    let asked_at = Instant::now();
    client.request(login.clone()).refused(1);
    asked_at.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn an_account_that_does_not_exist_costs_a_hash_as_well(world: &World) {
    let bob = world.near().register("bob");
    let mut stranger = world.far().connect();
    let by_id = |id: i64| json!({"msgid": 1, "id": id, "password": "a guess"});
    let by_name = |name: &str| json!({"msgid": 1, "name": name, "password": "a guess"});
    let pairs = [(by_id(bob.id), by_id(NO_SUCH_ID)), (by_name("bob"), by_name("nobody"))];
    for (there, not_there) in &pairs {
        // In turns, so that whatever else the machine does slows down both.
        let take_turns =
            |_| (refused_after(&mut stranger, there), refused_after(&mut stranger, not_there));
        let (with, without): (Vec<_>, Vec<_>) = (0..15).map(take_turns).unzip();
        let (with, without) = (median(with), median(without));
        // A hash that is left out makes a difference of a hundred times.
        let alike = without * 4 > with && with * 4 > without;
        assert!(alike, "{with:?} for {there}, {without:?} for {not_there}");
    }
}
