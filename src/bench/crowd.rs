//! Many people who come and go: they connect, log in and leave without
//! blocking, all of them in one thread. [`idle`](super::idle),
//! [`logins`](super::logins) and [`storm`](super::storm) say who does what when.
//!
//! ```text
//! Away ─log_in─▶ Asking ─granted─▶ In ─leave─▶ LoggingOut or Closing ─▶ Away
//!                 │  ▲                 └─break_off─────────────────────▶ Away
//!          put off└▶PutOff
//! ```
//!
//! Invariants: one connection for each person at most. A person's token is
//! always the newest that the server has given.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::BenchError;
use super::answer::Answer;
use super::link::Link;
use super::pauses::pause;
use super::people::{Person, Proof};

/// The protocol wants something at least every 30 s.
const PING_EVERY: Duration = Duration::from_secs(25);

/// What has become of somebody.
#[derive(Debug)]
pub enum Happening {
    /// Is logged in, so long after the login was to begin.
    LoggedIn(Duration),
    /// Has left; the connection is closed.
    Left,
    /// Is away: the connection ended before the answer, or never came to be.
    Broken(io::Error),
    /// Is away: was in, or about to leave, and the connection ended.
    Ended(io::Error),
    /// Is away: the server refused for good. Its answer.
    Refused(String),
}

/// How somebody leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// By a request, which ends the token.
    LogOut,
    /// By closing, which keeps it. The server closes too, and only then the
    /// person has left.
    Close,
}

/// What a crowd counts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Answers that told somebody to wait (errno 12 and 13).
    pub put_off: u64,
    /// The last one of them.
    pub last_put_off: String,
    /// Connections that the server closed after such an answer.
    pub turned_away: u64,
    /// Tokens that were not valid any more.
    pub stale_tokens: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    Asking(Proof),
    PutOff(Proof),
    In,
    LoggingOut,
    Closing,
}

/// One person's place.
struct Seat {
    link: Option<Link>,
    stage: Stage,
    /// When the login was to begin.
    begun: Instant,
    /// How often it was put off.
    tries: u32,
    /// Counts what a timer may wait for: one of an earlier number is void.
    number: u32,
}

/// People, each with a connection or without.
pub struct Crowd {
    server: SocketAddr,
    poll: Poll,
    events: Events,
    ready: Vec<(usize, bool, bool)>,
    scratch: Vec<u8>,
    people: Vec<Person>,
    seats: Vec<Seat>,
    /// When who asks again.
    retries: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    /// When who pings, in order.
    pings: VecDeque<(Instant, usize, u32)>,
    happened: Vec<(usize, Happening)>,
    /// What was counted so far.
    pub tally: Tally,
}

impl Crowd {
    /// People who are all away.
    ///
    /// # Errors
    /// The system refuses a poll.
    pub fn new(server: SocketAddr, people: Vec<Person>) -> Result<Crowd, BenchError> {
        let now = Instant::now();
        let seat =
            |_: &Person| Seat { link: None, stage: Stage::Away, begun: now, tries: 0, number: 0 };
        Ok(Crowd {
            server,
            poll: Poll::new().map_err(BenchError::system)?,
            events: Events::with_capacity(1024),
            ready: Vec::new(),
            scratch: vec![0; 64 * 1024],
            seats: people.iter().map(seat).collect(),
            people,
            retries: BinaryHeap::new(),
            pings: VecDeque::new(),
            happened: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// The people, with their newest tokens.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// How many were told to wait, and do.
    pub fn waiting(&self) -> u64 {
        self.seats.iter().filter(|seat| matches!(seat.stage, Stage::PutOff(_))).count() as u64
    }

    /// Has somebody who is away connect and log in; by password where there is
    /// no token.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn log_in(&mut self, who: usize, proof: Proof, begun: Instant) -> Result<(), BenchError> {
        let seat = &mut self.seats[who];
        debug_assert_eq!(seat.stage, Stage::Away, "nobody is logged in twice");
        seat.begun = begun;
        seat.tries = 0;
        self.ask(who, proof)
    }

    /// Connects where there is no connection, and asks.
    fn ask(&mut self, who: usize, proof: Proof) -> Result<(), BenchError> {
        let seat = &mut self.seats[who];
        if seat.link.is_none() {
            let mut link = Link::connect(self.server).map_err(no_socket)?;
            link.register(self.poll.registry(), Token(who)).map_err(BenchError::system)?;
            seat.link = Some(link);
        }
        seat.number += 1;
        let proof = if self.people[who].token.is_some() { proof } else { Proof::Password };
        self.send_login(who, proof);
        Ok(())
    }

    fn send_login(&mut self, who: usize, proof: Proof) {
        let (seat, person) = (&mut self.seats[who], &self.people[who]);
        seat.stage = Stage::Asking(proof);
        if let Some(link) = &mut seat.link {
            link.queue(|out| write_login(out, person, proof));
        }
        self.flush(who);
    }

    /// Has somebody try again after a [`pause`].
    pub fn log_in_later(&mut self, who: usize, proof: Proof, retry_after: Option<u64>) {
        let seat = &mut self.seats[who];
        seat.number += 1;
        seat.stage = Stage::PutOff(proof);
        let at = Instant::now() + pause(retry_after, seat.tries);
        seat.tries += 1;
        self.retries.push(Reverse((at, who, seat.number)));
    }

    /// Has somebody who is in leave.
    pub fn leave(&mut self, who: usize, leaving: Leaving) {
        if self.seats[who].stage != Stage::In {
            // The connection ended meanwhile, which is told next.
            return;
        }
        match leaving {
            Leaving::LogOut => {
                self.seats[who].stage = Stage::LoggingOut;
                self.people[who].token = None;
                self.say(who, |out| out.extend_from_slice(br#"{"msgid":3}"#));
            }
            Leaving::Close => {
                self.seats[who].stage = Stage::Closing;
                if let Some(Err(error)) = self.seats[who].link.as_ref().map(Link::shut_down) {
                    self.broken(who, error);
                }
            }
        }
    }

    /// Cuts a connection without a word.
    pub fn break_off(&mut self, who: usize) {
        if let Some(link) = self.seats[who].link.take() {
            link.abort();
        }
        self.seats[who].stage = Stage::Away;
    }

    /// Waits for what happens next, that long at most.
    ///
    /// # Errors
    /// The system gives no socket to somebody whom the server let wait.
    pub fn turn(&mut self, patience: Duration) -> Result<Vec<(usize, Happening)>, BenchError> {
        self.do_due()?;
        let next = [
            self.retries.peek().map(|Reverse((at, ..))| *at),
            self.pings.front().map(|(at, ..)| *at),
        ];
        let now = Instant::now();
        let due = next.into_iter().flatten().map(|at| at.saturating_duration_since(now));
        let patience = if self.happened.is_empty() { patience } else { Duration::ZERO };
        match self.poll.poll(&mut self.events, Some(due.fold(patience, Duration::min))) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => other.map_err(BenchError::system)?,
        }
        let mut ready = std::mem::take(&mut self.ready);
        let events = self.events.iter();
        ready.extend(events.map(|e| (e.token().0, e.is_readable(), e.is_writable())));
        for (who, readable, writable) in ready.drain(..) {
            if writable {
                if let Some(link) = &mut self.seats[who].link {
                    link.writable();
                }
                self.flush(who);
            }
            if readable {
                self.read(who);
            }
        }
        self.ready = ready;
        Ok(std::mem::take(&mut self.happened))
    }

    /// Asks again and pings where it is time.
    fn do_due(&mut self) -> Result<(), BenchError> {
        let now = Instant::now();
        while self.retries.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, who, number))) = self.retries.pop() else { break };
            match self.seats[who].stage {
                Stage::PutOff(proof) if self.seats[who].number == number => self.ask(who, proof)?,
                _ => {}
            }
        }
        while self.pings.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, who, number)) = self.pings.pop_front() else { break };
            if self.seats[who].stage == Stage::In && self.seats[who].number == number {
                self.say(who, |out| out.extend_from_slice(br#"{"msgid":15}"#));
                self.pings.push_back((now + PING_EVERY, who, number));
            }
        }
        Ok(())
    }

    fn say(&mut self, who: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(link) = &mut self.seats[who].link {
            link.queue(write);
        }
        self.flush(who);
    }

    fn flush(&mut self, who: usize) {
        if let Some(Err(error)) = self.seats[who].link.as_mut().map(Link::flush) {
            self.broken(who, error);
        }
    }

    fn read(&mut self, who: usize) {
        let Some(mut link) = self.seats[who].link.take() else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = link.read(&mut scratch, |payload| {
            if let Some(answer) = Answer::read(payload) {
                self.answered(who, &answer);
            }
        });
        self.scratch = scratch;
        match read {
            // Where the stage says so, it is dropped and thereby closed.
            Ok(()) if self.seats[who].stage == Stage::Away => {}
            Ok(()) => self.seats[who].link = Some(link),
            Err(error) => self.broken(who, error),
        }
        // A token that is not valid has made way for the password.
        if let Stage::Asking(Proof::Token) = self.seats[who].stage
            && self.people[who].token.is_none()
        {
            self.send_login(who, Proof::Password);
        }
    }

    /// Somebody's connection has given an answer.
    fn answered(&mut self, who: usize, answer: &Answer<'_>) {
        let seat = &mut self.seats[who];
        let now = Instant::now();
        match (seat.stage, answer.errno) {
            (Stage::Asking(_), 0) if answer.msgid == LOGIN_ACK => {
                seat.stage = Stage::In;
                self.people[who].token = answer.token.map(str::to_owned);
                self.pings.push_back((now + PING_EVERY, who, seat.number));
                let took = now.saturating_duration_since(seat.begun);
                self.happened.push((who, Happening::LoggedIn(took)));
            }
            (Stage::LoggingOut, 0) if answer.msgid == LOGOUT_ACK => {
                seat.stage = Stage::Away;
                self.happened.push((who, Happening::Left));
            }
            // A ping's.
            (_, 0) => {}
            (Stage::Asking(proof), 12 | 13) => {
                self.tally.put_off += 1;
                self.tally.last_put_off = answer.to_string();
                self.log_in_later(who, proof, answer.retry_after);
            }
            (Stage::Asking(Proof::Token), 1) => {
                self.tally.stale_tokens += 1;
                self.people[who].token = None;
            }
            // An error without a request, while it waits: the connection ends.
            (Stage::PutOff(_), 12 | 13) => {}
            _ => {
                seat.stage = Stage::Away;
                self.happened.push((who, Happening::Refused(answer.to_string())));
            }
        }
    }

    /// Somebody's connection has ended.
    fn broken(&mut self, who: usize, error: io::Error) {
        let seat = &mut self.seats[who];
        seat.link = None;
        match seat.stage {
            Stage::Away => {}
            // It comes back over another one.
            Stage::PutOff(_) => self.tally.turned_away += 1,
            Stage::Closing => {
                seat.stage = Stage::Away;
                self.happened.push((who, Happening::Left));
            }
            Stage::Asking(_) => {
                seat.stage = Stage::Away;
                self.happened.push((who, Happening::Broken(error)));
            }
            Stage::In | Stage::LoggingOut => {
                seat.stage = Stage::Away;
                self.happened.push((who, Happening::Ended(error)));
            }
        }
    }
}

fn no_socket(error: io::Error) -> BenchError {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => BenchError(format!(
            "this machine has no port left for another connection ({error}): wait a minute, or \
             widen net.ipv4.ip_local_port_range"
        )),
        _ => BenchError::system(error),
    }
}

const LOGIN_ACK: u32 = 2;
const LOGOUT_ACK: u32 = 103;

fn write_login(out: &mut Vec<u8>, person: &Person, proof: Proof) {
    let id = person.id;
    let written = match (&person.token, proof) {
        (Some(token), Proof::Token) => write!(out, r#"{{"msgid":1,"id":{id},"token":"{token}"}}"#),
        // It may be from a run that was ended: take over.
        _ => write!(
            out,
            r#"{{"msgid":1,"id":{id},"password":"{}","takeover":true}}"#,
            person.password
        ),
    };
    written.expect("a Vec takes everything");
}
