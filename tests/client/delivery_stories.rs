//! The client's half of the protocol's Delivery section, against a server that
//! does what the test says.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::piped::Piped;
use crate::puppet::{Line, Puppet};

/// Ann's client, logged in with token `t1` for the next time.
pub fn ann_online() -> (Puppet, Piped, Line) {
    let puppet = Puppet::start();
    let mut ann = Piped::connect(puppet.port);
    ann.send("1\n1\npw");
    let (line, login) = puppet.let_in("t1");
    assert_eq!((&login["password"], &login["ack"]), (&json!("pw"), &json!(true)));
    ann.wait_for("Welcome, ann");
    (puppet, ann, line)
}

fn from_bob(mid: &str, msg: &str) -> Value {
    json!({"msgid": 6, "id": 2, "name": "bob", "to": 1, "msg": msg, "mid": mid, "time": "t"})
}

/// Answers what a client that leaves has to say.
fn see_off(ann: Piped, line: &mut Line) -> Vec<String> {
    let finishing = std::thread::spawn(move || ann.finish());
    let logout = line.expect(3);
    line.reply(&logout, 103, json!({}));
    let ann = finishing.join().unwrap();
    assert_eq!((ann.code, ann.err().contains("may not")), (Some(0), false), "{}", ann.err());
    ann.stdout
}

#[test]
fn a_lost_connection_is_resumed_by_token_and_what_had_no_answer_is_sent_again() {
    let (puppet, mut ann, mut line) = ann_online();
    ann.send("chat:2:hello");
    let first = line.expect(6);
    drop(line);
    // The answer to this resume is lost: the same token again.
    let mut lost = puppet.accept();
    assert_eq!(lost.expect(1)["token"], "t1");
    drop(lost);
    let mut line = puppet.accept();
    let login = line.expect(1);
    assert_eq!((&login["token"], login.get("password")), (&json!("t1"), None));
    line.grant(&login, "t2", &[]);
    let again = line.expect(6);
    assert_eq!((&again["mid"], &again["msg"]), (&first["mid"], &first["msg"]));
    line.reply(&again, 106, json!({"status": "delivered"}));
    ann.wait_for("Delivered to 2.");
    drop(line);
    let (mut line, login) = puppet.let_in("t3");
    assert_eq!(login["token"], "t2");
    ann.wait_for("Connected again");
    let shown = see_off(ann, &mut line);
    assert_eq!(shown.iter().filter(|line| line.starts_with("Welcome")).count(), 1);
}

#[test]
fn a_refused_token_is_followed_by_the_password_on_the_same_connection() {
    let (puppet, mut ann, line) = ann_online();
    drop(line);
    let mut line = puppet.accept();
    let login = line.expect(1);
    line.reply(&login, 2, json!({"errno": 1, "errmsg": "wrong id or password"}));
    let login = line.expect(1);
    assert_eq!((&login["password"], &login["takeover"]), (&json!("pw"), &json!(true)));
    line.grant(&login, "t2", &[]);
    ann.wait_for("Connected again, logged in as 1 (ann).");
    see_off(ann, &mut line);
}

#[test]
fn every_message_is_confirmed_doubles_too_and_the_count_begins_again_with_a_resume() {
    let (puppet, mut ann, mut line) = ann_online();
    line.push(&from_bob("a", "one"));
    line.push(&from_bob("a", "one"));
    assert_eq!(line.expect(14)["count"], 2);
    drop(line);
    let mut line = puppet.accept();
    let login = line.expect(1);
    line.grant(&login, "t2", &[from_bob("a", "one"), from_bob("b", "two")]);
    line.push(&from_bob("c", "three"));
    while line.expect(14)["count"] != 3 {}
    ann.wait_for("(bob): three");
    let shown = see_off(ann, &mut line);
    let shown: Vec<&str> = shown.iter().filter_map(|line| line.split("(bob): ").nth(1)).collect();
    assert_eq!(shown, ["one", "two", "three"]);
}

#[test]
fn what_came_last_is_confirmed_before_a_client_leaves() {
    let (_puppet, mut ann, mut line) = ann_online();
    line.push(&from_bob("a", "one"));
    ann.wait_for("(bob): one");
    ann.end_input();
    assert_eq!(line.expect(14)["count"], 1);
    let logout = line.read();
    assert_eq!(logout["msgid"], 3, "nothing is left to say but goodbye");
    line.reply(&logout, 103, json!({}));
    assert_eq!(ann.finish().code, Some(0));
}

#[test]
fn a_script_waits_for_its_answers_before_it_leaves() {
    let (_puppet, mut ann, mut line) = ann_online();
    ann.send("chat:2:one\nchat:3:two");
    ann.end_input();
    let (one, two) = (line.expect(6), line.expect(6));
    // Nothing comes before both are answered, in whatever order.
    line.reply(&two, 106, json!({"status": "stored"}));
    ann.wait_for("Stored for 3");
    line.reply(&one, 106, json!({"errno": 13, "errmsg": "the database is away"}));
    let again = line.read();
    assert_eq!((&again["msgid"], &again["mid"]), (&json!(6), &one["mid"]));
    line.reply(&again, 106, json!({"status": "delivered"}));
    let logout = line.read();
    assert_eq!(logout["msgid"], 3);
    line.reply(&logout, 103, json!({}));
    let ann = ann.finish();
    assert_eq!(ann.code, Some(0));
    assert_eq!(ann.stdout[ann.stdout.len() - 2..], ["Delivered to 2.", "Logged out."]);
}

#[test]
fn what_never_had_an_answer_is_named_at_the_end_of_a_script_and_makes_it_fail() {
    let (_puppet, mut ann, mut line) = ann_online();
    ann.send("chat:2:one\naddfriend:3");
    line.expect(7);
    ann.end_input();
    // After ten seconds it is sent again, and patience is at its end.
    let logout = line.expect(3);
    line.reply(&logout, 103, json!({}));
    let ann = ann.finish();
    assert_eq!(ann.code, Some(1));
    assert!(ann.err().contains("The message to 2 may not have been sent"), "{}", ann.err());
    assert!(ann.err().contains("addfriend:3 may not have been done"), "{}", ann.err());
}

#[test]
fn a_client_whose_account_is_taken_over_again_and_again_waits_until_it_is_wanted() {
    let (puppet, mut ann, line) = ann_online();
    drop(line);
    for _ in 0..3 {
        let (line, login) = puppet.let_in("t");
        assert!(login.get("token").is_some());
        ann.wait_for("Connected again");
        drop(line);
    }
    let mut line = puppet.accept();
    let question = line.expect(1);
    assert_eq!((&question["password"], &question["takeover"]), (&json!("pw"), &json!(false)));
    line.reply(&question, 2, json!({"errno": 2, "errmsg": "online elsewhere"}));
    ann.wait_for("This account is in use elsewhere now.");
    assert!(line.is_closed());
    let given_in = Instant::now();
    ann.send("chat:2:it is me");
    ann.wait_for("Not connected: this is kept");
    let (mut line, login) = puppet.let_in("t");
    assert_eq!(login["token"], "t");
    assert!(given_in.elapsed() > Duration::from_secs(1), "{:?}", given_in.elapsed());
    let chat = line.expect(6);
    assert_eq!(chat["msg"], "it is me");
    line.reply(&chat, 106, json!({"status": "delivered"}));
    ann.wait_for("Delivered to 2.");
    see_off(ann, &mut line);
}

#[test]
fn messages_that_nobody_can_read_are_not_confirmed() {
    let puppet = Puppet::start();
    let state_dir = tempfile::tempdir().unwrap();
    // As `| head` leaves it, or a full disk.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut ann = Piped::spawn_with(|command| {
        command.args(["127.0.0.1", &puppet.port.to_string()]);
        command.env("CHAT_STATE_DIR", state_dir.path()).stdout(full);
    });
    ann.send("1\n1\npw");
    let (mut line, _) = puppet.let_in("t1");
    line.push(&from_bob("a", "is anybody there?"));
    // What a script sends goes on.
    ann.send("chat:2:one");
    let chat = line.read();
    assert_eq!(chat["msgid"], 6);
    line.reply(&chat, 106, json!({"status": "delivered"}));
    ann.end_input();
    let logout = line.read();
    assert_eq!(logout["msgid"], 3, "not even before it leaves");
    line.reply(&logout, 103, json!({}));
    assert_eq!(ann.finish().code, Some(0));
    let remembered = state_dir.path().join(format!("seen-127.0.0.1-{}-1", puppet.port));
    assert_eq!(std::fs::read_to_string(remembered).unwrap(), "");
}
