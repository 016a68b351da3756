//! ConsistentHash on a terminal: editing, history, completion, the ways out.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use expectrl::Session;
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;

use crate::screen::Screen;
use crate::support::wait::SOON;
use crate::tool::Tool;

const COLUMNS: u16 = 100;
const UP: &str = "\x1b[A";

struct Terminal {
    session: OsSession,
    output: Receiver<Vec<u8>>,
    screen: Screen,
    _tool: Tool,
}

impl Terminal {
    fn open(tool: Tool) -> Terminal {
        let mut command = tool.command();
        command.env("TERM", "xterm-256color");
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(COLUMNS, 50).unwrap();
        let stream = session.get_stream().as_fd().try_clone_to_owned().unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let (mut stream, mut buffer) = (File::from(stream), [0; 4096]);
            // The end of the process is an error (EIO) on its terminal.
            while let Ok(n @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let screen = Screen::new(usize::from(COLUMNS));
        let mut terminal = Terminal { session, output, screen, _tool: tool };
        terminal.wait_cursor_after("ring> ");
        terminal
    }

    fn type_text(&mut self, text: &str) {
        self.session.write_all(text.as_bytes()).unwrap();
        self.session.flush().unwrap();
    }

    #[track_caller]
    fn wait_line(&mut self, part: &str) {
        self.wait(part, |screen| screen.lines().iter().any(|line| line.contains(part)));
    }

    #[track_caller]
    fn wait_cursor_after(&mut self, text: &str) {
        self.wait(text, |screen| screen.before_cursor() == text);
    }

    #[track_caller]
    fn wait(&mut self, what: &str, look: impl Fn(&Screen) -> bool) {
        let until = Instant::now() + SOON;
        while !look(&self.screen) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.screen.feed(&bytes),
                Err(_) => panic!("no {what:?} on the screen:\n{}", self.screen.lines().join("\n")),
            }
        }
    }

    /// Waits for the end; its exit code.
    #[track_caller]
    fn finish(mut self) -> i32 {
        let until = Instant::now() + SOON;
        while let Ok(bytes) =
            self.output.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.screen.feed(&bytes);
        }
        assert!(Instant::now() < until, "it does not end:\n{}", self.screen.lines().join("\n"));
        match self.session.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_person_builds_a_ring_with_history_and_completion() {
    let mut terminal = Terminal::open(Tool::new());
    terminal.wait_line("help lists the commands, Ctrl+D leaves.");
    terminal.type_text("add 127.0.0.1 6000 160\r");
    terminal.wait_line("127.0.0.1:6000 is added with 160 points (weight 1).");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text(UP);
    terminal.wait_cursor_after("ring> add 127.0.0.1 6000 160");
    // The last line once more, with another port: six characters back.
    terminal.type_text("\x7f\x7f\x7f\x7f\x7f2 160\r");
    terminal.wait_line("127.0.0.1:6002 is added");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("getv\t1\t");
    terminal.wait_cursor_after("ring> getVirNum 127.0.0.1 ");
    terminal.type_text("6002\r");
    terminal.wait(" 160", |screen| screen.lines().iter().any(|line| line == "160"));
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("help\r");
    terminal.wait_line("which server a client at this IP address and port belongs to");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("frobnicate\r");
    terminal.wait_line("unknown command \"frobnicate\"; help lists the commands");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("quit\r");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn lines_typed_ahead_or_pasted_at_once_are_all_taken() {
    let mut terminal = Terminal::open(Tool::new());
    terminal.type_text("add a 1 160\radd b 1 160\r");
    terminal.wait_line("b:1 is added");
    terminal.wait_cursor_after("ring> ");
    // As terminals mark what is pasted.
    terminal.type_text("\x1b[200~add c 1 160\nadd d 1 160\nquit\x1b[201~\r");
    terminal.wait_line("c:1 is added");
    terminal.wait_line("d:1 is added");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn ctrl_c_clears_a_line_and_leaves_on_an_empty_one() {
    let mut terminal = Terminal::open(Tool::new());
    terminal.type_text("add 127");
    terminal.wait_cursor_after("ring> add 127");
    terminal.type_text("\x03");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("\x03");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn ctrl_d_leaves() {
    let mut terminal = Terminal::open(Tool::new());
    terminal.type_text("get 127.0.0.1 5000\r");
    terminal.wait_line("the ring is empty: add host port num adds a server");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("\x04");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn another_runs_changes_are_seen_at_once() {
    let tool = Tool::new();
    let other = tool.path("data/ring.json").display().to_string();
    let other = Tool::new().with(&["--state", &other]);
    let mut terminal = Terminal::open(tool);
    other.answer("add 127.0.0.1 6000 160");
    terminal.type_text("get 10.0.0.1 5000\r");
    terminal.wait_line("127.0.0.1:6000");
    terminal.wait_cursor_after("ring> ");
    terminal.type_text("\x04");
    assert_eq!(terminal.finish(), 0);
}
