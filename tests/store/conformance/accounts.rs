//! Users: registration and what a login is checked against.

use cluster_chat::model::{Store, StoreError, User, UserId, UserState};

use super::{assert_refused, at_once, user};

pub fn a_new_user_is_found_by_number_and_by_name(store: &dyn Store) {
    let alice = store.create_user("alice", "$argon2id$a").unwrap();
    let bob = store.create_user("bob", "$argon2id$b").unwrap();
    assert_ne!(alice, bob);
    assert!(alice.0 >= 1);

    let by_id = store.credentials_by_id(alice).unwrap().unwrap();
    assert_eq!((by_id.id, &*by_id.name), (alice, "alice"));
    assert_eq!(by_id.password_hash, "$argon2id$a");
    assert!(store.credentials_by_name("bob").unwrap().unwrap().password_hash == "$argon2id$b");
    assert_eq!(
        store.user(bob).unwrap(),
        Some(User { id: bob, name: "bob".to_owned(), state: UserState::Offline })
    );
}

pub fn a_taken_name_is_refused(store: &dyn Store) {
    let alice = user(store, "alice");
    assert_refused!(store.create_user("alice", "$argon2id$other"), StoreError::NameTaken);
    let kept = store.credentials_by_name("alice").unwrap().unwrap();
    assert_eq!(kept.id, alice);
    assert_ne!(kept.password_hash, "$argon2id$other");
}

pub fn names_that_only_look_alike_are_different(store: &dyn Store) {
    let names =
        ["a", "A", "á", "a\u{301}", "ä", "ae", "ß", "ss", "ı", "i", "İ", "😀", "😁", "a\u{200b}"];
    let ids: Vec<_> = names.map(|name| user(store, name)).into();
    for (name, id) in names.iter().zip(ids) {
        let found = store.credentials_by_name(name).unwrap().unwrap();
        assert_eq!((found.id, &*found.name), (id, *name));
    }
    assert!(store.credentials_by_name("Ä").unwrap().is_none());
    assert!(store.credentials_by_name("a ").unwrap().is_none(), "white space at the end counts");
}

pub fn texts_come_back_exactly(store: &dyn Store) {
    let names = [
        "Robert'); DROP TABLE User; --",
        "\" OR \"\"=\"",
        "back\\slash\\' `tick` %_ ?1 :x $1",
        "\u{1}\u{8}\t\r\n\u{1a}\u{7f}\u{85}",
        "名前 имя שם",
        "👩‍👩‍👧‍👦",
        "NULL",
    ];
    for name in names {
        let id = store.create_user(name, name).unwrap();
        let found = store.credentials_by_id(id).unwrap().unwrap();
        assert_eq!((&*found.name, &*found.password_hash), (name, name));
        assert_eq!(store.credentials_by_name(name).unwrap().unwrap().id, id);
    }
}

pub fn an_unknown_user_is_nobody(store: &dyn Store) {
    user(store, "alice");
    for id in [0, 999, i32::MAX as u32, u32::MAX].map(UserId) {
        assert_eq!(store.user(id).unwrap(), None);
        assert!(store.credentials_by_id(id).unwrap().is_none());
    }
    assert!(store.credentials_by_name("bob").unwrap().is_none());
    assert!(store.credentials_by_name("").unwrap().is_none());
}

pub fn a_name_longer_than_its_column_is_refused_not_cut(store: &dyn Store) {
    let longest = "😀".repeat(50);
    user(store, &longest);
    assert!(store.credentials_by_name(&longest).unwrap().is_some());
    assert_refused!(store.create_user(&"x".repeat(51), "$"), StoreError::Internal(_));
    assert!(store.credentials_by_name(&"x".repeat(50)).unwrap().is_none());
}

pub fn one_name_asked_for_by_many_at_once_goes_to_one(store: &dyn Store) {
    let outcomes = at_once(8, |_| store.create_user("alice", "$argon2id$x"));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_refused!(refused, StoreError::NameTaken);
    }
}
