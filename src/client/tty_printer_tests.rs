//! What the editor is handed, and when.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// Takes lines as the editor does: one waits, the next has to.
struct Editor(SyncSender<String>);

impl ExternalPrinter for Editor {
    fn print(&mut self, lines: String) -> rustyline::Result<()> {
        self.0.send(lines).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
    }
}

#[derive(Clone, Default)]
struct Straight(Arc<Mutex<Vec<u8>>>);

impl Write for Straight {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Straight {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn printer() -> (Arc<TtyPrinter>, Receiver<String>, Straight) {
    let (sender, editor) = mpsc::sync_channel(1);
    let straight = Straight::default();
    let printer = Arc::new(TtyPrinter::new(straight.clone()));
    // This editor shows what it was handed only when the test says so.
    printer.lock().surely_shown = DEADLINE;
    Arc::clone(&printer).start(Editor(sender)).unwrap();
    (printer, editor, straight)
}

fn say(printer: &TtyPrinter, text: &str) {
    printer.print(&[Line::plain(text)]);
}

#[test]
fn nothing_is_handed_over_while_the_line_may_end() {
    let (printer, editor, straight) = printer();
    printer.begin();
    printer.editing();
    say(&printer, "shown");
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "shown\n");
    printer.pause();
    say(&printer, "held");
    assert!(editor.recv_timeout(Duration::from_millis(50)).is_err());
    // It did not end: the prompt is drawn again.
    printer.editing();
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "held\n");
    assert_eq!(straight.text(), "");
}

#[test]
fn lines_wait_from_the_editors_start_until_it_has_the_terminal() {
    let (printer, editor, straight) = printer();
    say(&printer, "before");
    printer.begin();
    assert_eq!(straight.text(), "before\n");
    say(&printer, "torn");
    printer.editing();
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "torn\n");
    assert_eq!(straight.text(), "before\n");
}

#[test]
fn what_the_editor_left_unread_is_not_overtaken_and_shown_in_the_end() {
    let (printer, editor, straight) = printer();
    printer.begin();
    printer.editing();
    say(&printer, "read");
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "read\n");
    say(&printer, "unread");
    let handed_over = |state: &mut State| state.handed.is_empty() || state.handing;
    while handed_over(&mut printer.lock()) {
        thread::yield_now();
    }
    printer.end();
    say(&printer, "later");
    printer.finish();
    assert!(straight.text().ends_with("unread\nlater\n"), "{}", straight.text());
}

#[test]
fn a_line_that_was_handed_over_long_before_the_end_is_not_overtaken_either() {
    let (printer, editor, straight) = printer();
    printer.lock().surely_shown = Duration::ZERO;
    printer.begin();
    printer.editing();
    say(&printer, "slow");
    let handed_over = |state: &mut State| state.handed.is_empty() || state.handing;
    while handed_over(&mut printer.lock()) {
        thread::yield_now();
    }
    printer.end();
    say(&printer, "later");
    printer.begin();
    printer.editing();
    assert_eq!(straight.text(), "", "the editor has yet to show what it has");
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "slow\n");
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "later\n");
}

#[test]
fn lines_do_not_wait_for_ever_for_the_next_edit() {
    let (printer, editor, straight) = printer();
    printer.lock().surely_shown = Duration::ZERO;
    printer.begin();
    printer.editing();
    say(&printer, "shown");
    assert_eq!(editor.recv_timeout(DEADLINE).unwrap(), "shown\n");
    while printer.lock().handing {
        thread::yield_now();
    }
    printer.end();
    say(&printer, "later");
    let since = Instant::now();
    while straight.text() != "later\n" {
        assert!(since.elapsed() < DEADLINE, "{}", straight.text());
        thread::yield_now();
    }
    printer.finish();
    assert_eq!(straight.text(), "later\n", "nothing is shown twice");
}

#[test]
fn an_unread_line_comes_first_when_the_next_line_is_edited() {
    let (printer, editor, straight) = printer();
    printer.begin();
    printer.editing();
    say(&printer, "one");
    say(&printer, "two");
    say(&printer, "three");
    printer.end();
    say(&printer, "four");
    printer.begin();
    printer.editing();
    let mut shown = straight.text();
    while !shown.ends_with("four\n") {
        shown.push_str(&editor.recv_timeout(DEADLINE).unwrap());
    }
    assert_eq!(shown, "one\ntwo\nthree\nfour\n");
}

#[test]
fn a_flood_while_the_editor_is_busy_is_bounded_and_says_what_is_left_out() {
    let (printer, editor, _straight) = printer();
    printer.begin();
    let lines: Vec<Line> = (0..MAX_QUEUE + 7).map(|i| Line::plain(i.to_string())).collect();
    printer.print(&lines);
    printer.editing();
    let shown = editor.recv_timeout(DEADLINE).unwrap();
    assert!(shown.starts_with("... 7 lines are left out.\n7\n8\n"), "{}", &shown[..60]);
}
