//! One turn of the publisher: everything that waited, as one pipeline.

use ::redis::{Cmd, Connection, RedisResult, Value, cmd};
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::error::is_interrupted;
use super::job::{Answer, Job};
use super::server_channel;
use crate::bus::{BusError, BusSink, Position, Presence};
use crate::model::{ServerId, UserId};

/// Where an envelope is closed and another one begun, in bytes: a subscriber
/// parses an envelope whole, and Redis cuts off one that falls 32 MB behind.
const ENVELOPE_LIMIT_BYTES: usize = 1 << 20;
/// How much a turn may hold, so that its answer fits into the time-out.
const TURN_LIMIT_BYTES: usize = 4 << 20;
/// How many jobs a turn may hold: beyond this a larger pipeline gains nothing
/// and the first job's answer only comes later.
const TURN_LIMIT_JOBS: usize = 1_024;
/// How many users are asked for in a turn, a few jobs more or less.
const TURN_LIMIT_KEYS: usize = 8_192;

/// Deletes a key if its value is still the one given.
const COMPARE_AND_DELETE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// What one turn sends, and who waits for the answers.
pub(super) struct Turn {
    /// The head of every envelope: who sends.
    head: Vec<u8>,
    /// Announcements and withdrawals, in order.
    writes: Vec<Write>,
    /// Each locate's number of users, and who asked.
    locates: Vec<(usize, Answer<Vec<Option<Presence>>>)>,
    /// All locates' keys in order.
    keys: Vec<String>,
    envelopes: Vec<Envelope>,
    /// Each server's last envelope: the one that still takes items.
    open: FxHashMap<ServerId, usize>,
    /// The channel that a heartbeat goes to, if one is due.
    beat: Option<String>,
    jobs: usize,
    bytes: usize,
}

/// What was sent to each server so far, lost envelopes included.
pub(super) struct Sent {
    stream: u64,
    numbers: FxHashMap<ServerId, u64>,
}

impl Sent {
    /// Nothing was sent yet.
    pub(super) fn new() -> Self {
        let stream = getrandom::u64().expect("the operating system gives random numbers");
        Self { stream, numbers: FxHashMap::default() }
    }

    fn next(&mut self, to: &ServerId) -> Position {
        let number = self.numbers.entry(to.clone()).or_default();
        *number += 1;
        Position { stream: self.stream, number: *number }
    }
}

/// An announcement or a withdrawal.
enum Write {
    Announce { key: String, value: String, then: Answer<()> },
    Withdraw { key: String, value: String },
}

/// An envelope while it is written: items go straight into its text.
struct Envelope {
    to: ServerId,
    text: Vec<u8>,
    items: usize,
}

/// The first two fields of [`crate::bus::item::Envelope`], without a copy.
#[derive(Serialize)]
struct Head<'a> {
    from: &'a str,
    epoch: i64,
}

impl Turn {
    /// An empty turn of this server in its present epoch.
    pub(super) fn new(from: &ServerId, epoch: i64) -> Self {
        Self {
            head: envelope_head(from, epoch),
            writes: Vec::new(),
            locates: Vec::new(),
            keys: Vec::new(),
            envelopes: Vec::new(),
            open: FxHashMap::default(),
            beat: None,
            jobs: 0,
            bytes: 0,
        }
    }

    /// Whether the turn should leave before it takes more.
    pub(super) fn is_full(&self) -> bool {
        self.jobs >= TURN_LIMIT_JOBS
            || self.bytes >= TURN_LIMIT_BYTES
            || self.keys.len() >= TURN_LIMIT_KEYS
    }

    /// Takes a job in; `own_channel` is where a heartbeat goes.
    pub(super) fn add(&mut self, job: Job, own_channel: &str) {
        self.jobs += 1;
        match job {
            Job::Send { to, item } => self.add_item(to, &item),
            Job::Locate { users, then } => {
                self.locates.push((users.len(), then));
                self.keys.extend(users.into_iter().map(presence_key));
            }
            Job::Announce { user, presence, then } => match presence_value(&presence) {
                Some(value) => {
                    self.writes.push(Write::Announce { key: presence_key(user), value, then });
                }
                None => then.give(Err(BusError::Down)),
            },
            Job::Withdraw { user, presence } => {
                if let Some(value) = presence_value(&presence) {
                    self.writes.push(Write::Withdraw { key: presence_key(user), value });
                }
            }
            Job::Beat => self.add_beat(own_channel),
        }
    }

    /// Puts a heartbeat into the turn.
    pub(super) fn add_beat(&mut self, own_channel: &str) {
        self.beat = Some(own_channel.to_owned());
    }

    /// Whether a heartbeat leaves with this turn.
    pub(super) fn has_beat(&self) -> bool {
        self.beat.is_some()
    }

    /// Appends an item to the server's open envelope, or to a new one where
    /// it would grow beyond the limit. A larger item goes alone.
    fn add_item(&mut self, to: ServerId, item: &[u8]) {
        let index = match self.open.get(&to) {
            Some(&index) => index,
            None => self.begin_envelope(to.clone()),
        };
        let envelope = &mut self.envelopes[index];
        let mark = envelope.text.len();
        if envelope.items > 0 {
            envelope.text.push(b',');
        }
        let start = envelope.text.len();
        envelope.text.extend_from_slice(item);
        self.bytes += envelope.text.len() - mark;
        envelope.items += 1;
        if envelope.text.len() > ENVELOPE_LIMIT_BYTES && envelope.items > 1 {
            let last = envelope.text.split_off(start);
            envelope.text.truncate(mark);
            envelope.items -= 1;
            let next = self.begin_envelope(to);
            self.envelopes[next].text.extend_from_slice(&last);
            self.envelopes[next].items = 1;
        }
    }

    fn begin_envelope(&mut self, to: ServerId) -> usize {
        let index = self.envelopes.len();
        self.envelopes.push(Envelope { to: to.clone(), text: self.head.clone(), items: 0 });
        self.open.insert(to, index);
        index
    }

    /// Sends everything and tells everyone the outcome. An error means that
    /// the connection is of no more use; `broken` is called before anybody is
    /// told, so that who asks again at once is refused and not failed again.
    pub(super) fn run(
        mut self,
        link: &mut Connection,
        sent: &mut Sent,
        sink: &dyn BusSink,
        broken: impl FnOnce(),
    ) -> RedisResult<()> {
        let (wire, count) = self.pack(sent);
        if count == 0 {
            return Ok(());
        }
        match exchange(link, &wire, count) {
            Ok(replies) => self.settle(replies, sink),
            Err(err) => {
                broken();
                self.fail(sink);
                Err(err)
            }
        }
    }

    /// The turn as one pipeline, and how many answers it will get.
    fn pack(&mut self, sent: &mut Sent) -> (Vec<u8>, usize) {
        let mut wire = Vec::with_capacity(self.bytes + 256 * (self.jobs + 1));
        let mut count = 0;
        let mut put = |command: &Cmd| {
            command.write_packed_command(&mut wire);
            count += 1;
        };
        for write in &self.writes {
            match write {
                Write::Announce { key, value, .. } => put(cmd("SET").arg(key).arg(value)),
                Write::Withdraw { key, value } => {
                    put(cmd("EVAL").arg(COMPARE_AND_DELETE).arg(1).arg(key).arg(value));
                }
            }
        }
        if !self.keys.is_empty() {
            put(cmd("MGET").arg(&self.keys));
        }
        for envelope in &mut self.envelopes {
            close_envelope(&mut envelope.text, sent.next(&envelope.to));
            put(cmd("PUBLISH").arg(server_channel(&envelope.to)).arg(&envelope.text[..]));
        }
        if let Some(channel) = &self.beat {
            close_envelope(&mut self.head, Position { stream: sent.stream, number: 0 });
            put(cmd("PUBLISH").arg(channel).arg(&self.head[..]));
            put(cmd("GETSET").arg(witness_key(channel)).arg(1));
        }
        (wire, count)
    }

    /// Hands each answer, in the order of [`Turn::pack`], to who waits for it.
    fn settle(self, replies: Vec<Value>, sink: &dyn BusSink) -> RedisResult<()> {
        let mut replies = replies.into_iter().map(Value::extract_error);
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        for write in self.writes {
            settle_write(write, next());
        }
        if !self.keys.is_empty() {
            settle_locates(self.locates, next());
        }
        let mut unreachable: Vec<ServerId> = Vec::new();
        for envelope in self.envelopes {
            let reached = match next() {
                Ok(Value::Int(receivers)) => receivers > 0,
                Ok(_) => false,
                Err(err) => {
                    log::warn!(target: "bus", "server={} not published err=\"{err}\"", envelope.to);
                    false
                }
            };
            if !reached && !unreachable.contains(&envelope.to) {
                unreachable.push(envelope.to);
            }
        }
        for server in &unreachable {
            sink.on_unreachable(server);
        }
        if self.beat.is_some() {
            next()?;
            if matches!(next(), Ok(Value::Nil)) {
                sink.on_keys_lost();
            }
        }
        Ok(())
    }

    /// Tells everyone that Redis did not answer.
    fn fail(self, sink: &dyn BusSink) {
        for server in self.open.keys() {
            sink.on_unreachable(server);
        }
        for (_, then) in self.locates {
            then.give(Err(BusError::Down));
        }
        for write in self.writes {
            if let Write::Announce { then, .. } = write {
                then.give(Err(BusError::Down));
            }
        }
    }
}

/// Sends a pipeline and reads its answers up to the first failure. (The
/// library's own pipeline reads on after a time-out, once for each command: on
/// a Redis that hangs, a thousand commands would take a thousand time-outs.)
fn exchange(link: &mut Connection, wire: &[u8], count: usize) -> RedisResult<Vec<Value>> {
    link.send_packed_command(wire)?;
    let mut replies = Vec::with_capacity(count);
    while replies.len() < count {
        match link.recv_response() {
            Ok(reply) => replies.push(reply),
            Err(err) if is_interrupted(&err) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(replies)
}

fn settle_write(write: Write, reply: RedisResult<Value>) {
    let err = match reply {
        Ok(_) => {
            if let Write::Announce { then, .. } = write {
                then.give(Ok(()));
            }
            return;
        }
        Err(err) => err,
    };
    match write {
        Write::Announce { key, then, .. } => {
            log::warn!(target: "bus", "presence {key} not announced err=\"{err}\"");
            then.give(Err(BusError::Down));
        }
        Write::Withdraw { key, .. } => {
            log::warn!(target: "bus", "presence {key} not withdrawn err=\"{err}\"");
        }
    }
}

/// Deals the one MGET's values out to the locates that it stood for.
fn settle_locates(locates: Vec<(usize, Answer<Vec<Option<Presence>>>)>, reply: RedisResult<Value>) {
    let values = match reply {
        Ok(Value::Array(values)) => values,
        Ok(_) => Vec::new(),
        Err(err) => {
            log::warn!(target: "bus", "presences not read err=\"{err}\"");
            Vec::new()
        }
    };
    let asked: usize = locates.iter().map(|(users, _)| users).sum();
    if values.len() != asked {
        for (_, then) in locates {
            then.give(Err(BusError::Down));
        }
        return;
    }
    let mut values = values.into_iter();
    for (users, then) in locates {
        then.give(Ok(values.by_ref().take(users).map(|value| read_presence(&value)).collect()));
    }
}

/// A presence as it stands in Redis; what cannot be read is nowhere.
fn read_presence(value: &Value) -> Option<Presence> {
    let Value::BulkString(text) = value else { return None };
    match serde_json::from_slice(text) {
        Ok(presence) => Some(presence),
        Err(err) => {
            log::warn!(target: "bus", "a presence in Redis is malformed err=\"{err}\"");
            None
        }
    }
}

/// `{"from":…,"epoch":…,"items":[`
fn envelope_head(from: &ServerId, epoch: i64) -> Vec<u8> {
    let mut head = serde_json::to_vec(&Head { from, epoch })
        .expect("a string and a number can always be written as JSON");
    head.pop();
    head.extend_from_slice(b",\"items\":[");
    head
}

fn close_envelope(text: &mut Vec<u8>, Position { stream, number }: Position) {
    let rest = format!("],\"position\":{{\"stream\":{stream},\"number\":{number}}}}}");
    text.extend_from_slice(rest.as_bytes());
}

/// A key that is there for as long as Redis keeps what this server writes.
fn witness_key(channel: &str) -> String {
    format!("{channel}:witness")
}

fn presence_key(user: UserId) -> String {
    format!("chat:user:{user}")
}

/// A presence's one text: a withdrawal compares it byte for byte.
fn presence_value(presence: &Presence) -> Option<String> {
    serde_json::to_string(presence)
        .inspect_err(|err| log::error!(target: "bus", "presence not written err=\"{err}\""))
        .ok()
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
