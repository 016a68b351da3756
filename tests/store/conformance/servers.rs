//! Servers: who lives, and what becomes of the claims of who does not.

use cluster_chat::model::{ServerRow, Store, UserState};

use super::{at_once, claim, state, take, user};

fn row(store: &dyn Store, id: &str) -> Option<ServerRow> {
    store.servers().unwrap().into_iter().find(|row| &*row.id == id)
}

fn expect_row(store: &dyn Store, id: &str, epoch: i64, beat: i64) {
    assert_eq!(row(store, id), Some(ServerRow { id: id.into(), epoch, beat }));
}

pub fn a_start_frees_what_the_id_left_behind_and_nothing_else(store: &dyn Store) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(store, name));
    take(store, alice, &claim("one:6000", 3, 1));
    take(store, bob, &claim("one:6000", 4, 1));
    take(store, carol, &claim("two:6002", 4, 1));
    assert_eq!(store.start_server("one:6000", 5).unwrap(), 2);
    expect_row(store, "one:6000", 5, 0);
    assert_eq!(state(store, alice), UserState::Offline);
    assert_eq!(state(store, bob), UserState::Offline);
    assert_eq!(state(store, carol), UserState::Online);
    take(store, alice, &claim("two:6002", 4, 2));
}

pub fn a_new_start_replaces_the_former_life(store: &dyn Store) {
    assert_eq!(store.start_server("one:6000", 5).unwrap(), 0);
    assert!(store.beat("one:6000", 5).unwrap());
    assert_eq!(store.start_server("one:6000", 9).unwrap(), 0);
    expect_row(store, "one:6000", 9, 0);
    assert!(!store.beat("one:6000", 5).unwrap(), "the former life");
    assert_eq!(store.servers().unwrap().len(), 1);
    // The same start once more: its answer may have been lost.
    assert_eq!(store.start_server("one:6000", 9).unwrap(), 0);
    expect_row(store, "one:6000", 9, 0);
}

pub fn a_beat_raises_only_its_own_row(store: &dyn Store) {
    store.start_server("two:6002", 6).unwrap();
    store.start_server("one:6000", 5).unwrap();
    assert!(store.beat("one:6000", 5).unwrap());
    assert!(store.beat("one:6000", 5).unwrap());
    assert!(!store.beat("one:6000", 6).unwrap());
    assert!(!store.beat("three:1", 5).unwrap());
    let rows = store.servers().unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (&*row.id, row.epoch, row.beat)).collect();
    assert_eq!(seen, [("one:6000", 5, 2), ("two:6002", 6, 0)]);
}

pub fn a_server_with_an_unchanged_beat_is_declared_dead(store: &dyn Store) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(store, name));
    store.start_server("one:6000", 5).unwrap();
    take(store, alice, &claim("one:6000", 5, 1));
    take(store, bob, &claim("one:6000", 5, 2));
    take(store, carol, &claim("two:6002", 5, 3));
    let seen = row(store, "one:6000").unwrap();

    assert_eq!(store.declare_dead(&seen).unwrap(), Some(2));
    expect_row(store, "one:6000", 6, 0);
    assert_eq!(state(store, alice), UserState::Offline);
    assert_eq!(state(store, carol), UserState::Online);
    assert!(!store.beat("one:6000", 5).unwrap(), "the dead one learns of it");
    assert_eq!(store.declare_dead(&seen).unwrap(), None, "a second time");
}

pub fn a_server_whose_beat_has_moved_is_not_declared_dead(store: &dyn Store) {
    let alice = user(store, "alice");
    store.start_server("one:6000", 5).unwrap();
    take(store, alice, &claim("one:6000", 5, 1));
    let seen = row(store, "one:6000").unwrap();
    assert!(store.beat("one:6000", 5).unwrap());

    assert_eq!(store.declare_dead(&seen).unwrap(), None);
    assert_eq!(state(store, alice), UserState::Online);
    expect_row(store, "one:6000", 5, 1);
    let nobody = ServerRow { id: "three:1".into(), epoch: 5, beat: 0 };
    assert_eq!(store.declare_dead(&nobody).unwrap(), None);
}

pub fn of_two_observers_one_declares_the_death(store: &dyn Store) {
    for round in 0..5 {
        let id = format!("server {round}");
        store.start_server(&id, 5).unwrap();
        take(store, user(store, &format!("user {round}")), &claim(&id, 5, 1));
        let seen = row(store, &id).unwrap();
        let mut outcomes = at_once(2, |_| store.declare_dead(&seen).unwrap());
        outcomes.sort();
        assert_eq!(outcomes, [None, Some(1)]);
    }
}

pub fn a_stop_takes_out_the_row_and_its_claims(store: &dyn Store) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(store, name));
    store.start_server("one:6000", 5).unwrap();
    store.start_server("two:6002", 6).unwrap();
    take(store, alice, &claim("one:6000", 5, 1));
    take(store, bob, &claim("one:6000", 4, 1));
    take(store, carol, &claim("two:6002", 6, 1));
    assert_eq!(store.stop_server("one:6000", 5).unwrap(), 2);
    assert_eq!(row(store, "one:6000"), None);
    assert_eq!(state(store, alice), UserState::Offline);
    assert_eq!(state(store, carol), UserState::Online);
    assert_eq!(store.stop_server("one:6000", 5).unwrap(), 0, "a second time");
}

pub fn a_stop_after_a_new_start_leaves_the_new_life_alone(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    store.start_server("one:6000", 5).unwrap();
    store.start_server("one:6000", 9).unwrap();
    take(store, alice, &claim("one:6000", 9, 1));
    take(store, bob, &claim("one:6000", 5, 1));
    assert_eq!(store.stop_server("one:6000", 5).unwrap(), 1);
    expect_row(store, "one:6000", 9, 0);
    assert_eq!(state(store, alice), UserState::Online);
    assert_eq!(state(store, bob), UserState::Offline);
}

pub fn a_dead_server_is_forgotten(store: &dyn Store) {
    let alice = user(store, "alice");
    store.start_server("one:6000", 5).unwrap();
    store.start_server("two:6002", 6).unwrap();
    take(store, alice, &claim("one:6000", 5, 1));
    store.declare_dead(&row(store, "one:6000").unwrap()).unwrap();
    let seen = row(store, "one:6000").unwrap();

    assert!(store.forget_server(&seen).unwrap());
    assert_eq!(row(store, "one:6000"), None);
    expect_row(store, "two:6002", 6, 0);
    assert!(!store.forget_server(&seen).unwrap(), "a second time");
    // It hung only: it finds its life over, as after a declaration of death.
    assert!(!store.beat("one:6000", 5).unwrap());
    assert_eq!(store.start_server("one:6000", 9).unwrap(), 0);
}

pub fn a_server_that_has_changed_since_it_was_seen_is_not_forgotten(store: &dyn Store) {
    store.start_server("one:6000", 5).unwrap();
    let seen = row(store, "one:6000").unwrap();
    assert!(store.beat("one:6000", 5).unwrap());
    assert!(!store.forget_server(&seen).unwrap(), "it beats");
    expect_row(store, "one:6000", 5, 1);

    let seen = row(store, "one:6000").unwrap();
    store.declare_dead(&seen).unwrap();
    assert!(!store.forget_server(&seen).unwrap(), "it was declared dead just now");
    expect_row(store, "one:6000", 6, 1);

    let seen = row(store, "one:6000").unwrap();
    store.start_server("one:6000", 9).unwrap();
    assert!(!store.forget_server(&seen).unwrap(), "it started again");
    expect_row(store, "one:6000", 9, 0);
    let nobody = ServerRow { id: "three:1".into(), epoch: 5, beat: 0 };
    assert!(!store.forget_server(&nobody).unwrap());
}

pub fn a_server_that_a_claim_names_is_not_forgotten(store: &dyn Store) {
    let [alice, bob] = ["alice", "bob"].map(|name| user(store, name));
    store.start_server("one:6000", 5).unwrap();
    let seen = row(store, "one:6000").unwrap();
    let old = claim("one:6000", 3, 1);
    take(store, alice, &old);
    take(store, bob, &claim("two:6002", 5, 1));
    assert!(!store.forget_server(&seen).unwrap());
    expect_row(store, "one:6000", 5, 0);

    assert!(store.release_claim(alice, &old).unwrap());
    assert!(store.forget_server(&seen).unwrap(), "another server's claim is no hindrance");
}

pub fn of_two_observers_one_forgets_the_server(store: &dyn Store) {
    for round in 0..5 {
        let id = format!("server {round}");
        store.start_server(&id, 5).unwrap();
        let seen = row(store, &id).unwrap();
        let mut outcomes = at_once(2, |_| store.forget_server(&seen).unwrap());
        outcomes.sort();
        assert_eq!(outcomes, [false, true]);
    }
}

pub fn server_ids_are_compared_exactly(store: &dyn Store) {
    let ids = ["[::1]:6000", "one", "ONE", "öne", "it's; --"];
    for (epoch, id) in (1..).zip(ids) {
        store.start_server(id, epoch).unwrap();
    }
    assert_eq!(store.servers().unwrap().len(), ids.len());
    for (epoch, id) in (1..).zip(ids) {
        assert!(store.beat(id, epoch).unwrap());
        expect_row(store, id, epoch, 1);
    }
}
