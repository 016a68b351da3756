//! Sessions that take the place of others: the same client's after a lost
//! connection, another client's of the same account.

use crate::piped::{Piped, script};
use crate::proxy::Proxy;
use crate::support::server::TestServer;
use crate::terminal::Terminal;

const ANN: u32 = 1;

fn server_that_knows_ann() -> TestServer {
    let server = TestServer::start();
    assert_eq!(script(server.port(), "2\nann\npw of ann\n3").code, Some(0));
    server
}

#[test]
fn a_lost_connection_is_resumed_although_the_server_has_not_noticed() {
    let server = server_that_knows_ann();
    let proxy = Proxy::to(server.port());
    let mut ann = Piped::log_in(proxy.port, "ann");
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    for round in 0..3 {
        proxy.cut_clients();
        ann.wait_for("Connected again, logged in as 1 (ann).");
        bob.send(&format!("chat:{ANN}:round {round}"));
        ann.wait_for(&format!("{bob_id} (bob): round {round}"));
        bob.wait_for("Delivered to 1.");
    }
    let ann = ann.finish();
    assert_eq!(ann.code, Some(0));
    assert!(!ann.err().contains("still looks online"), "{}", ann.err());
}

#[test]
fn messages_come_once_and_in_order_however_often_the_connection_is_cut() {
    const MESSAGES: usize = 300;
    let server = server_that_knows_ann();
    let proxy = Proxy::to(server.port());
    let mut ann = Piped::log_in(proxy.port, "ann");
    let (mut bob, _) = Piped::register(server.port(), "bob");
    for i in 0..MESSAGES {
        if i % 100 == 50 {
            // In the middle of a burst: some of it is under way, some is shown
            // and not confirmed yet.
            ann.wait_for(&format!("(bob): number {}.", i - 45));
            proxy.cut_clients();
        }
        bob.send(&format!("chat:{ANN}:number {i}."));
    }
    ann.wait_for(&format!("(bob): number {}.", MESSAGES - 1));
    let out = ann.finish().stdout;
    let shown: Vec<&str> = out.iter().filter_map(|l| l.split("(bob): number ").nth(1)).collect();
    let expected: Vec<String> = (0..MESSAGES).map(|i| format!("{i}.")).collect();
    assert_eq!(shown, expected);
    assert_eq!(bob.finish().code, Some(0));
}

#[test]
fn a_person_takes_an_account_over_and_the_other_client_gives_in() {
    let server = server_that_knows_ann();
    let mut old = Piped::log_in(server.port(), "ann");
    let mut new = Terminal::connect(server.port());
    new.wait_cursor_after("choice: ");
    new.type_text("1\rann\rpw of ann\r");
    new.wait_cursor_after("This account is online elsewhere: take it over? (y/n) ");
    new.type_text("y\r");
    new.wait_line("Welcome, ann");
    old.wait_for("Connection lost: ");
    // It cannot know why, and comes back; but not for ever.
    old.wait_for("This account is in use elsewhere now.");
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    bob.send(&format!("chat:{ANN}:to the new one"));
    new.wait_line(&format!("{bob_id} (bob): to the new one"));
    assert!(!old.stdout.iter().any(|line| line.contains("to the new one")));
    // Who writes something gets the account back.
    old.send(&format!("chat:{bob_id}:from the old one"));
    bob.wait_for("1 (ann): from the old one");
}

#[test]
fn a_script_takes_an_account_over_if_told_to() {
    let server = server_that_knows_ann();
    let mut old = Piped::log_in(server.port(), "ann");
    let mut new = Piped::spawn(&["127.0.0.1", &server.port().to_string(), "--takeover"]);
    new.go_in("ann");
    old.wait_for("This account is in use elsewhere now.");
    new.send(&format!("chat:{ANN}:I have it"));
    new.wait_for("1 (ann): I have it");
    assert_eq!(new.finish().code, Some(0));
}
