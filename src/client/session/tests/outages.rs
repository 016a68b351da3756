//! What has no answer: outages, messages sent again, and silence.

use super::*;

#[test]
fn what_had_no_answer_at_a_drop_is_sent_again_in_order_with_the_same_mid() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:one");
    story.type_line("groupchat:5:two");
    story.type_line("creategroup:g:d");
    let before = story.take_sent();
    story.drop_connection();
    let lines = story.take_lines();
    assert!(lines[0].starts_with("Connection lost: the cable is out."), "{lines:?}");
    assert!(lines[1].starts_with("Group g may not have been created"), "{lines:?}");
    story.type_line("chat:2:three");
    assert!(story.take_lines()[0].starts_with("Not connected: this is kept"));
    assert!(story.core.wants_connection());

    story.connect();
    let login = story.take_sent().remove(0);
    assert_eq!((&login["id"], &login["password"]), (&json!(1), &json!("pw")));
    story.reply(&login, 2, login_ack(&[from_bob("m", "while away")]));
    let lines = story.take_lines();
    assert_eq!(lines[0], "Connected again, logged in as 1 (ann).");
    assert_eq!(lines[1..], ["Missed messages: 1", "[t] 2 (bob): while away"]);
    let again = story.take_sent();
    assert_eq!(again[..2], before[..2]);
    assert_eq!(again[2]["msg"], "three");
    assert_eq!(again.len(), 3);
}

#[test]
fn an_outage_is_told_once_however_often_the_connection_fails() {
    let mut story = Story::logged_in();
    story.drop_connection();
    assert_eq!(story.take_lines().len(), 1);
    story.core.on_unreachable("nobody there", story.now);
    story.connect();
    story.drop_connection();
    assert_eq!(story.take_lines(), Vec::<String>::new());
}

#[test]
fn a_session_that_still_looks_online_is_waited_for_but_not_for_ever() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.connect();
    let mut tries = 0;
    let begun = story.now;
    while story.core.is_logged_in() {
        for login in story.take_sent() {
            tries += 1;
            story.reply(&login, 2, json!({"errno": 2, "errmsg": "online elsewhere"}));
        }
        story.pass(SECOND / 4);
        assert!(story.now - begun < SECOND * 140, "it never ends");
    }
    assert!(tries > 20, "{tries}");
    let lines = story.take_lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].starts_with("The account still looks online"), "{lines:?}");
    assert!(lines[2].starts_with("You are logged out: online elsewhere."), "{lines:?}");
    assert!(!story.core.wants_connection());
}

#[test]
fn a_password_that_no_longer_holds_ends_the_session_and_names_what_was_not_sent() {
    let mut story = Story::logged_in();
    story.drop_connection();
    story.type_line("chat:2:lost");
    story.connect();
    story.forget_lines_and_refuse(1);
    let lines = story.take_lines();
    assert!(lines[0].starts_with("You are logged out: wrong."), "{lines:?}");
    assert!(lines[1].starts_with("The message to 2 (bob) may not have been sent"), "{lines:?}");
    assert!(!story.core.is_logged_in());
}

impl Story {
    fn forget_lines_and_refuse(&mut self, errno: i64) {
        self.lines.clear();
        let login = self.take_sent().pop().unwrap();
        self.reply(&login, 2, json!({"errno": errno, "errmsg": "wrong"}));
    }
}

/// The messages to users among what was sent.
fn chats(story: &mut Story) -> Vec<Value> {
    story.take_sent().into_iter().filter(|sent| sent["msgid"] == 6).collect()
}

#[test]
fn a_message_without_answer_is_sent_again_and_given_up_in_the_end() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    story.type_line("addfriend:3");
    let first = chats(&mut story);
    story.pass(SECOND * 10);
    assert_eq!(chats(&mut story), first);
    assert!(story.take_lines()[0].starts_with("addfriend:3 may not have been done"));
    for _ in 0..5 {
        story.receive(&json!({"msgid": 115, "errno": 0}));
        story.pass(SECOND * 10);
    }
    assert_eq!(chats(&mut story).len(), 4);
    let last = story.take_lines().into_iter().find(|l| l.contains("may not have been sent"));
    assert!(last.unwrap().contains("no answer"));
    assert_eq!(story.core.waiting(), 0);
    // Whoever runs a script hears of it in the end.
    story.ask(Ask::LogOut { patience: SECOND });
    let logout = story.take_sent().pop().unwrap();
    story.reply(&logout, 103, json!({}));
    assert_eq!(story.answers, [Answer::LoggedOut { unanswered: 2 }]);
}

#[test]
fn a_message_on_a_connection_that_died_silently_is_not_given_up_but_sent_on_the_next() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:into the void");
    let chat = chats(&mut story);
    let begun = story.now;
    while story.hung_up.is_none() {
        story.pass(SECOND);
        assert!(story.now < begun + SECOND * 30, "it does not notice");
    }
    assert_eq!(story.take_lines(), Vec::<String>::new());
    story.drop_connection();
    story.connect();
    let login = story.take_sent().pop().unwrap();
    story.reply(&login, 2, login_ack(&[]));
    assert_eq!(chats(&mut story), chat);
}

#[test]
fn a_message_outlasts_a_long_outage_of_the_database() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    let mut sent = chats(&mut story);
    let mut sent_at = vec![story.now];
    for _ in 0..50 {
        story.reply(&sent[0], 106, json!({"errno": 13, "errmsg": "no database"}));
        let due = story.core.next_time().unwrap();
        story.pass(due - story.now);
        let again = chats(&mut story);
        if !again.is_empty() {
            assert_eq!(again, sent);
            sent = again;
            sent_at.push(story.now);
        }
    }
    assert!(sent_at.len() > 40, "{}", sent_at.len());
    assert!(sent_at.windows(2).all(|pair| pair[1] - pair[0] <= SECOND * 5));
    story.reply(&sent[0], 106, json!({"status": "stored"}));
    assert!(story.take_lines().pop().unwrap().starts_with("Stored for 2 (bob)"));
}

#[test]
fn a_message_that_connection_after_connection_has_no_answer_for_is_not_given_up() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    let chat = chats(&mut story);
    for _ in 0..10 {
        story.pass(SECOND * 10);
        story.drop_connection();
        story.forget();
        story.connect();
        let login = story.take_sent().remove(0);
        story.reply(&login, 2, login_ack(&[]));
        assert_eq!(chats(&mut story), chat);
    }
}

#[test]
fn a_message_that_the_server_cannot_take_now_is_repeated_a_moment_later() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:hello");
    let first = story.take_sent().remove(0);
    story.reply(&first, 106, json!({"errno": 13, "errmsg": "no database"}));
    assert_eq!(story.take_lines(), ["The database is unavailable, trying again..."]);
    story.pass(SECOND);
    let again = story.take_sent();
    assert_eq!(again, std::slice::from_ref(&first));
    story.reply(&again[0], 106, json!({"errno": 13, "errmsg": "no database"}));
    assert_eq!(story.take_lines(), Vec::<String>::new(), "it is said once");
    story.pass(SECOND);
    assert_eq!(story.take_sent(), std::slice::from_ref(&first));
    story.reply(&first, 106, json!({"status": "stored"}));
    assert_eq!(story.take_lines().len(), 1);

    // The next time is another episode.
    story.type_line("chat:2:again");
    let second = story.take_sent().remove(0);
    story.reply(&second, 106, json!({"errno": 13, "errmsg": "no database"}));
    assert_eq!(story.take_lines().len(), 1);
}

#[test]
fn a_message_too_long_for_any_server_is_not_sent() {
    let mut story = Story::logged_in();
    story.type_line(&format!("chat:2:{}", "x".repeat(65_600)));
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    assert!(story.take_lines()[0].contains("send it in parts"));
}

#[test]
fn a_message_too_long_for_this_server_is_not_repeated_for_ever() {
    let mut story = Story::logged_in();
    story.type_line("chat:2:short");
    story.type_line(&format!("chat:2:{}", "x".repeat(5_000)));
    let sent = story.take_sent();
    story.receive(&json!({"msgid": 200, "errno": 11, "errmsg": "a frame has at most 4096 bytes"}));
    story.drop_connection();
    let lines = story.take_lines();
    assert!(lines[0].contains("at most 4096 bytes"), "{lines:?}");
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[]));
    assert_eq!(story.take_sent(), sent[..1]);
}

#[test]
fn silence_is_broken_by_pings_and_a_silent_server_is_left() {
    let mut story = Story::logged_in();
    story.pass(SECOND * 30);
    let ping = story.take_sent().remove(0);
    assert_eq!(ping["msgid"], 15);
    story.reply(&ping, 115, json!({}));
    story.pass(SECOND * 30);
    assert_eq!(story.hung_up, None);
    story.pass(SECOND * 15);
    assert_eq!(story.hung_up.as_deref(), Some("the server does not answer"));
}
