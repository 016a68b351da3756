//! Messages that come more than once, and confirming all of them.

use super::*;

fn key(mid: &str) -> MessageKey {
    (2, mid.to_owned())
}

/// The counts of the confirmations that were sent.
fn confirmed(story: &mut Story) -> Vec<u64> {
    let acks = story.take_sent().into_iter().filter(|sent| sent["msgid"] == 14);
    acks.map(|ack| ack["count"].as_u64().unwrap()).collect()
}

#[test]
fn what_an_earlier_run_has_shown_is_not_shown_again_but_confirmed() {
    let mut story = Story::begin_with(vec![key("a"), key("c")]);
    story.log_in();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[from_bob("a", "old"), from_bob("b", "new")]));
    let text = story.take_lines().join("\n");
    assert!(text.ends_with("Missed messages: 1\n[t] 2 (bob): new"), "{text}");
    story.receive(&from_bob("c", "old, too"));
    assert_eq!(story.take_lines(), Vec::<String>::new());
    assert_eq!(story.disk, [key("a"), key("c"), key("b")], "only what is new is remembered");
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [3]);
}

#[test]
fn a_message_is_shown_and_remembered_before_it_is_confirmed() {
    let mut story = Story::logged_in();
    story.order.clear();
    for i in 0..32 {
        story.receive(&from_bob(&i.to_string(), "hi"));
    }
    assert_eq!(confirmed(&mut story), [32]);
    assert_eq!(story.order.iter().filter(|step| **step == "remember").count(), 32);
    assert_eq!(story.order.iter().filter(|step| **step == "print").count(), 32);
    assert_eq!(story.order.last(), Some(&"send"));
}

#[test]
fn what_comes_while_the_memory_is_looked_up_waits_for_it() {
    let now = Instant::now();
    let mut core = Core::new(Box::new(|| Some(1)), now);
    core.on_connected(now);
    let password = Secret("pw".into());
    core.on_ask(Ask::LogIn { who: Who::Id(1), password, takeover: false }, now);
    core.take_effects();
    let mut ack = login_ack(&[]);
    ack["msgid"] = json!(2);
    ack["seq"] = json!(1);
    ack["errno"] = json!(0);
    core.on_frame(ack.to_string().as_bytes(), now);
    core.on_frame(from_bob("a", "old").to_string().as_bytes(), now);
    core.on_frame(from_bob("b", "new").to_string().as_bytes(), now);
    assert_eq!(core.take_effects(), [Effect::Recall(1)]);
    assert!(core.wants_connection());
    core.on_recalled(vec![key("a")], now);
    let shown = core.take_effects().into_iter().filter_map(|effect| match effect {
        Effect::Print(line) => Some(line.text),
        _ => None,
    });
    let shown: Vec<String> = shown.filter(|line| line.contains("2 (bob): ")).collect();
    assert_eq!(shown, ["[t] 2 (bob): new"]);
}

#[test]
fn a_connection_that_ends_while_the_memory_is_looked_up_is_a_failed_login() {
    let now = Instant::now();
    let mut core = Core::new(Box::new(|| Some(1)), now);
    core.on_connected(now);
    let password = Secret("pw".into());
    core.on_ask(Ask::LogIn { who: Who::Id(1), password, takeover: false }, now);
    core.on_frame(br#"{"msgid":2,"seq":1,"errno":0,"id":1}"#, now);
    core.on_disconnected("the cable is out", false, now);
    let refused = Effect::Answer(Answer::Refused("the cable is out.".into()));
    assert_eq!(core.take_effects().last(), Some(&refused));
    core.on_recalled(Vec::new(), now);
    assert!(!core.is_logged_in());
}

#[test]
fn the_count_begins_again_with_each_login_and_what_the_answer_brought_comes_first() {
    let mut story = Story::logged_in();
    story.receive(&from_bob("a", "one"));
    story.receive(&from_bob("b", "two"));
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [2]);
    // Shown, and lost before it was confirmed.
    story.receive(&from_bob("c", "three"));
    story.drop_connection();
    story.forget();
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[from_bob("c", "three"), from_bob("d", "four")]));
    story.receive(&from_bob("e", "five"));
    let lines = story.take_lines();
    assert_eq!(lines[1..], ["Missed messages: 1", "[t] 2 (bob): four", "[t] 2 (bob): five"]);
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [3]);
    // A second login on the same connection counts from the beginning, too.
    story.ask(Ask::LogOut { patience: SECOND });
    let logout = story.take_sent().pop().unwrap();
    story.reply(&logout, 103, json!({}));
    story.log_in();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[]));
    story.receive(&from_bob("f", "six"));
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [1]);
}

#[test]
fn a_resume_that_brings_only_doubles_has_no_heading_and_confirms_them() {
    let mut story = Story::logged_in();
    story.receive(&from_bob("a", "one"));
    story.drop_connection();
    story.forget();
    story.connect();
    let login = story.take_sent().remove(0);
    story.reply(&login, 2, login_ack(&[from_bob("a", "one")]));
    assert_eq!(story.take_lines(), ["Connected again, logged in as 1 (ann)."]);
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [1]);
}

#[test]
fn a_message_that_cannot_be_read_is_told_of_and_counts() {
    let mut story = Story::logged_in();
    story.receive(&json!({"msgid": 6, "id": 2, "name": ["no", "name"], "msg": "hi", "mid": "x"}));
    story.receive(&from_bob("y", "hi"));
    assert_eq!(
        story.take_lines(),
        ["A message has come that this client cannot read.", "[t] 2 (bob): hi"]
    );
    story.pass(SECOND);
    assert_eq!(confirmed(&mut story), [2]);
}

#[test]
fn a_mid_longer_than_any_is_no_reason_to_fill_the_memory() {
    let mut story = Story::logged_in();
    story.receive(&from_bob(&"x".repeat(65), "hi"));
    assert_eq!(story.take_lines(), ["[t] 2 (bob): hi"]);
    assert_eq!(story.disk, []);
}

#[test]
fn another_users_messages_are_not_taken_for_ones_own() {
    let mut story = Story::logged_in();
    story.receive(&from_bob("a", "to ann"));
    story.ask(Ask::LogOut { patience: SECOND });
    let logout = story.take_sent().pop().unwrap();
    story.reply(&logout, 103, json!({}));
    story.forget();
    let (who, password) = (Who::Id(4), Secret("pw".into()));
    story.core.on_ask(Ask::LogIn { who, password, takeover: false }, story.now);
    story.core.on_frame(br#"{"msgid":2,"seq":4,"errno":0,"id":4,"name":"dan"}"#, story.now);
    let effects = story.core.take_effects();
    assert_eq!(effects.last(), Some(&Effect::Recall(4)), "{effects:?}");
    story.core.on_recalled(Vec::new(), story.now);
    story.collect();
    story.forget();
    story.receive(&from_bob("a", "to dan"));
    assert_eq!(story.take_lines(), ["[t] 2 (bob): to dan"]);
}

#[test]
fn what_crosses_the_logout_is_shown_and_left_to_the_next_login() {
    let mut story = Story::logged_in();
    story.ask(Ask::LogOut { patience: SECOND });
    let logout = story.take_sent().pop().unwrap();
    assert_eq!(logout["msgid"], 3);
    story.receive(&from_bob("a", "wait!"));
    assert_eq!(story.take_lines(), ["[t] 2 (bob): wait!"]);
    story.pass(SECOND);
    assert_eq!(story.take_sent(), Vec::<Value>::new());
    story.reply(&logout, 103, json!({}));
    assert_eq!(story.disk, [key("a")]);
}
