//! Lines above the one that is being typed.
//!
//! While a line is edited, only the editor may write: it takes lines through
//! its `ExternalPrinter`, clears the typed text, shows them and draws the text
//! again. That has three edges, which this file takes care of:
//! - Between the editor's start and its first look at the terminal a straight
//!   write would tear the prompt: lines wait until the editor has begun
//!   ([`TtyPrinter::editing`] is called from the drawing of the prompt).
//! - What it is handed in the moment in which the line ends it writes itself,
//!   before what it was handed earlier and has not read. So nothing is handed
//!   over from the key on that may end the line ([`TtyPrinter::pause`]).
//! - What was handed over when the person pressed Enter may lie in the editor
//!   unread until the next line is edited, which nobody can tell. Nothing
//!   overtakes it: lines wait for the next edit. If there is none for
//!   [`IDLE_FOR_LONG`] they are written after all, unless it is likely that
//!   something is unread; that is shown by [`TtyPrinter::finish`].
//!
//! Thread: lines come from any thread; a thread of its own hands them over,
//! since the editor makes it wait.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;

use super::printer::{Line, Printer};

/// The editor shows what it was handed at once, unless it is about to end:
/// after so long it has, unless the machine is very busy.
const SURELY_SHOWN: Duration = Duration::from_millis(300);
/// So long a hand-over may take that has begun when the line may end. One that
/// takes longer waits for the editor to read what it was handed before, and so
/// is in line already.
const HAND_OVER: Duration = Duration::from_millis(50);
/// So long lines wait for the next line to be edited.
const IDLE_FOR_LONG: Duration = Duration::from_secs(1);
/// So many lines wait while the editor takes none (a completion menu is
/// open); of more, the oldest are left out.
const MAX_QUEUE: usize = 10_000;

/// The printer for a terminal with a line editor.
pub struct TtyPrinter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// No line is edited: lines are written straight.
    Idle,
    /// The editor is about to begin.
    Starting,
    /// A line is edited.
    Editing,
}

struct State {
    mode: Mode,
    queue: VecDeque<String>,
    left_out: usize,
    /// Handed to the editor, perhaps not shown yet.
    handed: VecDeque<String>,
    handed_at: Instant,
    /// Whether the hand-over is still waiting for the editor.
    handing: bool,
    /// Whether the editor ended so soon after the last hand-over that this is
    /// likely to be unread.
    unread: bool,
    /// When the last line was done.
    idle_since: Instant,
    /// See [`SURELY_SHOWN`].
    surely_shown: Duration,
    /// How wide the terminal was when last looked at; `None`: unknown.
    columns: Option<usize>,
    /// The terminal, for straight writes.
    out: Box<dyn Write + Send>,
}

impl TtyPrinter {
    /// A printer that writes straight to `out` while no line is edited.
    pub fn new(out: impl Write + Send + 'static) -> TtyPrinter {
        let state = State {
            mode: Mode::Idle,
            queue: VecDeque::new(),
            left_out: 0,
            handed: VecDeque::new(),
            handed_at: Instant::now(),
            handing: false,
            unread: false,
            idle_since: Instant::now(),
            surely_shown: SURELY_SHOWN,
            columns: None,
            out: Box::new(out),
        };
        TtyPrinter { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Starts the thread that shows lines through `editor`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(
        self: std::sync::Arc<Self>,
        editor: impl ExternalPrinter + Send + 'static,
    ) -> io::Result<()> {
        let thread = thread::Builder::new().name("printer".to_owned());
        thread.spawn(move || self.run(editor)).map(drop)
    }

    fn run(&self, mut editor: impl ExternalPrinter) {
        let mut state = self.lock();
        loop {
            match state.mode {
                _ if state.queue.is_empty() => {}
                Mode::Idle if state.handed.is_empty() => {
                    state.write_queue();
                    continue;
                }
                Mode::Idle if !state.unread && !state.handing => {
                    let idle = state.idle_since.elapsed();
                    if idle >= IDLE_FOR_LONG {
                        state.handed.clear();
                        continue;
                    }
                    let wait = self.changed.wait_timeout(state, IDLE_FOR_LONG - idle);
                    state = wait.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Mode::Editing => {
                    let batch = state.take_batch();
                    state.handed.push_back(batch.clone());
                    state.handing = true;
                    drop(state);
                    let printed = editor.print(batch);
                    state = self.lock();
                    state.handing = false;
                    self.changed.notify_all();
                    state.handed_at = Instant::now();
                    // The editor holds one at most: the others are shown.
                    let shown = state.handed.len().saturating_sub(1);
                    state.handed.drain(..shown);
                    if let Err(e) = printed {
                        log::error!(target: "client", "the editor takes no lines: err={e}");
                        return;
                    }
                    continue;
                }
                Mode::Idle | Mode::Starting => {}
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The terminal is so many columns wide: own text is broken accordingly.
    pub fn set_columns(&self, columns: Option<usize>) {
        self.lock().columns = columns;
    }

    /// A line is about to be edited.
    pub fn begin(&self) {
        let mut state = self.lock();
        if state.handed.is_empty() {
            state.write_queue();
        }
        state.mode = Mode::Starting;
    }

    /// The editor has taken over the terminal.
    pub fn editing(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Starting {
            state.mode = Mode::Editing;
            self.changed.notify_all();
        }
    }

    /// The line may be about to end: nothing is handed over until the prompt is
    /// drawn again.
    pub fn pause(&self) {
        let mut state = self.lock();
        if state.mode == Mode::Editing {
            state.mode = Mode::Starting;
            let waited = self.changed.wait_timeout_while(state, HAND_OVER, |s| s.handing);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The line is done.
    pub fn end(&self) {
        let mut state = self.lock();
        state.mode = Mode::Idle;
        state.idle_since = Instant::now();
        let just_handed = state.handed_at.elapsed() < state.surely_shown;
        state.unread = !state.handed.is_empty() && (state.handing || just_handed);
        self.changed.notify_all();
    }

    /// No line will be edited any more: shows everything that is left.
    pub fn finish(&self) {
        let mut state = self.lock();
        let handed = std::mem::take(&mut state.handed);
        if std::mem::take(&mut state.unread) {
            for batch in handed {
                state.write_straight(&batch);
            }
        }
        state.write_queue();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete in itself: a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Printer for TtyPrinter {
    fn print(&self, lines: &[Line]) -> bool {
        let mut state = self.lock();
        let columns = state.columns.unwrap_or(usize::MAX);
        state.queue.extend(lines.iter().map(|line| line.fitted(columns)));
        let surplus = state.queue.len().saturating_sub(MAX_QUEUE);
        state.queue.drain(..surplus);
        state.left_out += surplus;
        self.changed.notify_all();
        true
    }
}

impl State {
    fn take_batch(&mut self) -> String {
        let mut batch = String::new();
        if self.left_out > 0 {
            batch = format!("... {} lines are left out.\n", self.left_out);
            self.left_out = 0;
        }
        for line in self.queue.drain(..) {
            batch.push_str(&line);
            batch.push('\n');
        }
        batch
    }

    fn write_queue(&mut self) {
        if !self.queue.is_empty() {
            let batch = self.take_batch();
            self.write_straight(&batch);
        }
    }

    fn write_straight(&mut self, text: &str) {
        if let Err(e) = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            log::debug!(target: "client", "lines were not shown: err={e}");
        }
    }
}

#[cfg(test)]
#[path = "tty_printer_tests.rs"]
mod tests;
