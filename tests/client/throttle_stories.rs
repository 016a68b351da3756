//! A server that asks to slow down (errno 12), and says for how long.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::delivery_stories::ann_online;
use crate::piped::{Piped, script};
use crate::support::server::ServerPlan;

#[test]
fn who_comes_back_to_a_busy_server_waits_as_long_as_that_says_even_if_it_hangs_up() {
    let (puppet, mut ann, line) = ann_online();
    drop(line);
    let mut line = puppet.accept();
    let login = line.expect(1);
    let busy = json!({"errno": 12, "errmsg": "the server is busy", "retry_after": 2});
    line.reply(&login, 2, busy);
    let refused = Instant::now();
    ann.wait_for("The server asks to wait: the server is busy. Trying again in ");
    drop(line);
    let (_line, login) = puppet.let_in("t2");
    assert!(refused.elapsed() >= Duration::from_secs(2), "{:?}", refused.elapsed());
    assert_eq!(login["token"], "t1");
    ann.wait_for("Connected again");
}

#[test]
fn a_message_that_comes_too_fast_is_sent_again_when_the_server_says() {
    let (_puppet, mut ann, mut line) = ann_online();
    ann.send("chat:2:one");
    let first = line.expect(6);
    let hint = json!({"errno": 12, "errmsg": "you are sending too fast", "retry_after": 2});
    line.reply(&first, 106, hint);
    let refused = Instant::now();
    ann.wait_for("The server asks to wait: you are sending too fast. Trying again in ");
    ann.send("chat:2:two");
    let again = line.expect(6);
    assert!(refused.elapsed() >= Duration::from_secs(2), "{:?}", refused.elapsed());
    assert_eq!(again, first);
    line.reply(&again, 106, json!({"status": "delivered"}));
    let next = line.expect(6);
    assert_eq!(next["msg"], "two");
    line.reply(&next, 106, json!({"status": "delivered"}));
    ann.wait_for("Delivered to 2.");
    ann.wait_for("Delivered to 2.");
}

#[test]
fn a_script_that_is_faster_than_its_server_allows_gets_everything_through() {
    let server = ServerPlan::new()
        .flag("--message-rate", 5)
        .flag("--message-burst", 4)
        .flag("--message-spare", 0)
        .start();
    let port = server.port();
    let (mut bob, bob_id) = Piped::register(port, "bob");
    let lines: Vec<String> = (0..15).map(|i| format!("chat:{bob_id}:line {i};")).collect();
    let ann = script(port, &format!("2\nann\npw\n1\nann\npw\n{}", lines.join("\n")));
    assert_eq!(ann.code, Some(0), "{}", ann.err());
    assert!(server.log().contains("throttled requests"), "{}", server.log());
    for i in 0..15 {
        let line = format!("(ann): line {i};");
        if !bob.stdout.iter().any(|shown| shown.ends_with(&line)) {
            bob.wait_for(&line);
        }
        assert_eq!(bob.stdout.iter().filter(|shown| shown.ends_with(&line)).count(), 1);
    }
}

#[test]
fn a_login_after_too_many_wrong_passwords_waits_and_gets_in() {
    let server = ServerPlan::new().flag("--login-failures", 1).start();
    let port = server.port();
    assert_eq!(script(port, "2\nann\npw\n3").code, Some(0));
    let wrong = script(port, "1\nann\nwrong");
    assert!(wrong.err().contains("wrong id or password"), "{}", wrong.err());
    let right = script(port, "1\nann\npw");
    assert_eq!(right.code, Some(0), "{}", right.err());
    assert!(right.out().contains("Welcome, ann"), "{}", right.out());
}
