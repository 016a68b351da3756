//! ChatClient in scripts.

use unicode_width::UnicodeWidthStr;

use crate::piped::{Piped, script};
use crate::proxy::Proxy;
use crate::support::server::{ServerPlan, TestServer};

#[test]
fn a_script_registers_logs_in_and_leaves() {
    let server = TestServer::start();
    let finished =
        script(server.port(), "2\nann\nsecret\n1\n\nsecret\nshowfriendlist\nloginout\n3");
    assert_eq!(finished.err(), "");
    assert_eq!(finished.code, Some(0));
    let friends = "You have no friends yet: addfriend:friendid makes one.";
    assert_eq!(finished.stdout[0], "Registered: ann has the id 1. Log in with it.");
    assert!(finished.stdout[1].starts_with("Welcome, ann: you are user 1."));
    assert_eq!(finished.stdout[2], friends);
    assert!(finished.stdout[3].starts_with("You are in no group yet"));
    assert_eq!(finished.stdout[4..], [friends, "Logged out."]);
}

#[test]
fn a_failed_login_is_an_error_line_and_a_failure() {
    let server = TestServer::start();
    script(server.port(), "2\nann\nsecret\n3");
    for (id, password) in [("1", "wrong"), ("999", "secret"), ("nobody", "secret")] {
        let finished = script(server.port(), &format!("1\n{id}\n{password}\nchat:1:hello"));
        assert_eq!(finished.code, Some(1));
        assert_eq!(finished.stdout, Vec::<String>::new());
        assert_eq!(finished.stderr.len(), 1, "{:?}", finished.stderr);
        assert!(finished.stderr[0].starts_with("Login failed: "), "{:?}", finished.stderr);
    }
}

#[test]
fn a_taken_name_and_a_misspelt_command_make_a_script_fail() {
    let server = TestServer::start();
    assert_eq!(script(server.port(), "2\nann\nsecret\n3").code, Some(0));
    let taken = script(server.port(), "2\nann\nother\n3");
    assert_eq!(taken.code, Some(1));
    assert!(taken.err().starts_with("Registration failed: "), "{}", taken.err());
    let misspelt = script(server.port(), "1\nann\nsecret\nchatt:1:x\nchat:bob:x\nchat:1:to myself");
    assert_eq!(misspelt.code, Some(1));
    assert!(misspelt.stderr[0].contains("There is no command \"chatt\""));
    assert!(misspelt.stderr[1].contains("write chat:friendid:message"), "{}", misspelt.err());
    assert!(misspelt.out().contains("1 (ann): to myself"), "{}", misspelt.out());
}

#[test]
fn two_clients_chat_and_a_message_may_hold_colons() {
    let server = TestServer::start();
    let (mut ann, ann_id) = Piped::register(server.port(), "ann");
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    ann.send(&format!("addfriend:{bob_id}"));
    ann.wait_for(&format!("{bob_id} (bob) is now your friend (online)."));
    ann.send(&format!("chat:{bob_id}:see http://a.b:80/: it's \"quoted\" \\ 你好"));
    let line = bob.wait_for("see http");
    let text = format!("] {ann_id} (ann): see http://a.b:80/: it's \"quoted\" \\ 你好");
    assert!(line.ends_with(&text), "{line}");
    ann.wait_for(&format!("Delivered to {bob_id} (bob)."));
    bob.send(&format!("chat:{ann_id}:fine"));
    ann.wait_for(&format!("{bob_id} (bob): fine"));
    bob.send("chat:999999:nobody");
    bob.wait_for("The message to 999999 was not sent: ");
    assert_eq!((ann.finish().code, bob.finish().code), (Some(0), Some(0)));
}

#[test]
fn missed_messages_come_at_login_with_time_and_sender() {
    let server = TestServer::start();
    let (ann, ann_id) = Piped::register(server.port(), "ann");
    assert_eq!(ann.finish().code, Some(0));
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    bob.send(&format!("chat:{ann_id}:first\nchat:{ann_id}:second"));
    bob.wait_for(&format!("Stored for {ann_id}: it comes with the next login."));
    bob.wait_for("Stored for");
    let ann = script(server.port(), "1\nann\npw of ann\nloginout\n3");
    let start = ann.stdout.iter().position(|line| line == "Missed messages: 2");
    let start = start.unwrap_or_else(|| panic!("{}", ann.out()));
    for (line, word) in ann.stdout[start + 1..].iter().zip(["first", "second"]) {
        assert!(line.starts_with("[20"), "{line}");
        assert!(
            line.ends_with(&format!(":{:02}] {bob_id} (bob): {word}", seconds(line))),
            "{line}"
        );
    }
    // They do not come again.
    let again = script(server.port(), "1\nann\npw of ann");
    assert!(!again.out().contains("Missed"), "{}", again.out());
}

/// The seconds of `[2026-11-21 12:34:56] …`.
fn seconds(line: &str) -> u32 {
    line[18..20].parse().unwrap()
}

#[test]
fn friends_and_groups_are_tables_that_line_up_with_wide_characters() {
    let server = TestServer::start();
    let (mut ann, ann_id) = Piped::register(server.port(), "ann");
    let (wang, wang_id) = Piped::register(server.port(), "王小明");
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    assert_eq!(wang.finish().code, Some(0));
    ann.send(&format!("addfriend:{wang_id}\naddfriend:{bob_id}\ncreategroup:团队:all: of us"));
    let created = ann.wait_for("is created");
    let group: u32 = created.split(' ').nth(1).unwrap().parse().unwrap();
    bob.send(&format!("addgroup:{group}"));
    bob.wait_for(&format!("You are now in group {group} (团队), members: 2."));
    ann.send(&format!("groupchat:{group}:to: all"));
    bob.wait_for(&format!("{ann_id} (ann) in group {group} (团队): to: all"));
    ann.wait_for(&format!("Group {group} (团队): delivered to 1."));
    ann.send("showfriendlist");
    ann.wait_for("Friends: 2");
    assert_eq!(bob.finish().code, Some(0));
    assert_eq!(ann.finish().code, Some(0));

    let out = script(server.port(), "1\nann\npw of ann").stdout;
    let row = |part: &str| out.iter().find(|line| line.contains(part)).unwrap();
    let column = |line: &str, part: &str| line[..line.find(part).unwrap()].width();
    let state = column(row("STATE"), "STATE");
    assert_eq!(column(row("王小明"), "offline"), state);
    assert_eq!(column(row("bob"), "offline"), state);
    let header = row("DESCRIPTION");
    assert_eq!(column(row("all: of us"), "all: of us"), column(header, "DESCRIPTION"));
    assert_eq!(column(row("all: of us"), "creator"), column(header, "YOU ARE"));
    assert!(out.iter().any(|line| line.contains("bob") && line.ends_with("normal")), "{out:#?}");
}

#[test]
fn nothing_that_a_peer_writes_reaches_the_terminal_as_a_command() {
    let server = TestServer::start();
    let (mut ann, ann_id) = Piped::register(server.port(), "ann");
    let (mut bob, _) = Piped::register(server.port(), "bob");
    bob.send(&format!("chat:{ann_id}:\x1b[2J\x1b]0;owned\x07 \u{9b}31m\u{202e}evil\r"));
    let line = ann.wait_for("evil");
    assert!(line.contains("␛[2J␛]0;owned␇ \\u{9b}31m\\u{202e}evil"), "{line}");
    assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
    bob.finish();
}

#[test]
fn a_long_script_arrives_whole_in_order_and_once() {
    let server = TestServer::start();
    let (mut ann, ann_id) = Piped::register(server.port(), "ann");
    let mut text = "2\nbob\npw\n1\nbob\npw\n".to_owned();
    for i in 0..2_000 {
        text.push_str(&format!("chat:{ann_id}:number {i}\n"));
    }
    let bob = script(server.port(), text.trim_end());
    assert_eq!((bob.code, bob.err()), (Some(0), String::new()));
    let settled = bob.stdout.iter().filter(|line| line.starts_with("Delivered to "));
    assert_eq!(settled.count(), 2_000);
    ann.wait_for("number 1999");
    let out = ann.finish().stdout;
    let numbers = out.iter().filter_map(|line| line.split("(bob): number ").nth(1));
    let numbers: Vec<usize> = numbers.map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>());
}

#[test]
fn a_script_can_wait_and_listen() {
    let server = TestServer::start();
    let (mut ann, ann_id) = Piped::register(server.port(), "ann");
    // The input has ended, but the client listens on.
    ann.send("wait:3600");
    ann.end_input();
    let (mut bob, _) = Piped::register(server.port(), "bob");
    bob.send(&format!("chat:{ann_id}:are you there?"));
    ann.wait_for("are you there?");
    bob.wait_for("Delivered to");
}

#[test]
fn a_list_shows_what_the_lines_before_it_have_changed() {
    let server = TestServer::start();
    let finished = script(
        server.port(),
        "2\nann\npw\n1\nann\npw\ncreategroup:team:us\nshowgrouplist\ndelgroup:1\nshowgrouplist",
    );
    let position = |part: &str| finished.stdout.iter().position(|line| line.contains(part));
    let places = [position("is created"), position("Groups: 1"), position("is dissolved")];
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}", finished.out());
    let last = finished.stdout.iter().rposition(|line| line.starts_with("You are in no group"));
    assert!(last > places[2], "{}", finished.out());
}

#[test]
fn an_account_that_is_gone_ends_a_script_with_the_reason() {
    let server = TestServer::start();
    let proxy = Proxy::to(server.port());
    let (mut ann, _) = Piped::register(proxy.port, "ann");
    let another_world = TestServer::start();
    proxy.lead_to(another_world.port());
    proxy.cut_clients();
    ann.wait_for("You are logged out: ");
    ann.send("chat:1:nobody sends this");
    assert_eq!(ann.finish().code, Some(1));
}

#[test]
fn when_the_server_restarts_the_client_says_so_and_goes_on() {
    // The same id after a restart, although the port is another one.
    let mut server = ServerPlan::new().flag("--server-id", "server-of-this-test").start();
    let proxy = Proxy::to(server.port());
    let (mut ann, ann_id) = Piped::register(proxy.port, "ann");
    let (mut bob, bob_id) = Piped::register(proxy.port, "bob");
    ann.send(&format!("addfriend:{bob_id}"));
    ann.wait_for("is now your friend");
    server.kill9();
    let server = server.plan().start();
    ann.wait_for("Connection lost: ");
    bob.wait_for("Connection lost: ");
    // Typed while nobody is there to take it.
    bob.send(&format!("chat:{ann_id}:written in the dark"));
    bob.wait_for("Not connected: this is kept");
    proxy.lead_to(server.port());
    bob.wait_for(&format!("Connected again, logged in as {bob_id} (bob)."));
    ann.wait_for(&format!("Connected again, logged in as {ann_id} (ann)."));
    ann.wait_for(&format!("{bob_id} (bob): written in the dark"));
    ann.send(&format!("chat:{bob_id}:and in the light"));
    bob.wait_for(&format!("{ann_id} (ann): and in the light"));
    assert_eq!((ann.finish().code, bob.finish().code), (Some(0), Some(0)));
}

#[test]
fn a_session_that_the_server_still_believes_in_does_not_lock_its_user_out() {
    let server = TestServer::start();
    let proxy = Proxy::to(server.port());
    let (mut ann, ann_id) = Piped::register(proxy.port, "ann");
    proxy.cut_clients();
    ann.wait_for("Connection lost: ");
    proxy.wait_for_connections(2);
    proxy.close_first();
    ann.wait_for(&format!("Connected again, logged in as {ann_id} (ann)."));
    ann.send(&format!("chat:{ann_id}:here I am"));
    ann.wait_for("(ann): here I am");
    assert_eq!(ann.finish().code, Some(0));
}
