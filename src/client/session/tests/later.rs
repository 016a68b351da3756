//! A server that asks to slow down, and says for how long.

use super::*;

const TOO_FAST: &str = "you are sending too fast";

/// Refuses a request with this `retry_after`.
fn slow_down(story: &mut Story, request: &Value, seconds: u64) {
    let msgid = if request["msgid"] == 1 { 2 } else { 106 };
    let fields = json!({"errno": 12, "errmsg": TOO_FAST, "retry_after": seconds});
    story.reply(request, msgid, fields);
}

fn deliver(story: &mut Story, request: &Value) {
    story.reply(request, 106, json!({"status": "delivered"}));
}

/// What is sent once the time has come for something, and how long that took.
fn next_sent(story: &mut Story) -> (Vec<Value>, Duration) {
    let begun = story.now;
    while story.sent.is_empty() {
        let due = story.core.next_time().expect("something is to come");
        story.pass(due - story.now);
        assert!(story.now < begun + SECOND * 4_600, "nothing is sent");
    }
    (story.take_sent(), story.now - begun)
}

#[test]
fn a_login_after_an_outage_waits_as_long_as_the_server_says_and_tells_so() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.forget();
    story.connect();
    let login = story.take_sent().remove(0);
    slow_down(&mut story, &login, 8);
    let lines = story.take_lines();
    let begin = "The server asks to wait: you are sending too fast. Trying again in ";
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(begin), "{lines:?}");
    let (again, waited) = next_sent(&mut story);
    assert!(waited >= SECOND * 8 && waited <= SECOND * 10, "{waited:?}");
    assert_eq!(again[0]["password"], "pw");
    // The same again is no news, a much longer one is.
    slow_down(&mut story, &again[0], 8);
    assert_eq!(story.take_lines(), Vec::<String>::new());
    let (again, _) = next_sent(&mut story);
    slow_down(&mut story, &again[0], 300);
    assert_eq!(story.take_lines().len(), 1);
    let (again, waited) = next_sent(&mut story);
    assert!(waited >= SECOND * 300, "{waited:?}");
    story.reply(&again[0], 2, login_ack(&[]));
    assert!(story.core.is_live());
}

#[test]
fn a_connection_that_ends_during_such_a_wait_does_not_shorten_it() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.connect();
    let login = story.take_sent().remove(0);
    slow_down(&mut story, &login, 90);
    let until = story.now + SECOND * 90;
    story.pass(SECOND * 60);
    story.close_connection();
    assert!(story.core.not_before().is_some_and(|at| at >= until));
    // Nor does somebody who writes.
    story.type_line("chat:2:hello?");
    assert!(story.core.not_before().is_some_and(|at| at >= until));
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[]));
    assert_eq!(story.core.not_before(), None);
}

#[test]
fn an_absurd_hint_is_cut_down_and_one_that_comes_with_another_reason_is_not_looked_at() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.connect();
    let login = story.take_sent().remove(0);
    slow_down(&mut story, &login, u64::MAX);
    let (again, waited) = next_sent(&mut story);
    assert!(waited >= SECOND * 3_600 && waited <= SECOND * 4_500, "{waited:?}");
    story.reply(&again[0], 2, json!({"errno": 13, "errmsg": "no", "retry_after": 500}));
    assert!(next_sent(&mut story).1 <= SECOND);
}

#[test]
fn a_login_from_the_menu_waits_as_long_but_not_longer_than_a_person_would() {
    let mut story = Story::begin();
    story.log_in();
    let login = story.take_sent().remove(0);
    slow_down(&mut story, &login, 3);
    assert_eq!(story.take_lines().len(), 1);
    let (again, waited) = next_sent(&mut story);
    assert!(waited >= SECOND * 3 && waited <= SECOND * 4, "{waited:?}");
    slow_down(&mut story, &again[0], 60);
    assert_eq!(story.answers, [Answer::Refused("you are sending too fast.".into())]);
}

#[test]
fn refused_messages_go_again_after_the_pause_before_what_was_typed_meanwhile() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:one");
    story.type_line("chat:2:two");
    let sent = story.take_sent();
    // In any order, each with its own bit of chance.
    slow_down(&mut story, &sent[1], 5);
    slow_down(&mut story, &sent[0], 5);
    assert_eq!(story.take_lines().len(), 1);
    story.type_line("chat:2:three");
    story.type_line("showfriendlist");
    story.pass(SECOND * 4);
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    // One at a time, or the server might take the second and not the first.
    let (again, waited) = next_sent(&mut story);
    assert!(waited >= SECOND && waited <= SECOND * 3, "{waited:?}");
    assert_eq!(again, sent[..1]);
    deliver(&mut story, &again[0]);
    assert_eq!(story.take_sent(), sent[1..]);
    deliver(&mut story, &sent[1]);
    let rest = story.take_sent();
    assert_eq!((&rest[0]["msg"], &rest[1]["msgid"]), (&json!("three"), &json!(13)));
    deliver(&mut story, &rest[0]);
    story.reply(&rest[1], 113, json!({"friends": []}));
    // All is well: nothing is held back any more.
    story.type_line("chat:2:four");
    story.type_line("chat:2:five");
    assert_eq!(story.take_sent().len(), 2);
}

#[test]
fn while_one_recipient_gets_one_message_at_a_time_others_get_theirs_and_order_stays() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:one");
    let one = story.take_sent().remove(0);
    slow_down(&mut story, &one, 1);
    for line in ["chat:2:two", "chat:3:to eve", "groupchat:5:bye", "groupchat:5:all"] {
        story.type_line(line);
    }
    story.type_line("delgroup:5");
    story.type_line("chat:7:after that");
    let texts = |sent: &[Value]| -> Vec<Value> { sent.iter().map(|m| m["msg"].clone()).collect() };
    let first = next_sent(&mut story).0;
    assert_eq!(texts(&first), ["one", "to eve", "bye"]);
    story.reply(&first[2], 110, json!({"delivered": 1, "stored": 0}));
    // Nobody leaves the group before the last word is on its way to it, and
    // what comes behind that waits, too.
    assert_eq!(texts(&story.take_sent()), ["all"]);
    deliver(&mut story, &first[0]);
    let rest = story.take_sent();
    assert_eq!(rest[0]["msg"], "two");
    assert_eq!((&rest[1]["msgid"], &rest[2]["msg"]), (&json!(11), &json!("after that")));
}

#[test]
fn a_short_pause_is_not_worth_a_word_and_outlasts_the_connection() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    let chat = story.take_sent();
    slow_down(&mut story, &chat[0], 1);
    assert_eq!(story.take_lines(), Vec::<String>::new());
    story.drop_connection();
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[]));
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    assert_eq!(next_sent(&mut story).0, chat);
}

#[test]
fn a_message_that_is_refused_again_and_again_is_given_up_and_named() {
    for hint in [Some(1), None] {
        let mut story = Story::logged_in();
        story.type_line("chat:2:too much");
        let mut chat = story.take_sent().remove(0);
        for attempt in 1..=20 {
            assert_eq!(story.core.waiting(), 1, "{attempt}");
            story.reply(&chat, 106, json!({"errno": 12, "errmsg": "full", "retry_after": hint}));
            chat = loop {
                let sent = next_sent(&mut story).0.remove(0);
                if sent["msgid"] == 6 {
                    break sent;
                }
                story.reply(&sent, 115, json!({}));
            };
        }
        story.reply(&chat, 106, json!({"errno": 12, "errmsg": "full", "retry_after": hint}));
        let lines = story.take_lines();
        let waits = "The server asks to wait: full. Trying again";
        assert!(lines.len() == 2 && lines[0].starts_with(waits) || hint.is_some(), "{lines:?}");
        assert_eq!(lines.last().unwrap(), "The message to 2 (bob) was not sent: full.");
        story.ask(Ask::LogOut { patience: SECOND });
        let logout = story.take_sent().pop().unwrap();
        story.reply(&logout, 103, json!({}));
        assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 1 }]);
    }
}

#[test]
fn a_long_script_gets_through_a_server_that_takes_a_few_lines_at_a_time() {
    let mut story = Story::logged_in();
    for i in 0..100 {
        story.type_line(&format!("chat:2:{i}"));
    }
    let mut waiting = story.take_sent();
    let mut taken = Vec::new();
    while !waiting.is_empty() {
        for (i, chat) in waiting.iter().enumerate() {
            if i < 2 {
                deliver(&mut story, chat);
                taken.push(chat["msg"].as_str().unwrap().parse::<usize>().unwrap());
            } else {
                slow_down(&mut story, chat, 1);
            }
        }
        // What a delivery has let go has been sent already.
        waiting = match story.take_sent() {
            sent if sent.is_empty() && taken.len() < 100 => next_sent(&mut story).0,
            sent => sent,
        };
    }
    assert!(taken.is_sorted() && taken.len() == 100);
}

#[test]
fn a_long_outage_of_the_database_does_not_count_as_asking_to_slow_down() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    let chat = story.take_sent().remove(0);
    for errno in [vec![13; 30], vec![12; 2]].concat() {
        story.reply(&chat, 106, json!({"errno": errno, "errmsg": "not now"}));
        while story.take_sent().iter().all(|sent| sent["msgid"] != 6) {
            story.receive(&json!({"msgid": 115, "errno": 0}));
            story.pass(SECOND);
        }
    }
    deliver(&mut story, &chat);
    assert!(story.take_lines().pop().unwrap().starts_with("Delivered to 2"));
}

#[test]
fn a_logout_that_is_refused_ends_the_connection_so_that_it_is_one() {
    let mut story = Story::logged_in();
    story.ask(Ask::LogOut { patience: SECOND });
    let logout = story.take_sent().pop().unwrap();
    story.reply(&logout, 103, json!({"errno": 12, "errmsg": TOO_FAST, "retry_after": 1}));
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 0 }]);
    assert!(story.hung_up.is_some());
}
