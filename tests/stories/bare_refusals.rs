//! What a C++ client would have to be told to send again: it hears no refusal,
//! so the server waits for it and tries again itself.

use std::time::Duration;

use serde_json::json;

use crate::bare_backlog::numbered;
use crate::support::cluster::Cluster;
use crate::support::cpp_client::{self, CppClient};
use crate::support::door::{Address, Door, Person};
use crate::support::wait::{SOON, eventually, eventually_some};
use crate::support::world::{Flag, World};

/// Who types faster is slowed down.
const SLOW: &[Flag] =
    &[("--message-rate", "10"), ("--message-burst", "2"), ("--message-spare", "0")];

/// How long a server may take to find its way back to its database.
const RECOVERY: Duration = Duration::from_secs(20);

stories! { alone [SLOW]: what_a_cpp_client_sends_too_fast_is_done_as_soon_as_it_may_be }

fn enter(door: Address, name: &str) -> (CppClient, Person) {
    let (client, person) = cpp_client::enter(door, name);
    (client.patient(), person)
}

fn what_a_cpp_client_sends_too_fast_is_done_as_soon_as_it_may_be(world: &World) {
    let (mut ann, a) = enter(world.near(), "ann");
    let mut bob = world.near().enter("bob");
    let texts = numbered(0, 15);
    let chat = |text| json!({"msgid": 6, "id": a.id, "toid": bob.me().id, "msg": text}).to_string();
    let mut all: Vec<String> = texts.iter().map(chat).collect();
    // Among them one of another kind, and a log-out at the end.
    all.insert(9, json!({"msgid": 8, "groupname": "team", "groupdesc": ""}).to_string());
    all.push(json!({"msgid": 3}).to_string());
    ann.send_bytes(all.join("\0").as_bytes());
    assert_eq!(bob.next_texts(15), texts);
    let team = json!({"msgid": 8, "groupname": "team"});
    eventually("the group is there", SOON, || match bob.request(team.clone()).errno() {
        12 => false,
        errno => {
            assert_eq!(errno, 1, "ann was first");
            true
        }
    });
    eventually("ann is logged out", SOON, || {
        let mut other = world.near().connect();
        other.log_in(&a).errno() == 0
    });
}

#[test]
fn what_a_cpp_client_says_while_the_database_is_away_comes_once_it_is_back() {
    let mut cluster = Cluster::plan().own_mariadb().start();
    let near = Address(cluster.servers[0].address());
    let far = Address(cluster.servers[1].address());
    let (mut ann, _) = enter(near, "ann");
    let absent = near.register("absent");
    let stranger = far.register("stranger");
    let mut carol = near.enter("carol");
    let (mut dan, _) = enter(near, "dan");
    let team = carol.create_group("team", "");
    far.login(&absent).join(team).done();
    for cpp in [&mut ann, &mut dan] {
        cpp.send(&json!({"msgid": 9, "groupid": team}));
    }
    eventually("all are in it, and one is offline", SOON, || {
        carol.tell_group(team, "here?") == (2, 1)
    });
    // Whoever was in it first was asked more than once.
    assert_eq!(carol.tell_group(team, "all?"), (2, 1));
    let read_on = |cpp: &mut CppClient| while cpp.next_message().text != "all?" {};
    read_on(&mut ann);
    read_on(&mut dan);

    cluster.mariadb().kill();
    // This one the writer keeps, and the copies of this one that it gets.
    ann.chat(&absent, "one");
    ann.chat_in(team, "two");
    assert_eq!(dan.next_message().text, "two");
    assert_eq!(carol.next_texts(1), ["two"]);
    // Nobody knows whether there is such a user: ann's connection waits.
    ann.chat(&stranger, "three");
    ann.chat(&absent, "four");
    let log = || cluster.servers[0].log();
    eventually("the database was tried", SOON, || log().contains("messages cannot be kept"));
    cluster.mariadb().restart();

    let mut phone = eventually_some("absent can log in", RECOVERY, || {
        let mut phone = far.connect();
        (phone.log_in(&absent).errno() == 0).then_some(phone)
    });
    let texts = phone.texts_since_login_up_to("four");
    assert_eq!(texts[texts.len() - 3..], ["one", "two", "four"], "{texts:?}");
    assert_eq!(far.login(&stranger).texts_since_login(1), ["three"]);
    // Who had it does not get it again.
    dan.expect_nothing_more();
    carol.expect_no_push();
}
