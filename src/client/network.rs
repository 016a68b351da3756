//! The network thread: owns the core and the connection.
//!
//! One reader thread per connection hands over frames; the input hands over
//! what the person asks for; both through one bounded queue. Nothing but this
//! thread writes to the socket or touches the core. It prints, it keeps the
//! `View` up to date, it connects again after an outage.

use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::ending::End;
use super::printer::{Line, Printer};
use super::seen_file::SeenFile;
use super::session::{Answer, Ask, Core, Effect};
use super::target::{ConnectError, Target};
use super::text::lower_first;
use super::transport::Transport;
use super::view::View;
use super::wire;
use crate::backoff::Backoff;

/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many events may wait for the network thread; then their makers wait.
const QUEUE: usize = 1_024;
/// So many events are handled before their effects are carried out together.
const BATCH: usize = 256;

/// The input's end of the network thread.
pub struct Network {
    events: SyncSender<Event>,
    answers: Receiver<Answer>,
    view: Arc<View>,
}

enum Event {
    Ask(Ask),
    Frame { connection: u64, payload: Vec<u8> },
    Ended { connection: u64, end: End },
}

impl Network {
    /// Connects and starts the thread. `core` is not connected yet; `seen`
    /// remembers for it.
    ///
    /// # Errors
    /// Where the server is not reachable.
    pub fn start(
        target: Target,
        core: Core,
        seen: SeenFile,
        printer: Arc<dyn Printer>,
    ) -> Result<Network, ConnectError> {
        let (events, queue) = mpsc::sync_channel(QUEUE);
        let (answer, answers) = mpsc::channel();
        let view = Arc::new(View::default());
        let mut worker = Worker {
            target,
            core,
            seen,
            printer,
            view: Arc::clone(&view),
            answer,
            events: events.clone(),
            connection: None,
            connections: 0,
            heard: false,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            next_attempt: Instant::now(),
            taken: 0,
            shown_version: None,
            blind: false,
            told: None,
        };
        worker.connect()?;
        let thread = thread::Builder::new().name("network".to_owned());
        thread.spawn(move || worker.run(&queue))?;
        Ok(Network { events, answers, view })
    }

    /// Hands over what the person asks for.
    pub fn ask(&self, ask: Ask) {
        if matches!(ask, Ask::Do(_)) {
            self.view.update(|facts| facts.queued += 1);
        }
        if self.events.send(Event::Ask(ask)).is_err() {
            log::error!(target: "client", "the network thread has ended");
        }
    }

    /// Waits for the answer to an [`Ask`] that has one.
    pub fn answer(&self) -> Answer {
        // The thread only ends by a panic, whose text is on standard error.
        let gone = || Answer::Refused("the client's network thread has failed.".to_owned());
        self.answers.recv().unwrap_or_else(|_| gone())
    }

    /// What the network thread lets others see.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }
}

struct Worker {
    target: Target,
    core: Core,
    seen: SeenFile,
    printer: Arc<dyn Printer>,
    view: Arc<View>,
    answer: mpsc::Sender<Answer>,
    /// Cloned into each reader.
    events: SyncSender<Event>,
    connection: Option<Transport>,
    /// The number of the current connection; a late event of an earlier one
    /// carries another.
    connections: u64,
    /// Whether a frame has come on the current connection.
    heard: bool,
    backoff: Backoff,
    next_attempt: Instant,
    /// How many commands were taken from the queue since the view was shown.
    taken: usize,
    /// The roster's version that the view shows.
    shown_version: Option<u64>,
    /// Nobody sees what is printed any more: messages are left to the next
    /// login.
    blind: bool,
    /// Why the server was not trusted, as the person was told in this outage.
    told: Option<String>,
}

impl Worker {
    fn run(&mut self, queue: &Receiver<Event>) {
        loop {
            let deadline = self.deadline();
            let wait = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let event = match wait {
                Some(wait) => queue.recv_timeout(wait),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(event) => {
                    self.handle(event);
                    for event in queue.try_iter().take(BATCH) {
                        self.handle(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.core.on_time(Instant::now());
            // First what was meant for the connection so far.
            self.carry_out();
            self.connect_if_due();
            self.carry_out();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let connecting = self.connection.is_none() && self.core.wants_connection();
        let attempt = connecting.then(|| self.next_attempt());
        [attempt, self.core.next_time()].into_iter().flatten().min()
    }

    fn next_attempt(&self) -> Instant {
        self.core.not_before().map_or(self.next_attempt, |at| at.max(self.next_attempt))
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Ask(ask) => {
                if !self.core.wants_connection() {
                    // At the menu a person waits: try at once.
                    self.backoff.reset();
                    self.next_attempt = now;
                }
                self.taken += usize::from(matches!(ask, Ask::Do(_)));
                self.core.on_ask(ask, now);
            }
            Event::Frame { connection, payload } if connection == self.connections => {
                self.heard = true;
                self.core.on_frame(&payload, now);
                if self.core.is_live() {
                    self.backoff.reset();
                }
            }
            Event::Ended { connection, end } if connection == self.connections => {
                let closed = end.is_closed();
                let reason = end.explain(&self.target, self.heard);
                self.disconnect(&reason, closed);
            }
            Event::Frame { .. } | Event::Ended { .. } => {}
        }
    }

    fn connect_if_due(&mut self) {
        if self.connection.is_some()
            || !self.core.wants_connection()
            || Instant::now() < self.next_attempt()
        {
            return;
        }
        if let Err(e) = self.connect() {
            log::debug!(target: "client", "not connected: err={e}");
            self.next_attempt = Instant::now() + self.backoff.next(by_chance());
            self.tell_of_distrust(&e);
            // It comes after "Login failed:".
            self.core.on_unreachable(&lower_first(&e.to_string()), Instant::now());
        }
    }

    fn connect(&mut self) -> Result<(), ConnectError> {
        let transport = Transport::open(&self.target)?;
        self.connections += 1;
        self.heard = false;
        let (connection, events) = (self.connections, self.events.clone());
        let reading = transport.reader().map_err(|e| self.target.unreachable(e))?;
        let thread = thread::Builder::new().name("reader".to_owned());
        thread.spawn(move || read(reading, connection, &events))?;
        self.connection = Some(transport);
        self.told = None;
        self.core.on_connected(Instant::now());
        Ok(())
    }

    /// An outage ends by itself, but a certificate that is not right stays so
    /// until somebody does something.
    fn tell_of_distrust(&mut self, error: &ConnectError) {
        let ConnectError::NoTls { source, .. } = error else { return };
        if !source.is_distrust() || !self.core.is_logged_in() {
            return;
        }
        let text = format!("{error} Trying again...");
        if self.told.as_ref() != Some(&text) {
            self.print(&[Line::problem(text.clone())]);
            self.told = Some(text);
        }
    }

    /// `closed`: by the server, in good order.
    fn disconnect(&mut self, reason: &str, closed: bool) {
        if let Some(transport) = self.connection.take() {
            transport.close();
        }
        // Events of the connection that ended are late from now on.
        self.connections += 1;
        self.next_attempt = Instant::now() + self.backoff.next(by_chance());
        self.core.on_disconnected(reason, closed, Instant::now());
    }

    /// Carries out the core's effects; doing so may lead to more of them.
    fn carry_out(&mut self) {
        loop {
            let effects = self.core.take_effects();
            self.show();
            if effects.is_empty() {
                return;
            }
            // Whoever is killed between two of these steps may see a message
            // twice, but never misses one: shown, remembered, confirmed.
            let lines: Vec<Line> = effects.iter().filter_map(Effect::line).cloned().collect();
            self.print(&lines);
            let (mut frames, mut answers, mut shown) = (Vec::new(), Vec::new(), Vec::new());
            let (mut recall, mut hang_up) = (None, None);
            for effect in effects {
                match effect {
                    Effect::Confirm(_) | Effect::Remember(_) if self.blind => {}
                    Effect::Send(payload) | Effect::Confirm(payload) => {
                        wire::append_frame(&mut frames, &payload);
                    }
                    Effect::Remember(message) => shown.push(message),
                    Effect::Print(_) => {}
                    Effect::Answer(answer) => answers.push(answer),
                    Effect::HangUp(reason) => hang_up = Some(reason),
                    Effect::Recall(user) => recall = Some(user),
                }
            }
            let warning = self.seen.remember(&shown);
            self.warn(warning);
            if let Some(transport) = &mut self.connection
                && !frames.is_empty()
                && let Err(e) = transport.write(&frames)
            {
                let end = End::from(&e);
                hang_up.get_or_insert(end.explain(&self.target, self.heard));
            }
            for answer in answers {
                if self.answer.send(answer).is_err() {
                    log::debug!(target: "client", "the input has ended");
                }
            }
            if let Some(user) = recall {
                let (known, warning) = self.seen.recall(user);
                self.warn(warning);
                self.core.on_recalled(known, Instant::now());
            }
            if let Some(reason) = hang_up {
                self.disconnect(&reason, false);
            }
        }
    }

    fn warn(&mut self, warning: Option<String>) {
        self.print(&warning.map(Line::problem).into_iter().collect::<Vec<_>>());
    }

    fn print(&mut self, lines: &[Line]) {
        if !lines.is_empty() && !self.printer.print(lines) {
            self.blind = true;
        }
    }

    /// Brings the view up to date, before the input gets its answers.
    fn show(&mut self) {
        let roster = self.core.roster();
        let stale = self.shown_version != Some(roster.version);
        let taken = std::mem::take(&mut self.taken);
        self.shown_version = Some(roster.version);
        self.view.update(|facts| {
            facts.logged_in = self.core.is_logged_in();
            facts.waiting = self.core.waiting();
            facts.queued = facts.queued.saturating_sub(taken);
            if stale {
                facts.name.clone_from(&roster.name);
                facts.friends = roster.friends.values().map(|f| (f.id, f.name.clone())).collect();
                facts.others = roster.others();
                facts.groups =
                    roster.groups.values().map(|g| (g.id, g.groupname.clone())).collect();
            }
        });
    }
}

/// From 0 to 1. Without random numbers pauses are at their longest.
fn by_chance() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

fn read(stream: impl Read, connection: u64, events: &SyncSender<Event>) {
    let mut stream = BufReader::new(stream);
    loop {
        let event = match wire::read_frame(&mut stream) {
            Ok(Some(payload)) => Event::Frame { connection, payload },
            Ok(None) => Event::Ended { connection, end: End::Closed },
            Err(e) => Event::Ended { connection, end: End::from(&e) },
        };
        let ended = matches!(event, Event::Ended { .. });
        if events.send(event).is_err() || ended {
            return;
        }
    }
}
