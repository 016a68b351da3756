//! Staying logged in, and an account that is online elsewhere.

use crate::piped::{Piped, script};
use crate::proxy::Proxy;
use crate::support::server::TestServer;
use crate::terminal::Terminal;

#[test]
fn an_account_that_is_online_elsewhere_is_asked_about_and_left_alone_on_no() {
    let server = TestServer::start();
    let (mut first, _) = Piped::register(server.port(), "ann");
    let mut second = Terminal::connect(server.port());
    second.wait_cursor_after("choice: ");
    second.type_text("1\rann\rpw of ann\r");
    second.wait_cursor_after("This account is online elsewhere: take it over? (y/n) ");
    second.type_text("n\r");
    second.wait_cursor_after("choice: ");
    first.send("chat:1:still here");
    first.wait_for("(ann): still here");
    assert!(!first.stderr.iter().any(|line| line.contains("Connection lost")));
}

#[test]
fn a_script_whose_account_is_online_elsewhere_fails_and_says_what_would_help() {
    let server = TestServer::start();
    let (_first, _) = Piped::register(server.port(), "ann");
    let second = script(server.port(), "1\nann\npw of ann\nchat:1:hello");
    assert_eq!(second.code, Some(1));
    assert_eq!(second.stderr.len(), 1, "{}", second.err());
    assert!(second.err().starts_with("Login failed: "), "{}", second.err());
    assert!(second.err().contains("--takeover"), "{}", second.err());
}

#[test]
fn an_outage_on_a_terminal_is_two_lines_and_what_was_missed() {
    let server = TestServer::start();
    let proxy = Proxy::to(server.port());
    script(server.port(), "2\nann\npw of ann\n3");
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    let mut ann = Terminal::log_in(proxy.port, "ann");
    ann.type_text("chat:2:half of a sen");
    ann.wait_cursor_after("ann> chat:2:half of a sen");
    // Nobody listens on port 0: Ann is away until Bob's message is stored.
    proxy.lead_to(0);
    proxy.cut_clients();
    proxy.close_first();
    ann.wait_line("Connection lost: ");
    bob.send("chat:1:where are you?");
    bob.wait_for("Stored for 1");
    proxy.lead_to(server.port());
    ann.wait_line(&format!("{bob_id} (bob): where are you?"));
    ann.wait_cursor_after("ann> chat:2:half of a sen");
    let text = ann.text();
    for (line, times) in [
        ("Welcome, ann", 1),
        ("You have no friends yet", 1),
        ("Connection lost", 1),
        ("Connected again, logged in as 1 (ann).", 1),
        ("Missed messages: 1", 1),
        ("where are you?", 1),
    ] {
        assert_eq!(text.matches(line).count(), times, "{line}: {text}");
    }
}
