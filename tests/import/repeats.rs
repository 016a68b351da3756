//! A second import.

use crate::old::Old;
use crate::support::door::Door;
use crate::tool::{Target, log_in};

const TABLES: [&str; 5] = ["users", "friendships", "groups", "members", "messages"];

#[test]
fn a_second_run_finds_everything_there() {
    for target in Target::both() {
        let old = Old::small();
        target.apply(&old).done();
        for again in [target.dry_run(&old), target.apply(&old)] {
            let again = again.done();
            for table in TABLES {
                let [_, new, there] = again.counts(table);
                assert_eq!(new, 0, "{table}: {}", again.stdout);
                assert!(there > 0, "{table}: {}", again.stdout);
            }
        }
        let server = target.serve();
        let bob = log_in(&server, 21, "bob", "bob pw");
        assert_eq!(bob.missed().len(), 4, "no doubles");
    }
}

#[test]
fn a_second_run_brings_what_is_new_and_touches_nothing_else() {
    for target in Target::both() {
        let mut old = Old::small();
        target.apply(&old).done();
        old.run("UPDATE User SET password = 'changed' WHERE id = 13");
        old.run("INSERT INTO User VALUES (40, 'dave', 'dave pw', 'offline')");
        old.run("INSERT INTO Friend VALUES (40, 13)");
        old.run("INSERT INTO GroupUser VALUES (5, 40, 'normal')");
        old.leave(40, r#"{"id":13,"msg":"welcome","time":"t"}"#);
        let report = target.apply(&old).done();
        assert_eq!(report.counts("users"), [4, 1, 3]);
        assert_eq!(report.counts("friendships"), [2, 1, 1]);
        assert_eq!(report.counts("groups"), [1, 0, 1]);
        assert_eq!(report.counts("members"), [4, 1, 3]);
        assert_eq!(report.counts("messages"), [5, 1, 4]);
        let server = target.serve();
        let mut alice = log_in(&server, 13, "alice", "alice pw");
        assert_eq!(alice.friends(), ["bob:offline", "dave:offline"]);
        assert_eq!(log_in(&server, 40, "dave", "dave pw").missed_texts(), ["welcome"]);
    }
}

#[test]
fn an_id_or_a_name_that_is_anothers_there_is_refused_before_anything_is_written() {
    for target in Target::both() {
        let mut server = target.serve();
        let eve = server.register("eve");
        server.stop();
        let mut old = Old::small();
        old.run(&format!("INSERT INTO User VALUES ({}, 'frank', 'p', 'offline')", eve.id));
        for outcome in [target.dry_run(&old), target.apply(&old)] {
            outcome.refused(2, "is \"frank\", but \"eve\" there");
        }
        let mut old = Old::small();
        old.run("INSERT INTO User VALUES (50, 'eve', 'p', 'offline')");
        target.apply(&old).refused(2, "user \"eve\" is 50, but 1 there");
        let mut server = target.serve();
        server.login(&eve);
        assert_eq!(server.register("alice").id, eve.id + 1, "nobody else is there");
        server.stop();
    }
}

#[test]
fn who_got_a_mended_name_keeps_it_when_that_name_comes_to_the_old_table() {
    for target in Target::both() {
        let mut old = Old::small();
        old.run("INSERT INTO User VALUES (33, 'bob', 'p', 'offline'), (36, ' ', 'p', 'offline')");
        old.run("INSERT INTO AllGroup VALUES (6, 'team', '')");
        target.apply(&old).done();
        old.run("INSERT INTO User VALUES (40, 'bob-33', 'q', 'offline'), (41, 'user-36', 'q', 'offline'), (4, 'bob', 'q', 'offline')");
        old.run("INSERT INTO AllGroup VALUES (7, 'team-6', ''), (2, 'team', '')");
        for outcome in [target.dry_run(&old), target.apply(&old)] {
            let report = outcome.done();
            assert_eq!(report.counts("users"), [8, 3, 5]);
            assert_eq!(report.counts("groups"), [4, 2, 2]);
        }
        assert_eq!(target.apply(&old).done().counts("users"), [8, 0, 8]);
        let server = target.serve();
        for (id, name, password) in [
            (21, "bob", "bob pw"),
            (33, "bob-33", "p"),
            (36, "user-36", "p"),
            (40, "bob-33-40", "q"),
            (41, "user-36-41", "q"),
            (4, "bob-4", "q"),
        ] {
            log_in(&server, id, name, password);
        }
    }
}
