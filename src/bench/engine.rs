//! Drives many connections from one thread: sends by a window or by a rate,
//! takes what comes, and keeps the books.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::BenchError;
use super::books::{Books, Inbox};
use super::dialect::{Dialect, Incoming, Number, Target};
use super::latency::Latencies;
use super::link::Link;
use super::mixed::Blended;
use super::process::Pid;
use super::run::Run;

/// How many messages of one stream may be under way: beyond that the server,
/// or this machine, is hopelessly behind.
const MOST_UNDER_WAY: u64 = 1 << 16;

/// How fast is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Load {
    /// Closed loop: so many messages of each stream are under way.
    Window(u64),
    /// Open loop: so many messages a second of all streams together, whatever
    /// the answers do.
    Rate(f64),
}

/// What a run does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How fast.
    pub load: Load,
    /// Not measured before this.
    pub warm_up: Duration,
    /// Measured for so long.
    pub time: Duration,
    /// The text of every message.
    pub text: String,
    /// Recipients confirm what they get.
    pub confirm: bool,
    /// Whose processor time is taken.
    pub pids: Vec<Pid>,
}

/// Messages of one sender to one target.
pub struct Stream {
    /// The sender's link.
    pub from: usize,
    /// Whom they are for.
    pub to: Target,
    /// The recipients' links.
    pub recipients: Vec<usize>,
}

/// What a run has measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// How long was measured.
    pub time: Duration,
    /// Messages sent in that time.
    pub sent: u64,
    /// Messages answered in that time.
    pub answered: u64,
    /// Copies that came in that time.
    pub received: u64,
    /// From the intended sending to the copy's arrival.
    pub delivery: Latencies,
    /// From the intended sending to the answer.
    pub answer: Latencies,
    /// Copies that came in each tenth of a second.
    pub received_over_time: Vec<u64>,
    /// Messages that were answered in each tenth of a second.
    pub answered_over_time: Vec<u64>,
    /// What the measured processes used up.
    pub cpu: Vec<(Pid, Duration)>,
    /// What this process used up.
    pub own_cpu: Duration,
    /// The sums of the whole run, the warm-up included.
    pub books: Books,
    /// What a mixed load has besides messages.
    pub blended: Option<Blended>,
}

/// One stream's state.
struct Flow {
    stream: Stream,
    sent: u64,
    answered: u64,
    /// When the messages from `first_time` on were to be sent.
    times: VecDeque<Instant>,
    first_time: u64,
}

/// The connections and what goes on between them.
pub struct Engine {
    poll: Poll,
    dialect: Dialect,
    links: Vec<Link>,
    inboxes: Vec<Inbox>,
    flows: Vec<Flow>,
    /// Links with output, each once.
    dirty: Vec<usize>,
    is_dirty: Vec<bool>,
    books: Books,
}

impl Engine {
    /// Takes connections over that are logged in.
    ///
    /// # Errors
    /// The system refuses a poll.
    pub fn new(
        dialect: Dialect,
        mut links: Vec<Link>,
        streams: Vec<Stream>,
    ) -> Result<Engine, BenchError> {
        let poll = Poll::new().map_err(BenchError::system)?;
        for (number, link) in links.iter_mut().enumerate() {
            link.register(poll.registry(), Token(number)).map_err(BenchError::system)?;
        }
        let flow =
            |stream| Flow { stream, sent: 0, answered: 0, times: VecDeque::new(), first_time: 1 };
        Ok(Engine {
            poll,
            dialect,
            inboxes: links.iter().map(|_| Inbox::default()).collect(),
            is_dirty: vec![false; links.len()],
            dirty: Vec::new(),
            links,
            flows: streams.into_iter().map(flow).collect(),
            books: Books::default(),
        })
    }

    /// Runs a plan. `tick` hears now and then how far it is, from 0 to 1.
    ///
    /// # Errors
    /// A connection broke, or the server is hopelessly behind.
    pub fn run(&mut self, plan: &Plan, mut tick: impl FnMut(f64)) -> Result<Measured, BenchError> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; 64 * 1024];
        let mut run = Run::new(plan, self.flows.len());
        let me = Pid(std::process::id());
        while !run.is_over(|| self.is_settled()) {
            self.send_due(plan, &mut run)?;
            self.flush()?;
            self.poll(&mut events, run.patience())?;
            run.now = Instant::now();
            run.measure(plan, me, self.books.sent)?;
            for event in &events {
                let at = event.token().0;
                if event.is_writable() {
                    self.links[at].writable();
                    self.mark_dirty(at);
                }
                if event.is_readable() {
                    self.take(at, &mut scratch, plan, &mut run)?;
                }
            }
            tick(run.progress(plan));
        }
        let lost = |flow: (usize, &Flow)| -> u64 {
            let (number, flow) = flow;
            let recipients = flow.stream.recipients.iter();
            recipients.map(|link| self.inboxes[*link].lost(number as u32, flow.sent)).sum()
        };
        self.books.lost = self.flows.iter().enumerate().map(lost).sum::<u64>();
        self.books.lost = self.books.lost.saturating_sub(self.books.stored);
        run.measured.books = self.books;
        Ok(run.measured)
    }

    /// How many messages each stream has sent.
    pub fn sent(&self) -> Vec<u64> {
        self.flows.iter().map(|flow| flow.sent).collect()
    }

    fn poll(&mut self, events: &mut Events, patience: Duration) -> Result<(), BenchError> {
        match self.poll.poll(events, Some(patience)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(BenchError::system),
        }
    }

    /// Sends what the load wants sent by now.
    fn send_due(&mut self, plan: &Plan, run: &mut Run) -> Result<(), BenchError> {
        if run.now >= run.end {
            return Ok(());
        }
        match plan.load {
            Load::Window(window) => {
                for flow in std::mem::take(&mut run.ready) {
                    while self.flows[flow].sent - self.flows[flow].answered < window {
                        self.send(flow, plan, run.now)?;
                    }
                }
            }
            Load::Rate(rate) => {
                while run.next_due <= run.now {
                    let flow = run.next_flow;
                    run.next_flow = (flow + 1) % self.flows.len();
                    self.send(flow, plan, run.next_due)?;
                    run.scheduled += 1;
                    let offset = Duration::from_secs_f64(run.scheduled as f64 / rate);
                    run.next_due = run.begun + offset;
                }
            }
        }
        Ok(())
    }

    fn send(&mut self, flow: usize, plan: &Plan, intended: Instant) -> Result<(), BenchError> {
        let state = &mut self.flows[flow];
        if state.times.len() as u64 >= MOST_UNDER_WAY {
            return Err(BenchError(format!(
                "{MOST_UNDER_WAY} messages of one sender are under way: the server is too slow \
                 for this rate, lower it"
            )));
        }
        state.sent += 1;
        state.times.push_back(intended);
        let number = Number { stream: flow as u32, message: state.sent };
        let (from, to) = (state.stream.from, state.stream.to);
        let dialect = self.dialect;
        self.links[from].queue(|out| dialect.write_message(out, to, number, &plan.text));
        self.mark_dirty(from);
        self.books.sent += 1;
        Ok(())
    }

    fn mark_dirty(&mut self, link: usize) {
        if !std::mem::replace(&mut self.is_dirty[link], true) {
            self.dirty.push(link);
        }
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        for link in self.dirty.drain(..) {
            self.is_dirty[link] = false;
            self.links[link].flush().map_err(BenchError::connection)?;
        }
        Ok(())
    }

    /// Takes what has come for one link.
    fn take(
        &mut self,
        at: usize,
        scratch: &mut [u8],
        plan: &Plan,
        run: &mut Run,
    ) -> Result<(), BenchError> {
        let Engine { links, inboxes, flows, books, dialect, .. } = self;
        let link = &mut links[at];
        let inbox = &mut inboxes[at];
        let mut pushes = 0;
        let read = link.read(scratch, |payload| match dialect.read(payload) {
            Incoming::Push(number) => {
                pushes += 1;
                books.arrived(inbox.receive(number));
                let sent_at = flows.get(number.stream as usize).and_then(|flow| flow.time(number));
                run.received(sent_at);
            }
            Incoming::Answer { number, errno, stored } => {
                let Some(flow) = flows.get_mut(number.stream as usize) else { return };
                books.answered += 1;
                books.refused += u64::from(errno != 0);
                books.stored += u64::from(stored);
                run.answered(flow.time(number));
                flow.answered();
                run.ready.push(number.stream as usize);
            }
            Incoming::Other => {}
        });
        read.map_err(BenchError::connection)?;
        link.pushes += pushes;
        if plan.confirm && link.pushes > link.confirmed {
            link.confirmed = link.pushes;
            let count = link.pushes;
            link.queue(|out| Dialect::write_confirmation(out, count));
            self.mark_dirty(at);
        }
        Ok(())
    }

    /// Whether everything sent is answered, and every copy that was promised
    /// has come.
    fn is_settled(&self) -> bool {
        let copies = |flow: &Flow| flow.sent * flow.stream.recipients.len() as u64;
        let expected: u64 = self.flows.iter().map(copies).sum();
        self.books.answered >= self.books.sent
            && self.books.received + self.books.stored >= expected
    }
}

impl Flow {
    /// When this message was to be sent.
    fn time(&self, number: Number) -> Option<Instant> {
        let at = number.message.checked_sub(self.first_time)?;
        self.times.get(at as usize).copied()
    }

    /// Forgets the times of messages that are long done: copies may come some
    /// time after the answer.
    fn answered(&mut self) {
        self.answered += 1;
        let kept = (self.sent - self.answered) + MOST_UNDER_WAY / 4;
        while self.times.len() as u64 > kept {
            self.times.pop_front();
            self.first_time += 1;
        }
    }
}
