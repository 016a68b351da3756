//! Making accounts.

use std::collections::HashSet;

use serde_json::json;

use crate::support::door::{Door, Person};
use crate::support::world::World;

stories! { everywhere:
    an_account_gets_a_number_of_its_own,
    a_name_can_be_had_once,
    names_differ_by_case_and_by_accents,
    of_two_who_want_one_name_at_once_one_gets_it,
    whoever_is_logged_in_may_register_somebody_else,
}

fn an_account_gets_a_number_of_its_own(world: &World) {
    let people: Vec<Person> = ["ann", "bob", "cleo", "dan"]
        .iter()
        .enumerate()
        .map(|(i, name)| if i % 2 == 0 { world.near() } else { world.far() }.register(name))
        .collect();
    let ids: HashSet<i64> = people.iter().map(|p| p.id).collect();
    assert_eq!(ids.len(), people.len());
    assert!(ids.iter().all(|id| (1..1 << 31).contains(id)), "{ids:?}");
}

fn a_name_can_be_had_once(world: &World) {
    let bob = world.near().register("bob");
    let mut stranger = world.far().connect();
    stranger.register("bob", "another password").refused(1);
    // The first one's account is untouched, the connection of use as before.
    stranger.log_in(&bob).done();
}

fn names_differ_by_case_and_by_accents(world: &World) {
    let names = ["zoe", "Zoe", "zoë", "zoé", "ZOE", "straße", "strasse", "o\u{308}", "ö"];
    let people: Vec<Person> = names.iter().map(|name| world.near().register(name)).collect();
    for person in people {
        let mut client = world.far().connect();
        let login = json!({"msgid": 1, "name": person.name, "password": person.password});
        let reply = client.log_in_with(&person, login).done();
        assert_eq!(reply["id"], person.id, "{}", person.name);
    }
}

fn of_two_who_want_one_name_at_once_one_gets_it(world: &World) {
    let (mut one, mut other) = (world.near().connect(), world.far().connect());
    for round in 0..5 {
        let wish = json!({"msgid": 4, "name": format!("wanted {round}"), "password": "p"});
        let (first, second) = (one.send(wish.clone()), other.send(wish));
        let mut errnos = [one.reply_to(first).errno(), other.reply_to(second).errno()];
        errnos.sort();
        assert_eq!(errnos, [0, 1], "round {round}");
    }
}

fn whoever_is_logged_in_may_register_somebody_else(world: &World) {
    let mut alice = world.near().enter("alice");
    let reply = alice.register("bob", "bob's secret").done();
    let bob = Person {
        id: reply["id"].as_i64().unwrap(),
        name: "bob".into(),
        password: "bob's secret".into(),
    };
    let mut bob = world.far().login(&bob);
    assert_eq!(alice.tell(&bob, "welcome"), "delivered");
    assert_eq!(bob.next_text(), "welcome");
}
