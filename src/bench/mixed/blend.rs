//! The loop of a blend: who writes and asks when, and the books at the end.

mod comings;
mod taking;

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use rustc_hash::FxHashMap;

use super::dice::{Deed, Dice};
use super::hands::Hands;
use super::member::{Member, Presence};
use super::{Blended, GROUP};
use crate::bench::BenchError;
use crate::bench::books::Books;
use crate::bench::dialect::{Dialect, Number, Target};
use crate::bench::engine::{Load, Measured, Plan};
use crate::bench::link::Link;
use crate::bench::people::Person;
use crate::bench::process::Pid;
use crate::bench::run::Run;

const WAKER: Token = Token(usize::MAX);
/// The poll sleeps no longer than this.
const MOST_SLEEP: Duration = Duration::from_millis(50);
/// So many messages and requests may be under way.
const MOST_UNDER_WAY: usize = 1 << 20;

/// People, their connections and what goes on between them.
pub(super) struct Blend {
    poll: Poll,
    hands: Hands,
    members: Vec<Member>,
    groups: Vec<u32>,
    /// How many messages each stream has sent; see [`Blend::stream`].
    sent: Vec<u64>,
    /// When messages without an answer were to be sent.
    messages: FxHashMap<(u32, u64), Instant>,
    /// The same for other requests, by `seq`.
    requests: FxHashMap<u64, Instant>,
    last_seq: u64,
    dirty: Vec<usize>,
    leaving: Vec<usize>,
    /// Copies that must come.
    expected: u64,
    books: Books,
    blended: Blended,
    dice: Dice,
}

impl Blend {
    /// Takes people over who are logged in, with a link each.
    pub fn new(
        server: SocketAddr,
        people: &[Person],
        links: Vec<Link>,
        groups: Vec<u32>,
    ) -> Result<Blend, BenchError> {
        let poll = Poll::new().map_err(BenchError::system)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(BenchError::system)?;
        let mut members = Vec::with_capacity(people.len());
        for (number, (person, mut link)) in people.iter().zip(links).enumerate() {
            link.register(poll.registry(), Token(number)).map_err(BenchError::system)?;
            members.push(Member::new(person.clone(), link));
        }
        let streams = people.len() * people.len() + people.len();
        Ok(Blend {
            poll,
            hands: Hands::start(server, waker),
            members,
            groups,
            sent: vec![0; streams],
            messages: FxHashMap::default(),
            requests: FxHashMap::default(),
            last_seq: 0,
            dirty: Vec::new(),
            leaving: Vec::new(),
            expected: 0,
            books: Books::default(),
            blended: Blended::default(),
            dice: Dice::new(),
        })
    }

    /// Runs a plan, while `logins` people a second leave and come back.
    pub fn run(
        &mut self,
        plan: &Plan,
        logins: f64,
        mut tick: impl FnMut(f64),
    ) -> Result<Measured, BenchError> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; 64 * 1024];
        let mut run = Run::new(plan, self.members.len());
        let (mut departures, me) = (0_u64, Pid(std::process::id()));
        while !run.is_over(|| self.is_settled()) {
            self.act_as_due(plan, &mut run)?;
            if run.now < run.end {
                let due = (run.now - run.begun).as_secs_f64() * logins;
                while departures < due as u64 {
                    departures += 1;
                    self.have_somebody_leave();
                }
            }
            self.flush()?;
            self.let_go()?;
            match self.poll.poll(&mut events, Some(run.patience().min(MOST_SLEEP))) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(BenchError::system)?,
            }
            run.now = Instant::now();
            run.measure(plan, me, self.books.sent)?;
            for event in events.iter().filter(|event| event.token() != WAKER) {
                let at = event.token().0;
                if event.is_writable()
                    && let Some(link) = &mut self.members[at].link
                {
                    link.writable();
                    self.mark_dirty(at);
                }
                if event.is_readable() {
                    self.take(at, &mut scratch, &mut run)?;
                }
            }
            while let Some(entered) = self.hands.next() {
                self.welcome(entered, &mut run)?;
            }
            tick(run.progress(plan));
        }
        self.close_books();
        run.measured.books = self.books;
        run.measured.blended = Some(std::mem::take(&mut self.blended));
        Ok(run.measured)
    }

    /// The newest tokens, for the next run.
    pub fn return_tokens(&self, people: &mut [Person]) {
        for (person, member) in people.iter_mut().zip(&self.members) {
            person.token.clone_from(&member.person.token);
        }
    }

    // ---- sending ----

    fn act_as_due(&mut self, plan: &Plan, run: &mut Run) -> Result<(), BenchError> {
        if run.now >= run.end {
            return Ok(());
        }
        match plan.load {
            Load::Window(window) => {
                for at in std::mem::take(&mut run.ready) {
                    let is_here = self.members[at].presence == Presence::Here;
                    while is_here && self.members[at].under_way < window {
                        self.act(at, &plan.text, run.now);
                    }
                }
            }
            Load::Rate(rate) => {
                while run.next_due <= run.now {
                    let Some(at) = self.somebody_here() else { return Ok(()) };
                    self.act(at, &plan.text, run.next_due);
                    run.scheduled += 1;
                    let offset = Duration::from_secs_f64(run.scheduled as f64 / rate);
                    run.next_due = run.begun + offset;
                }
            }
        }
        match self.messages.len() + self.requests.len() {
            few if few < MOST_UNDER_WAY => Ok(()),
            _ => Err(BenchError("the server is too slow for this rate, lower it".into())),
        }
    }

    /// Somebody, the next one who is there from a random place on.
    fn somebody_here(&mut self) -> Option<usize> {
        let count = self.members.len();
        let start = self.dice.below(count);
        let mut all = (0..count).map(|step| (start + step) % count);
        all.find(|at| self.members[*at].presence == Presence::Here)
    }

    fn act(&mut self, at: usize, text: &str, intended: Instant) {
        match self.dice.deed() {
            Deed::Message => {
                let count = self.members.len();
                let to = (at + 1 + self.dice.below(count - 1)) % count;
                let user = Target::User(self.members[to].person.id);
                self.send(at, user, at * count + to, 1, text, intended);
            }
            Deed::GroupMessage => {
                let count = self.members.len();
                let group = Target::Group(self.groups[at / GROUP]);
                let others = group_of(at, count).len() as u64 - 1;
                self.send(at, group, count * count + at, others, text, intended);
            }
            Deed::Friends => self.ask(at, "13", intended),
            Deed::Ping => self.ask(at, "15", intended),
            Deed::Befriend => {
                let next = (at + 1) % self.members.len();
                let friend = self.members[next].person.id;
                let is_friend = std::mem::replace(&mut self.members[at].is_friend, true);
                self.members[at].is_friend = !is_friend;
                let msgid = if is_friend { 12 } else { 7 };
                self.ask(at, &format!(r#"{msgid},"friendid":{friend}"#), intended);
            }
        }
    }

    fn send(
        &mut self,
        at: usize,
        to: Target,
        stream: usize,
        copies: u64,
        text: &str,
        intended: Instant,
    ) {
        self.sent[stream] += 1;
        let number = Number { stream: stream as u32, message: self.sent[stream] };
        self.messages.insert((number.stream, number.message), intended);
        self.books.sent += 1;
        self.expected += copies;
        self.queue(at, |out| Dialect::Chat.write_message(out, to, number, text));
    }

    /// Sends another request: `msgid` and the fields that follow it.
    fn ask(&mut self, at: usize, request: &str, intended: Instant) {
        self.last_seq += 1;
        let seq = self.last_seq;
        self.requests.insert(seq, intended);
        self.books.requests += 1;
        self.queue(at, |out| {
            write!(out, r#"{{"seq":{seq},"msgid":{request}}}"#).expect("a Vec takes everything");
        });
    }

    fn queue(&mut self, at: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let member = &mut self.members[at];
        let Some(link) = &mut member.link else { return };
        link.queue(write);
        member.under_way += 1;
        self.mark_dirty(at);
    }

    fn mark_dirty(&mut self, at: usize) {
        if self.members[at].mark_dirty() {
            self.dirty.push(at);
        }
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        for at in self.dirty.drain(..) {
            self.members[at].flush().map_err(BenchError::connection)?;
        }
        Ok(())
    }

    // ---- books ----

    /// Whether all are back, everything is answered and every copy has come.
    fn is_settled(&self) -> bool {
        self.members.iter().all(|member| member.presence == Presence::Here)
            && self.messages.is_empty()
            && self.requests.is_empty()
            && self.books.received >= self.expected
    }

    fn close_books(&mut self) {
        let (members, count) = (&self.members, self.members.len());
        let lost = |(stream, sent): (usize, &u64)| -> u64 {
            let lost_by = |at: usize| members[at].lost(stream as u32, *sent);
            match stream.checked_sub(count * count) {
                None => lost_by(stream % count),
                Some(sender) => {
                    group_of(sender, count).filter(|at| *at != sender).map(lost_by).sum()
                }
            }
        };
        let sent = self.sent.iter().enumerate().filter(|(_, sent)| **sent > 0);
        self.books.lost = sent.map(lost).sum();
        self.books.requests_unanswered = self.requests.len() as u64;
    }
}

/// The members of somebody's group.
fn group_of(at: usize, count: usize) -> std::ops::Range<usize> {
    let start = at / GROUP * GROUP;
    start..(start + GROUP).min(count)
}
