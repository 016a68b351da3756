//! A client as the protocol wants it, on a thread of its own: writes to the
//! others, repeats what is not answered, confirms what it handles, drops what it
//! has seen, and comes back when it has lost its connection. All goes into the
//! books.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::books::{Arrival, Books, End, Key, Target};
use crate::line::{Line, Login};
use crate::outbox::Outbox;
use crate::rng::Rng;
use crate::role::{Confirms, Role};
use crate::support::door::Person;
use crate::support::wire::Incoming;

/// The longest time in which a member does not look at what it is told.
const TURN: Duration = Duration::from_millis(40);

/// Pings after so much silence; the protocol asks for one in 30 s.
const PING_AFTER: Duration = Duration::from_secs(2);

/// A server that owes an answer and says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts to come back: at first, and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Before what was refused for now is sent again.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// What a scenario tells a member.
#[derive(Debug, Clone, Copy)]
pub enum Order {
    /// Begin to write, or write nothing new.
    Talk(bool),
    /// Read what comes, or do nothing at all.
    Read(bool),
    /// From now on confirm so.
    Confirm(Confirms),
    /// No longer leave and come back by itself.
    Stay,
    /// Drop the connection, and come back by the next address.
    Reconnect,
    /// It is over.
    Leave,
}

/// What a scenario sees of a member.
#[derive(Default)]
pub struct Look {
    pub is_here: AtomicBool,
    pub is_talking: AtomicBool,
    pub logins: AtomicUsize,
    /// Messages without an answer.
    pub unanswered: AtomicUsize,
}

/// A running member.
pub struct Member {
    pub person: Person,
    pub look: Arc<Look>,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl Member {
    /// Comes in. Whom to write to: `peers` and, if there is one, `group`.
    pub fn start(
        person: Person,
        role: Role,
        peers: Vec<i64>,
        group: Option<i64>,
        rng: Rng,
        books: Arc<Books>,
    ) -> Member {
        let (orders, told) = channel();
        let look = Arc::new(Look::default());
        let actor = Actor {
            me: person.clone(),
            role,
            peers,
            group,
            rng,
            books,
            look: look.clone(),
            orders: told,
            is_talking: false,
            is_reading: true,
            outbox: Outbox::default(),
            seen: HashSet::new(),
            token: None,
            logins: 0,
            failures: 0,
            next_message: Instant::now(),
            leaves_at: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name(person.name.clone())
            .spawn(move || actor.live())
            .unwrap();
        Member { person, look, orders, thread }
    }

    /// Tells it something. Only one that has panicked does not hear it.
    pub fn tell(&self, order: Order) {
        self.orders.send(order).ok();
    }

    /// Whether its thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    pub fn join(self) -> std::thread::Result<()> {
        self.thread.join()
    }
}

/// The inside of a member.
struct Actor {
    me: Person,
    role: Role,
    peers: Vec<i64>,
    group: Option<i64>,
    rng: Rng,
    books: Arc<Books>,
    look: Arc<Look>,
    orders: Receiver<Order>,
    is_talking: bool,
    is_reading: bool,
    outbox: Outbox,
    /// Never forgotten, like what an ordinary client keeps on its disk.
    seen: HashSet<Key>,
    token: Option<String>,
    logins: usize,
    /// Since it was last logged in.
    failures: u32,
    next_message: Instant,
    leaves_at: Instant,
}

/// Why a connection is over.
type Lost = End;

impl Actor {
    fn live(mut self) {
        let mut line = None;
        loop {
            loop {
                let order = match self.orders.try_recv() {
                    Ok(order) => order,
                    Err(TryRecvError::Empty) => break,
                    // Nobody looks any more: the scenario has failed.
                    Err(TryRecvError::Disconnected) => Order::Leave,
                };
                match order {
                    Order::Talk(talk) => {
                        self.is_talking = talk;
                        self.look.is_talking.store(talk, SeqCst);
                    }
                    Order::Read(read) => self.is_reading = read,
                    Order::Confirm(how) => self.role.confirms = how,
                    Order::Stay => self.role.stays = None,
                    Order::Reconnect => self.drop_line(line.take(), End::Member("as it was told")),
                    Order::Leave => return self.drop_line(line, End::Member("it is over")),
                }
            }
            let Some(here) = line.as_mut() else {
                line = self.come_back();
                continue;
            };
            if let Err(lost) = self.turn(here) {
                self.drop_line(line.take(), lost);
            }
            self.look.unanswered.store(self.outbox.len(), SeqCst);
        }
    }

    fn drop_line(&mut self, line: Option<Line>, why: Lost) {
        let Some(line) = line else { return };
        self.look.is_here.store(false, SeqCst);
        self.books.ended(line.number, why);
        self.outbox.connection_lost();
    }

    /// One attempt to log in, or a pause before it.
    fn come_back(&mut self) -> Option<Line> {
        if self.logins > 0 {
            let longest = (BACK_OFF.0 * 2u32.pow(self.failures.min(5))).min(BACK_OFF.1);
            std::thread::park_timeout(self.rng.around(longest / 2));
        }
        let attempt = self.logins + self.failures as usize;
        let address = self.role.addresses[attempt % self.role.addresses.len()];
        match Line::log_in(&self.books, &self.me, &self.role, address, self.token.as_deref()) {
            Login::In(line, answer) => Some(self.welcome(*line, &answer)),
            Login::TokenRefused => {
                self.token = None;
                self.failures += 1;
                None
            }
            Login::Not => {
                self.failures += 1;
                None
            }
        }
    }

    fn welcome(&mut self, mut line: Line, answer: &Value) -> Line {
        // The failures count for the next address, too.
        self.logins += 1 + std::mem::take(&mut self.failures) as usize;
        self.token = answer["token"].as_str().map(str::to_owned);
        if self.token.is_none() {
            self.books.wrong(None, format!("{} is in without a token: {answer}", self.me.name));
        }
        if self.role.confirms == Confirms::Not {
            self.books.pages().plain.insert(self.me.id);
        }
        for missed in answer["offlinemsg"].as_array().expect("a login answer has offlinemsg") {
            let missed = missed.as_str().expect("offlinemsg holds strings");
            let missed = serde_json::from_str(missed).expect("it is JSON");
            self.handle(&mut line, &missed);
        }
        if let Some(time) = self.role.stays {
            self.leaves_at = Instant::now() + self.rng.around(time);
        }
        self.look.logins.fetch_add(1, SeqCst);
        self.look.is_here.store(true, SeqCst);
        line
    }

    /// Reads for a moment, then does what is due.
    fn turn(&mut self, line: &mut Line) -> Result<(), Lost> {
        if !self.is_reading {
            std::thread::park_timeout(TURN);
            return Ok(());
        }
        let mut time = TURN;
        if self.is_talking && self.role.pace.is_some() {
            time = time.min(self.next_message.saturating_duration_since(Instant::now()));
        }
        // One read that does not wait at all is none.
        match line.read(time.max(Duration::from_millis(1))) {
            Incoming::Frame(frame) => self.on_frame(line, &frame),
            Incoming::Silence => {}
            Incoming::Closed => return Err(End::Server("it closed the connection".into())),
        }
        self.write_something_new();
        self.send_what_is_due(line).map_err(|e| End::Server(e.to_string()))?;
        if !self.role.is_patient && line.waits_for() > PATIENCE {
            return Err(End::Member("the server is silent"));
        }
        if self.role.stays.is_some() && Instant::now() >= self.leaves_at {
            return Err(End::Member("it stays no longer"));
        }
        Ok(())
    }

    fn write_something_new(&mut self) {
        let Some(pace) = self.role.pace else { return };
        if !self.is_talking || Instant::now() < self.next_message {
            return;
        }
        self.next_message = Instant::now() + self.rng.around(pace);
        let target = match self.group {
            Some(group) if self.rng.percent(self.role.group_percent) => Target::Group(group),
            _ => Target::User(*self.rng.choose(&self.peers)),
        };
        let mid = self.rng.mid();
        let mut text = format!("{} says \"{}\"\n", self.me.name, &mid[..8]);
        for _ in 0..self.rng.below(self.role.text_length * 2) / 4 {
            let word: &&str = self.rng.choose(&["and ", "é∞ ", "\\\\\t ", "so  "]);
            text.push_str(word);
        }
        self.outbox.write(Key { sender: self.me.id, mid }, target, text);
    }

    fn send_what_is_due(&mut self, line: &mut Line) -> std::io::Result<()> {
        let mut requests = self.outbox.requests(&self.books, line.number, &mut line.last_seq);
        if let Some(count) = line.confirming.due(self.role.confirms, Instant::now()) {
            requests.push(json!({"msgid": 14, "count": count}));
        }
        if line.silence() > PING_AFTER && line.waits_for().is_zero() {
            requests.push(json!({"msgid": 15}));
        }
        if requests.is_empty() { Ok(()) } else { line.send_all(&requests) }
    }

    fn on_frame(&mut self, line: &mut Line, frame: &Value) {
        match frame["msgid"].as_i64() {
            Some(6 | 10) => self.handle(line, frame),
            Some(106 | 110) => {
                let pause = self.rng.around(REFUSED_PAUSE);
                self.outbox.answered(&self.books, line.number, frame, pause);
            }
            Some(115) => {}
            _ => self.books.wrong(None, format!("{} got {frame}", self.me.name)),
        }
    }

    /// A message 6 or 10: handled if it is new, else dropped.
    fn handle(&mut self, line: &mut Line, push: &Value) {
        let number =
            |name: &str| push[name].as_i64().unwrap_or_else(|| panic!("no {name}: {push}"));
        let text = |name: &str| push[name].as_str().unwrap_or_else(|| panic!("no {name}: {push}"));
        let key = Key { sender: number("id"), mid: text("mid").to_owned() };
        let target = match number("msgid") {
            6 => Target::User(number("to")),
            _ => Target::Group(number("groupid")),
        };
        let first = self.seen.insert(key.clone());
        let now = Instant::now();
        let arrival = Arrival { at: now, line: line.number, recipient: self.me.id };
        self.books.arrived(&key, target, text("msg"), arrival, first);
        line.confirming.handled(now);
    }
}
