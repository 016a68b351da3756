//! Rows that this program could not have, and what becomes of each.

use crate::old::Old;
use crate::support::door::Door;
use crate::tool::{Target, log_in};

/// One row of each kind that is odd.
#[track_caller]
fn odd() -> Old {
    let mut old = Old::small();
    for sql in [
        "INSERT INTO User (id, name, password) VALUES
            (30, REPEAT('x', 60), 'p'), (31, 'tab\there', 'p'), (32, ' space ', 'p'),
            (33, 'bob', 'p'), (34, 'silent', ''), (35, 'long', REPEAT('p', 150)),
            (2147483648, 'far', 'p'), (36, '', 'p'), (37, NULL, NULL)",
        "INSERT INTO Friend VALUES (13, 22), (22, 13), (13, 99), (13, 13), (13, 22)",
        "INSERT INTO AllGroup VALUES (6, 'team', REPEAT('d', 250))",
        "INSERT INTO GroupUser VALUES (5, 99, 'normal'), (9, 13, 'normal'), (6, 21, 'owner'),
            (6, 21, 'normal')",
    ] {
        old.run(sql);
    }
    for (to, push) in [
        (22, "{\"id\":13,\"msg\":\"two\nlines\",\"msgid\":6,\"name\":\"alice\",\"time\":\"t\"}"),
        (22, r#"{"id":13,"msg":"cut of"#),
        (22, r#"{"id":98,"msg":"from a stranger","name":"eve","time":"t"}"#),
        (22, r#"{"msg":"nobody's","time":"t"}"#),
        (99, r#"{"id":13,"msg":"to nobody","time":"t"}"#),
    ] {
        old.leave(to, push);
    }
    old
}

#[test]
fn each_oddity_is_counted_and_named_in_the_dry_run() {
    let report = Target::sqlite().import(&odd().url(), &["--max-members", "2"]).done();
    for (about, count) in [
        ("more than 50 characters", 1),
        ("control characters: kept, with spaces", 1),
        ("white space at an end", 1),
        ("names that an earlier row has", 2),
        ("empty passwords", 2),
        ("more than 128 bytes", 1),
        ("user ids outside", 1),
        ("names with nothing in them", 2),
        ("in one direction only", 1),
        ("friends of themselves", 1),
        ("friendships that stand there twice", 1),
        ("members that stand there twice", 1),
        ("friendships of users that do not exist", 1),
        ("descriptions of more than 200", 1),
        ("that are no users", 1),
        ("members of groups that do not exist", 1),
        ("unknown role", 1),
        ("without a creator", 1),
        ("more members than --max-members", 1),
        ("raw control characters", 1),
        ("no JSON object", 1),
        ("messages of users that do not exist", 1),
        ("without a sender's id", 1),
        ("messages to users that do not exist", 1),
    ] {
        assert_eq!(report.oddities(about), count, "{about}: {}", report.stdout);
    }
    assert!(report.stdout.contains("user 31 \"tab\\there\""), "{}", report.stdout);
    assert!(!report.stdout.contains("stranger"), "no message's text: {}", report.stdout);
}

#[test]
fn what_can_be_mended_can_be_used() {
    for target in Target::both() {
        target.apply(&odd()).done();
        let server = target.serve();
        for (id, name) in [
            (30, "x".repeat(50)),
            (31, "tab here".to_owned()),
            (32, "space".to_owned()),
            (33, "bob-33".to_owned()),
            (36, "user-36".to_owned()),
        ] {
            log_in(&server, id, &name, "p");
        }
        for id in [34, 35] {
            let login = serde_json::json!({"msgid":1,"id":id,"password":"p"});
            server.connect().request(login).refused(1);
        }
        let mut carol = log_in(&server, 22, "张三", "carol pw");
        assert_eq!(carol.friends(), ["alice:offline"]);
        assert_eq!(carol.missed_texts(), ["two\nlines", "from a stranger"]);
        let bob = log_in(&server, 21, "bob", "bob pw");
        assert_eq!(bob.welcome()["groups"][1]["groupname"], "team-6");
    }
}
