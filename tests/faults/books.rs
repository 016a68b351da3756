//! The books: what every member sent, was answered, and handled, with times.
//! [`Books::check`](crate::check) judges them, `report.rs` tells them.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

/// What names a message for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The sender's number.
    pub sender: i64,
    /// The sender's own id of the message.
    pub mid: String,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    User(i64),
    Group(i64),
}

/// What came of one attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Delivered,
    Stored,
    /// Of a group message: how many copies.
    Copies {
        delivered: usize,
        stored: usize,
    },
    Refused(i64),
}

impl Answer {
    /// Whether the server has taken the message upon itself.
    pub fn is_done(self) -> bool {
        !matches!(self, Answer::Refused(_))
    }

    /// Whether a copy went into the database.
    pub fn is_stored(self) -> bool {
        matches!(self, Answer::Stored | Answer::Copies { stored: 1.., .. })
    }
}

/// One sending of a message.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub at: Instant,
    pub line: usize,
    /// Not answered within the time in which a message is to be answered.
    pub overdue: bool,
}

/// An answer, and which attempt it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub at: Instant,
    pub line: usize,
    /// Counted from 0.
    pub attempt: usize,
    pub answer: Answer,
}

/// A copy that came.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub at: Instant,
    pub line: usize,
    pub recipient: i64,
}

/// All that is known of one message.
#[derive(Debug, Clone)]
pub struct Message {
    /// In the order of all first attempts.
    pub serial: usize,
    pub target: Target,
    pub text: String,
    pub attempts: Vec<Attempt>,
    pub answers: Vec<Answered>,
    pub handled: Vec<Arrival>,
    pub doubles: Vec<Arrival>,
}

impl Message {
    /// The first answer that says that it is done.
    pub fn done(&self) -> Option<&Answered> {
        self.answers.iter().find(|answered| answered.answer.is_done())
    }

    /// When it was sent for the first time.
    pub fn sent_at(&self) -> Instant {
        self.attempts[0].at
    }
}

/// Why a connection ended.
#[derive(Debug, Clone)]
pub enum End {
    /// The server, or nginx before it, closed it.
    Server(String),
    /// The member did.
    Member(&'static str),
}

/// One connection of a member.
#[derive(Debug, Clone)]
pub struct Line {
    pub member: i64,
    pub address: SocketAddr,
    pub opened: Instant,
    /// When somebody was logged in on it, and how.
    pub logged_in: Option<(Instant, &'static str)>,
    pub ended: Option<(Instant, End)>,
}

/// What stands in the books.
#[derive(Default)]
pub struct Pages {
    pub messages: HashMap<Key, Message>,
    /// What each recipient handled, in order.
    pub handled: HashMap<i64, Vec<Key>>,
    pub lines: Vec<Line>,
    pub names: HashMap<i64, String>,
    /// The members of each group.
    pub groups: HashMap<i64, Vec<i64>>,
    /// Who does not confirm: what was in the socket's buffer is lost with the
    /// connection.
    pub plain: HashSet<i64>,
    /// Order is only asked for among what a sender sent on one connection: a
    /// server that dies between a commit and its nudge leaves a message behind
    /// that the sender's next one, by another server, overtakes.
    pub order_within_lines: bool,
    /// What nobody may see at any time, as it was seen.
    pub wrongs: Vec<(Option<Key>, String)>,
    /// What the scenario did.
    pub notes: Vec<(Instant, String)>,
    /// Since when all services were well.
    pub healed: Option<Instant>,
}

/// The books of one scenario. Members write into them from their threads.
pub struct Books {
    pub scenario: String,
    pub seed: u64,
    pub begun: Instant,
    pages: Mutex<Pages>,
}

impl Books {
    pub fn new(scenario: &str, seed: u64) -> Books {
        let pages = Mutex::default();
        Books { scenario: scenario.to_owned(), seed, begun: Instant::now(), pages }
    }

    /// To look, and for a scenario's own entries.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        // A failed check in one thread is no reason not to look.
        self.pages.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many messages there are of this kind.
    pub fn count(&self, kind: impl Fn(&Message) -> bool) -> usize {
        self.pages().messages.values().filter(|message| kind(message)).count()
    }

    /// What the scenario does now.
    pub fn note(&self, what: &str) {
        self.pages().notes.push((Instant::now(), what.to_owned()));
    }

    /// From now on everything works.
    pub fn healed(&self) {
        self.note("all is well from here on");
        self.pages().healed = Some(Instant::now());
    }

    /// Something that must not be.
    pub fn wrong(&self, key: Option<&Key>, what: String) {
        self.pages().wrongs.push((key.cloned(), what));
    }

    // ---- connections ----

    /// A member has connected.
    pub fn opened(&self, member: i64, address: SocketAddr) -> usize {
        let mut pages = self.pages();
        let opened = Instant::now();
        pages.lines.push(Line { member, address, opened, logged_in: None, ended: None });
        pages.lines.len() - 1
    }

    pub fn logged_in(&self, line: usize, how: &'static str) {
        self.pages().lines[line].logged_in = Some((Instant::now(), how));
    }

    pub fn ended(&self, line: usize, end: End) {
        self.pages().lines[line].ended = Some((Instant::now(), end));
    }

    /// The connections of somebody logged in that servers have closed since.
    pub fn closed_by_servers_since(&self, since: Instant) -> usize {
        let closed = |line: &&Line| {
            matches!(&line.ended, Some((at, End::Server(_))) if *at >= since)
                && line.logged_in.is_some()
        };
        self.pages().lines.iter().filter(closed).count()
    }

    // ---- messages ----

    /// A message is about to be sent, for the first time or again.
    pub fn sending(&self, key: &Key, target: Target, text: &str, line: usize) {
        let mut pages = self.pages();
        let serial = pages.messages.len();
        let attempt = Attempt { at: Instant::now(), line, overdue: false };
        let new = || Message {
            serial,
            target,
            text: text.to_owned(),
            attempts: Vec::new(),
            answers: Vec::new(),
            handled: Vec::new(),
            doubles: Vec::new(),
        };
        pages.messages.entry(key.clone()).or_insert_with(new).attempts.push(attempt);
    }

    /// The last attempt has waited for too long.
    pub fn overdue(&self, key: &Key) {
        let mut pages = self.pages();
        let message = pages.messages.get_mut(key).expect("it was sent");
        message.attempts.last_mut().expect("it was sent").overdue = true;
    }

    /// An answer to an attempt, counted from 0.
    pub fn answered(&self, key: &Key, attempt: usize, line: usize, answer: Answer) {
        let answered = Answered { at: Instant::now(), line, attempt, answer };
        let mut pages = self.pages();
        pages.messages.get_mut(key).expect("it was sent").answers.push(answered);
    }

    /// A copy has come: handled if it is the first that the recipient sees.
    /// `target` is what the push itself says.
    pub fn arrived(&self, key: &Key, target: Target, text: &str, arrival: Arrival, first: bool) {
        let mut pages = self.pages();
        let name = arrival.recipient;
        let Some(message) = pages.messages.get_mut(key) else {
            let what = format!("user {name} got what nobody sent: {text:?}");
            return pages.wrongs.push((Some(key.clone()), what));
        };
        let mut wrong = None;
        if message.text != text {
            wrong = Some(format!("user {name} got another text: {text:?}"));
        } else if message.target != target {
            wrong = Some(format!("user {name} got it as a message to {target:?}"));
        }
        if first {
            message.handled.push(arrival);
            pages.handled.entry(name).or_default().push(key.clone());
        } else {
            message.doubles.push(arrival);
        }
        pages.wrongs.extend(wrong.map(|what| (Some(key.clone()), what)));
    }
}

impl Pages {
    /// Who is to handle a message.
    pub fn recipients(&self, key: &Key, target: Target) -> Vec<i64> {
        match target {
            Target::User(user) => vec![user],
            Target::Group(group) => {
                self.groups[&group].iter().copied().filter(|user| *user != key.sender).collect()
            }
        }
    }
}
