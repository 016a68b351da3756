//! Rows of another program's database.

use std::sync::Arc;

use cluster_chat::model::{
    GroupId, GroupRole, ImportRow, Limit, Limits, Pushed, Store, StoreError, UserId,
};

use super::{NO_LIMITS, assert_refused, user};

fn new_user(id: u32, name: &str) -> ImportRow {
    let password_hash = format!("$argon2id${name}");
    ImportRow::User { id: UserId(id), name: name.to_owned(), password_hash }
}

fn new_group(id: u32, name: &str) -> ImportRow {
    ImportRow::Group { id: GroupId(id), name: name.to_owned(), description: "about".to_owned() }
}

fn message(to: u32, mid: &str, text: &str) -> ImportRow {
    let (mid, message) = (Arc::from(mid.as_bytes()), Arc::from(text.as_bytes()));
    ImportRow::Message { to: UserId(to), sender: UserId(7), mid, message }
}

fn texts(store: &dyn Store, to: u32) -> Vec<String> {
    let page = store.offline_page(UserId(to), &Pushed::default(), 1000, usize::MAX).unwrap();
    page.rows.into_iter().map(|row| row.message).collect()
}

pub fn imported_rows_keep_their_numbers_and_new_ones_come_after_them(store: &dyn Store) {
    store
        .import(&[
            new_user(7, "alice"),
            new_user(9, "名前"),
            ImportRow::Friendship(UserId(7), UserId(9)),
            new_group(5, "team"),
            ImportRow::Member { group: GroupId(5), user: UserId(7), role: GroupRole::Creator },
            ImportRow::Member { group: GroupId(5), user: UserId(9), role: GroupRole::Normal },
            message(9, "m1", "one"),
            message(9, "m2", "two"),
        ])
        .unwrap();
    let alice = store.credentials_by_name("alice").unwrap().unwrap();
    assert_eq!((alice.id, &*alice.password_hash), (UserId(7), "$argon2id$alice"));
    assert_eq!(store.friends(UserId(7)).unwrap()[0].id, UserId(9));
    assert_eq!(store.friends(UserId(9)).unwrap()[0].id, UserId(7));
    let group = &store.groups_of(UserId(9)).unwrap()[0];
    assert_eq!((&*group.groupname, &*group.groupdesc), ("team", "about"));
    let roles: Vec<GroupRole> = group.users.iter().map(|member| member.role).collect();
    assert_eq!(roles, [GroupRole::Creator, GroupRole::Normal]);
    assert_eq!(texts(store, 9), ["one", "two"]);
    assert!(user(store, "later").0 > 9);
    assert!(store.create_group(UserId(7), "later", "", &NO_LIMITS).unwrap().0 > 5);
}

pub fn an_imported_name_or_number_that_is_taken_takes_the_whole_import_with_it(store: &dyn Store) {
    let taken = user(store, "taken");
    let group = store.create_group(taken, "taken", "", &NO_LIMITS).unwrap();
    for bad in [
        new_user(77, "taken"),
        new_user(taken.0, "other"),
        new_group(77, "taken"),
        new_group(group.0, "other"),
    ] {
        let rows = [new_user(50, "alice"), message(50, "m", "hello"), bad];
        assert_refused!(store.import(&rows), StoreError::NameTaken);
        assert!(store.user(UserId(50)).unwrap().is_none());
        assert!(texts(store, 50).is_empty());
    }
}

pub fn imported_friendships_members_and_messages_that_are_there_stand(store: &dyn Store) {
    store.import(&[new_user(7, "alice"), new_user(8, "bob"), new_group(5, "team")]).unwrap();
    let (creator, normal) = (GroupRole::Creator, GroupRole::Normal);
    for role in [creator, normal] {
        store
            .import(&[
                ImportRow::Friendship(UserId(7), UserId(8)),
                ImportRow::Friendship(UserId(8), UserId(7)),
                ImportRow::Member { group: GroupId(5), user: UserId(7), role },
                message(8, "m1", "one"),
                message(8, if role == creator { "m2" } else { "m3" }, "two"),
            ])
            .unwrap();
    }
    assert_eq!(store.friends(UserId(7)).unwrap().len(), 1);
    assert_eq!(store.groups_of(UserId(7)).unwrap()[0].users[0].role, creator);
    assert_eq!(texts(store, 8), ["one", "two", "two"]);
}

pub fn many_rows_are_imported_whatever_the_limits(store: &dyn Store) {
    const MANY: u32 = 700;
    let mut rows: Vec<ImportRow> = (1..=MANY).map(|id| new_user(id, &format!("u{id}"))).collect();
    rows.extend((2..=MANY).map(|id| ImportRow::Friendship(UserId(1), UserId(id))));
    rows.push(new_group(1, "all"));
    rows.extend((1..=MANY).map(|id| ImportRow::Member {
        group: GroupId(1),
        user: UserId(id),
        role: GroupRole::Normal,
    }));
    rows.extend((0..MANY).map(|n| message(1, &format!("m{n}"), &format!("{n}"))));
    store.import(&rows).unwrap();
    assert_eq!(store.friends(UserId(1)).unwrap().len(), 699);
    assert_eq!(store.group_members(GroupId(1)).unwrap().unwrap().len(), 700);
    let numbers: Vec<String> = (0..MANY).map(|n| n.to_string()).collect();
    assert_eq!(texts(store, 1), numbers, "in their order");
    let few = Limits { friends: Limit(100), ..NO_LIMITS };
    let late = user(store, "late");
    assert_refused!(store.add_friend(late, UserId(1), &few), StoreError::FriendHasTooMany);
}

pub fn names_come_by_number_a_part_at_a_time(store: &dyn Store) {
    store.import(&[new_user(9, "i"), new_user(7, "g"), new_user(8, "h")]).unwrap();
    store.import(&[new_group(3, "c"), new_group(2, "b")]).unwrap();
    let names = |after, most| -> Vec<(u32, String)> {
        let names = store.user_names(after, most).unwrap();
        names.into_iter().map(|(id, name)| (id.0, name)).collect()
    };
    assert_eq!(names(0, 2), [(7, "g".to_owned()), (8, "h".to_owned())]);
    assert_eq!(names(8, 2), [(9, "i".to_owned())]);
    assert!(names(9, 2).is_empty());
    let groups = store.group_names(2, 9).unwrap();
    assert_eq!(groups, [(GroupId(3), "c".to_owned())]);
}

pub fn nothing_to_import_is_imported(store: &dyn Store) {
    store.import(&[]).unwrap();
    assert!(store.user_names(0, 10).unwrap().is_empty());
}
