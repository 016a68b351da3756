//! What people find after the move.

use serde_json::json;

use crate::old::Old;
use crate::support::door::Door;
use crate::tool::{Target, log_in};

#[test]
fn everybody_finds_friends_groups_and_messages_after_the_move() {
    for target in Target::both() {
        let mut old = Old::small();
        let before = old.checksum();
        let report = target.apply(&old).done();
        assert_eq!(report.counts("users"), [3, 3, 0]);
        assert_eq!(report.counts("friendships"), [1, 1, 0]);
        assert_eq!(report.counts("groups"), [1, 1, 0]);
        assert_eq!(report.counts("members"), [3, 3, 0]);
        assert_eq!(report.counts("messages"), [4, 4, 0]);
        assert_eq!(old.checksum(), before, "the old rows are only read");

        let server = target.serve();
        let mut alice = log_in(&server, 13, "alice", "alice pw");
        assert_eq!(alice.friends(), ["bob:offline"], "nobody was left online");
        let mut bob = log_in(&server, 21, "bob", "bob pw");
        assert_eq!(bob.friends(), ["alice:online"], "both sides");
        assert_eq!(bob.missed_texts(), ["one \"two\"", "你好", "again", "again"]);
        let missed = bob.missed();
        let mut first = missed[0].clone();
        first.as_object_mut().unwrap().remove("mid").unwrap();
        assert_eq!(
            first,
            json!({"msgid":6,"id":13,"name":"alice","to":21,"msg":"one \"two\"",
                "time":"2022-02-22 00:43:59"})
        );
        assert_eq!((&missed[1]["groupid"], &missed[1]["name"]), (&json!(5), &json!("张三")));
        let carol = log_in(&server, 22, "张三", "carol pw");
        let group = &carol.welcome()["groups"][0];
        assert_eq!((&group["id"], &group["groupdesc"]), (&json!(5), &json!("our team")));
        assert_eq!(group["users"][0]["role"], "creator");
        assert_eq!(alice.tell_group(5, "here we are"), (2, 0));
        let dave = server.register("dave");
        assert!(dave.id > 22, "new numbers come after those that were kept: {}", dave.id);
    }
}

#[test]
fn no_password_is_kept_as_it_was() {
    let target = Target::sqlite();
    target.apply(&Old::small()).done();
    let mut server = target.serve();
    server.connect().request(json!({"msgid":1,"id":13,"password":"bob pw"})).refused(1);
    server.stop();
    let bytes = std::fs::read(server.sqlite_file()).unwrap();
    for password in ["alice pw", "bob pw"] {
        let found = bytes.windows(password.len()).any(|some| some == password.as_bytes());
        assert!(!found, "{password}");
    }
}

#[test]
fn without_the_word_nothing_is_written() {
    for target in Target::both() {
        let report = target.dry_run(&Old::small()).done();
        assert_eq!(report.counts("users"), [3, 3, 0]);
        assert!(report.stdout.ends_with("--import-apply\n"), "{report:?}");
        for secret in ["alice pw", "two", "你好"] {
            assert!(!report.stdout.contains(secret), "{report:?}");
        }
        assert!(!target.exists());
    }
}

#[test]
fn tables_in_small_letters_are_found() {
    let target = Target::sqlite();
    let mut old = Old::small();
    for (upper, lower) in [("User", "user"), ("OfflineMessage", "offlinemessage")] {
        old.run(&format!("RENAME TABLE {upper} TO {lower}"));
    }
    old.run("DROP TABLE GroupUser");
    let report = target.dry_run(&old).done();
    assert_eq!(report.counts("users"), [3, 3, 0]);
    assert_eq!(report.counts("messages"), [4, 4, 0]);
    assert_eq!(report.oddities("tables that are not there"), 1);
}
