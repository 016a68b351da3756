//! ChatClient on a terminal.

use unicode_width::UnicodeWidthStr;

use crate::piped::{Piped, script};
use crate::proxy::Proxy;
use crate::support::server::TestServer;
use crate::terminal::Terminal;

#[test]
fn a_person_registers_logs_in_chats_and_leaves() {
    let server = TestServer::start();
    let mut ann = Terminal::connect(server.port());
    ann.wait_line("1. login");
    ann.wait_cursor_after("choice: ");
    ann.type_text("2\r");
    ann.wait_cursor_after("name: ");
    ann.type_text("ann\r");
    ann.wait_cursor_after("password: ");
    ann.type_text("hunter3\x7f2");
    // A key that does nothing here, and an Enter that does.
    ann.type_text("\t\r");
    ann.wait_cursor_after("password again: ");
    ann.type_text("hunter2\r");
    ann.wait_line("Registered: ann has the id 1.");
    ann.wait_cursor_after("choice: ");
    let lines = ann.screen.lines();
    let registered = lines.iter().position(|line| line.starts_with("Registered")).unwrap();
    assert_eq!(lines[registered - 2], "password:", "not even how long it is is shown");
    assert_eq!(lines[registered - 1], "password again:");
    ann.type_text("1\r");
    // The new number is only an Enter away.
    ann.wait_cursor_after("id or name [1]: ");
    ann.type_text("\r");
    ann.wait_cursor_after("password: ");
    // Out of a password manager, as terminals mark it.
    ann.type_text("\x1b[200~hunter2\x1b[201~\r");
    ann.wait_cursor_after("ann> ");
    ann.wait_line("Welcome, ann: you are user 1.");
    ann.type_text("chat:1:hello, me\r");
    ann.wait_line("1 (ann): hello, me");
    ann.wait_line("Delivered to 1 (ann).");
    ann.wait_cursor_after("ann> ");
    ann.type_text("loginout\r");
    ann.wait_line("Logged out.");
    ann.wait_cursor_after("choice: ");
    ann.type_text("3\r");
    assert_eq!(ann.finish(), 0);
    assert!(!ann.everything().contains("hunter"), "{}", ann.everything());
    assert!(!ann.everything().contains('*'), "{}", ann.everything());
    assert_eq!(ann.screen.strange, Vec::<String>::new());
}

#[test]
fn lines_typed_ahead_or_pasted_at_once_are_all_taken() {
    let server = TestServer::start();
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::connect(server.port());
    ann.wait_cursor_after("choice: ");
    ann.type_text("1\rann\rpw of ann\rchat:1:one\rchat:1:two\rquit\r");
    assert_eq!(ann.finish(), 0);
    let text = ann.text();
    assert!(text.contains("1 (ann): one") && text.contains("1 (ann): two"), "{text}");
}

#[test]
fn a_failed_login_leads_back_to_the_menu() {
    let server = TestServer::start();
    let mut ann = Terminal::connect(server.port());
    ann.wait_cursor_after("choice: ");
    ann.type_text("1\r");
    ann.wait_cursor_after("id or name: ");
    ann.type_text("1\r");
    ann.wait_cursor_after("password: ");
    ann.type_text("wrong\r");
    ann.wait_line("Login failed: ");
    ann.wait_cursor_after("choice: ");
    // Ctrl+D leaves.
    ann.type_text("\x04");
    assert_eq!(ann.finish(), 0);
}

#[test]
fn a_message_that_comes_while_typing_leaves_the_typed_text_alone() {
    let server = TestServer::start();
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    let ann_id = bob_id + 1;
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(server.port(), "ann");
    let typed = format!("ann> chat:{bob_id}:half of a sen");
    ann.type_text(&typed["ann> ".len()..]);
    ann.wait_cursor_after(&typed);
    bob.send(&format!("chat:{ann_id}:look, 你好"));
    ann.wait_line(&format!("{bob_id} (bob): look, 你好"));
    ann.wait_cursor_after(&typed);
    let above = ann.wait("the line above", |screen| {
        let lines = screen.lines();
        let at = lines.iter().position(|line| line.starts_with(&typed))?;
        lines.get(at.checked_sub(1)?).cloned()
    });
    assert!(above.ends_with("(bob): look, 你好"), "{above}");
    assert_eq!(ann.text().matches("half of a sen").count(), 1, "{}", ann.text());

    // In the middle of a line that takes two rows, too.
    let long = "x".repeat(150);
    ann.type_text(&long);
    ann.wait("two rows", |screen| screen.before_cursor().ends_with("xxx").then_some(()));
    for i in 0..5 {
        bob.send(&format!("chat:{ann_id}:again {i}"));
    }
    ann.wait_line("again 4");
    ann.type_text("tence\r");
    bob.wait_for(&format!("{ann_id} (ann): half of a sen{long}tence"));
    ann.wait_cursor_after("ann> ");
    ann.wait_line("Delivered to");
    for i in 0..5 {
        assert_eq!(ann.text().matches(&format!("(bob): again {i}\n")).count(), 1, "{}", ann.text());
    }
    assert_eq!(ann.screen.strange, Vec::<String>::new());
}

#[test]
fn messages_in_a_storm_are_all_shown_and_none_twice_while_lines_are_entered() {
    let server = TestServer::start();
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    let ann_id = bob_id + 1;
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(server.port(), "ann");
    for i in 0..300 {
        bob.send(&format!("chat:{ann_id}:storm {i}."));
        if i % 10 == 0 {
            ann.wait_cursor_after("ann> ");
            ann.type_text(&format!("chat:{bob_id}:drop {i}.\r"));
            bob.wait_for(&format!("drop {i}."));
        }
    }
    ann.wait_line("storm 299.");
    ann.wait_cursor_after("ann> ");
    let text = ann.text();
    let shown = text.lines().filter_map(|line| line.split("(bob): storm ").nth(1));
    let shown: Vec<String> = shown.map(str::to_owned).collect();
    let expected: Vec<String> = (0..300).map(|i| format!("{i}.")).collect();
    assert_eq!(shown, expected, "{text}");
}

#[test]
fn tab_completes_commands_and_friends_and_up_brings_lines_back() {
    let server = TestServer::start();
    let (mut bob, bob_id) = Piped::register(server.port(), "bob");
    script(server.port(), &format!("2\nann\npw of ann\n1\nann\npw of ann\naddfriend:{bob_id}"));
    let mut ann = Terminal::log_in(server.port(), "ann");
    ann.type_text("cha\t");
    ann.wait_cursor_after("ann> chat:");
    ann.type_text("bo\t");
    ann.wait_cursor_after(&format!("ann> chat:{bob_id}:"));
    ann.type_text("hi\r");
    bob.wait_for("(ann): hi");
    ann.wait_cursor_after("ann> ");
    ann.type_text("\x1b[A");
    ann.wait_cursor_after(&format!("ann> chat:{bob_id}:hi"));
    // Nothing older than the first command: the password is not there.
    ann.type_text("\x1b[A\x1b[A\x01\x0b#");
    ann.wait_cursor_after("ann> #");
    assert!(!ann.everything().contains("pw of ann"), "{}", ann.everything());
}

#[test]
fn ctrl_c_clears_a_line_and_leaves_on_an_empty_one() {
    let server = TestServer::start();
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(server.port(), "ann");
    ann.type_text("chat:1:on second thoughts");
    ann.wait_cursor_after("ann> chat:1:on second thoughts");
    ann.type_text("\x03");
    ann.wait_cursor_after("ann> ");
    ann.type_text("\x03");
    assert_eq!(ann.finish(), 0);
    assert!(ann.text().contains("Logged out."), "{}", ann.text());
    // The account is free again at once.
    Piped::log_in(server.port(), "ann");
}

#[test]
fn an_account_that_is_gone_leads_back_to_the_menu_and_a_message_typed_there_stays_unsent() {
    let server = TestServer::start();
    let proxy = Proxy::to(server.port());
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(proxy.port, "ann");
    ann.type_text("chat:1:dear me");
    ann.wait_cursor_after("ann> chat:1:dear me");
    let another_world = TestServer::start();
    proxy.lead_to(another_world.port());
    proxy.cut_clients();
    ann.wait_line("Connection lost: ");
    ann.wait_line("You are logged out: ");
    ann.wait_cursor_after("ann> chat:1:dear me");
    ann.type_text("\r");
    ann.wait_line("That line was not sent: log in first.");
    ann.wait_cursor_after("choice: ");
}

#[test]
fn wide_names_line_up_on_the_screen() {
    let server = TestServer::start();
    let (_wang, wang_id) = Piped::register(server.port(), "王小明");
    let (_bob, bob_id) = Piped::register(server.port(), "bob");
    let script_of_ann =
        format!("2\nann\npw of ann\n1\nann\npw of ann\naddfriend:{wang_id}\naddfriend:{bob_id}");
    assert_eq!(script(server.port(), &script_of_ann).code, Some(0));
    let mut ann = Terminal::log_in(server.port(), "ann");
    let column = |line: &str, part: &str| line[..line.find(part).unwrap()].width();
    let header = ann.wait_line("STATE");
    for name in ["王小明", "bob"] {
        let row = ann.wait_line(name);
        assert_eq!(column(&row, "online"), column(&header, "STATE"), "{row}");
    }
}

#[test]
fn a_terminal_without_line_editing_hides_passwords_too() {
    let server = TestServer::start();
    script(server.port(), "2\nann\nhunter2\n3");
    let mut ann = Terminal::connect_as(server.port(), "dumb");
    ann.wait_cursor_after("choice: ");
    ann.type_text("1\n");
    ann.wait_cursor_after("id or name: ");
    ann.type_text("ann\n");
    ann.wait_cursor_after("password: ");
    ann.type_text("hunter2\n");
    ann.wait_line("Welcome, ann");
    ann.wait_cursor_after("ann> ");
    ann.type_text("quit\n");
    assert_eq!(ann.finish(), 0);
    assert!(!ann.everything().contains("hunter2"), "{}", ann.everything());
}

#[test]
fn own_text_is_broken_at_spaces_on_a_narrow_terminal_and_messages_are_not() {
    let server = TestServer::start();
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::open(server.port(), "xterm-256color", 60);
    ann.go_in("ann");
    ann.type_text("help\r");
    ann.wait_line("for theirs.");
    ann.wait_cursor_after("ann> ");
    let lines = ann.screen.lines();
    let under = |line: &str, part: &str| line[..line.find(part).unwrap()].width();
    let first = lines.iter().find(|line| line.ends_with("leave a group, or")).unwrap();
    let rest = lines.iter().find(|line| line.trim_start() == "dissolve your own").unwrap();
    assert_eq!(under(first, "leave a group"), under(rest, "dissolve"), "{}", ann.text());
    let note = "A message may hold colons. Ids are numbers: ask your friend";
    let at = lines.iter().position(|line| line == note).expect(note);
    assert_eq!(lines[at + 1], "for theirs.", "{}", ann.text());

    let msg = ["word"; 20].join(" ");
    ann.type_text(&format!("chat:1:{msg}\r"));
    ann.wait_line("Delivered to");
    assert!(ann.everything().contains(&format!("1 (ann): {msg}")), "{}", ann.text());
}

#[test]
fn a_registration_that_cannot_succeed_is_told_as_soon_as_that_is_clear() {
    let server = TestServer::start();
    let mut ann = Terminal::connect(server.port());
    for (name, why) in [("", "1 to 50"), (&*"x".repeat(51), "this one has 51")] {
        ann.wait_cursor_after("choice: ");
        ann.type_text("2\r");
        ann.wait_cursor_after("name: ");
        ann.type_text(&format!("{name}\r"));
        ann.wait_line(why);
    }
    assert!(!ann.text().contains("password"), "{}", ann.text());
    ann.wait_cursor_after("choice: ");
    ann.type_text("2\r");
    ann.wait_cursor_after("name: ");
    ann.type_text("ann\r");
    ann.wait_cursor_after("password: ");
    ann.type_text("hunter2\r");
    ann.wait_cursor_after("password again: ");
    ann.type_text("humter2\r");
    ann.wait_line("Registration failed: the two passwords differ.");
    ann.wait_cursor_after("choice: ");
}

#[test]
fn who_leaves_while_the_server_is_away_is_not_told_of_a_logout() {
    let mut server = TestServer::start();
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(server.port(), "ann");
    server.kill9();
    ann.wait_line("Connection lost: ");
    ann.type_text("\x03");
    assert_eq!(ann.finish(), 0);
    let text = ann.text();
    assert!(text.contains("Left without a connection: ") && !text.contains("Logged out"), "{text}");
}

#[test]
fn several_lines_pasted_at_once_are_one_message() {
    let server = TestServer::start();
    script(server.port(), "2\nann\npw of ann\n3");
    let mut ann = Terminal::log_in(server.port(), "ann");
    ann.type_text("\x1b[200~chat:1:one\rquit\x1b[201~\r");
    ann.wait_line("1 (ann): one␊quit");
    ann.wait_cursor_after("ann> ");
}
