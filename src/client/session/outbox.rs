//! Requests that wait: to be sent, or for their answer. Kept in the order in
//! which they were typed, and sent again in that order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How many requests may wait. Whoever types does not reach it; a script is
/// held back well before.
pub const MAX_WAITING: usize = 1_000;
/// After this the server promises nothing about a message: it is sent again.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(10);
/// How often a message is sent on a connection that lives, without any answer,
/// before the client gives up on it.
const MAX_ATTEMPTS: u32 = 6;
/// The pause before a message that was refused for the moment is repeated,
/// times the number of refusals so far.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(5);
/// How often a message is refused by a server that asks to slow down before
/// the client gives up on it. Where the server says how long to wait only the
/// refusals count between which no other message got its answer: who sends a
/// thousand lines is refused often, and gets on.
const MAX_REFUSALS: u32 = 20;

/// What was asked for, as far as the answer's sentence needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A message to a user.
    Chat {
        /// The recipient.
        to: u32,
    },
    /// A message to a group.
    GroupChat {
        /// The group.
        group: u32,
    },
    /// Befriend this user.
    AddFriend(u32),
    /// End the friendship with this user.
    DelFriend(u32),
    /// Create a group.
    CreateGroup {
        /// Its name.
        name: String,
        /// Its description.
        desc: String,
    },
    /// Join this group.
    AddGroup(u32),
    /// Leave or dissolve this group.
    DelGroup(u32),
    /// Show the friends.
    FriendList,
}

impl What {
    /// Whether asking twice does no more than asking once: messages carry a
    /// `mid`, and the friend list is only read.
    fn may_repeat(&self) -> bool {
        matches!(self, What::Chat { .. } | What::GroupChat { .. } | What::FriendList)
    }

    fn is_message(&self) -> bool {
        self.recipient().is_some()
    }

    /// Whom a message is for: whether that is a group, and its number.
    fn recipient(&self) -> Option<(bool, u32)> {
        match self {
            What::Chat { to } => Some((false, *to)),
            What::GroupChat { group } => Some((true, *group)),
            _ => None,
        }
    }
}

/// One waiting request.
#[derive(Debug)]
pub struct Waiting {
    /// What was asked for.
    pub what: What,
    /// The request's JSON, the same each time it is sent.
    pub payload: Vec<u8>,
    /// When to look after it again: an answer is overdue or a repeat is due.
    /// `None`: it has not been sent on this connection.
    due: Option<Instant>,
    /// Whether `due` is the time of a repeat that the server asked for.
    pausing: bool,
    /// How often it was sent on this connection since the last refusal.
    attempts: u32,
    /// How often the server asked to try again later.
    refusals: u32,
    /// How often it asked to slow down, as far as [`MAX_REFUSALS`] counts it.
    slowed: u32,
    /// How many messages were answered for good at the last refusal.
    taken_then: u64,
}

/// What comes of a request for which the server asks to slow down.
#[derive(Debug, PartialEq, Eq)]
pub enum Later {
    /// There is no such message: the refusal stands.
    NoMessage,
    /// It is sent again.
    Repeats {
        /// How often it was refused, as far as that counts.
        refusals: u32,
    },
    /// It was refused too often, and is out of the box.
    GivenUp(What),
}

/// What has become of a request whose time came.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Send it again, as the server has asked for.
    Send(Vec<u8>),
    /// Send it again: its answer is overdue.
    Overdue(Vec<u8>),
    /// It got no answer and is given up.
    GivenUp(What),
}

/// The waiting requests by their `seq`, which is their order.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: BTreeMap<u64, Waiting>,
    /// Whether the person knows that messages are being repeated.
    told: bool,
    /// Nothing is sent before this: the server has asked for it. What was
    /// refused then waits like what was never sent, so that all of it goes in
    /// its order.
    hold: Option<Instant>,
    /// Whether each recipient gets one message at a time: from such a request
    /// of the server's until nothing waits any more. Of several on their way
    /// one may be refused, and those behind it get there first.
    careful: bool,
    /// How many messages the server has answered for good.
    taken: u64,
}

impl Outbox {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a request that is to be sent.
    pub fn add(&mut self, seq: u64, what: What, payload: Vec<u8>) {
        let (due, pausing, attempts, refusals, slowed) = (None, false, 0, 0, 0);
        let waiting = Waiting {
            what,
            payload,
            due,
            pausing,
            attempts,
            refusals,
            slowed,
            taken_then: self.taken,
        };
        self.waiting.insert(seq, waiting);
    }

    /// Everything that has not been sent on this connection, in order; from
    /// now on its answer is awaited. Nothing while the server is to be left
    /// alone.
    pub fn send_all(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let sendable = self.sendable(now);
        let unsent = self.waiting.iter_mut().filter(|(seq, _)| sendable.contains(seq));
        unsent.map(|(_, w)| w.send(now)).collect()
    }

    /// Which of what has not been sent on this connection may be sent now.
    fn sendable(&mut self, now: Instant) -> BTreeSet<u64> {
        self.hold = self.hold.filter(|until| now < *until);
        let mut sendable = BTreeSet::new();
        if self.hold.is_some() || self.waiting.values().all(|w| w.due.is_some()) {
            return sendable;
        }
        let on_their_way = self.waiting.values().filter(|w| w.due.is_some());
        let mut busy: BTreeSet<_> = on_their_way.filter_map(|w| w.what.recipient()).collect();
        let mut overtaken = false;
        for (seq, waiting) in self.waiting.iter().filter(|(_, w)| w.due.is_none()) {
            match waiting.what.recipient().filter(|_| self.careful) {
                Some(recipient) if !busy.insert(recipient) => overtaken = true,
                // What is no message may decide over those before and behind it.
                None if overtaken => break,
                _ => {
                    sendable.insert(*seq);
                }
            }
        }
        sendable
    }

    /// The connection is gone. What may be repeated waits for the next one;
    /// the rest is returned, since nobody knows what became of it.
    pub fn disconnected(&mut self) -> Vec<What> {
        let lost: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, w)| w.due.is_some() && !w.what.may_repeat())
            .map(|(seq, _)| *seq)
            .collect();
        for waiting in self.waiting.values_mut() {
            waiting.due = None;
            waiting.pausing = false;
            waiting.attempts = 0;
        }
        lost.into_iter().filter_map(|seq| self.waiting.remove(&seq)).map(|w| w.what).collect()
    }

    /// The request with this `seq` was answered for good.
    pub fn answered(&mut self, seq: u64) -> Option<What> {
        let answered = self.waiting.remove(&seq).map(|w| w.what);
        self.is_settled();
        self.taken += u64::from(answered.as_ref().is_some_and(What::is_message));
        answered
    }

    /// A service that the server needs is away. False if there is no such
    /// message: then the answer stands. A message is tried for as long as it
    /// takes: what somebody typed is not lost because a database is away.
    pub fn is_unavailable(&mut self, seq: u64, now: Instant) -> bool {
        match self.waiting.get_mut(&seq) {
            Some(w) if w.what.is_message() => {
                // It gets as far as that.
                w.slowed = 0;
                w.pause(now);
                true
            }
            _ => false,
        }
    }

    /// The server asks to slow down; for so long, if it says how long.
    pub fn slow_down(&mut self, seq: u64, pause: Option<Duration>, now: Instant) -> Later {
        let Some(w) = self.waiting.get_mut(&seq).filter(|w| w.what.is_message()) else {
            return Later::NoMessage;
        };
        if pause.is_some() && w.taken_then != self.taken {
            w.slowed = 0;
        }
        w.taken_then = self.taken;
        w.slowed += 1;
        let refusals = w.slowed;
        if refusals > MAX_REFUSALS {
            let given_up = self.waiting.remove(&seq).map(|w| w.what);
            self.is_settled();
            return given_up.map_or(Later::NoMessage, Later::GivenUp);
        }
        match pause {
            Some(pause) => {
                (w.due, w.pausing, w.attempts) = (None, false, 0);
                self.hold = self.hold.max(Some(now + pause));
                self.careful = true;
            }
            None => w.pause(now),
        }
        Later::Repeats { refusals }
    }

    /// Something is out of the box. With the last of it an episode ends.
    fn is_settled(&mut self) {
        self.told &= !self.waiting.is_empty();
        self.careful &= !self.waiting.is_empty();
    }

    /// Whether to tell the person that messages are being repeated: once, until
    /// nothing waits any more.
    pub fn tell_of_repeats(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    /// Removes the longest of what was sent. The server closed the connection
    /// over a frame above its limit without saying which: the longest is above
    /// that limit for certain, or the connection would have been left alone.
    pub fn remove_longest(&mut self) -> Option<What> {
        let sent = self.waiting.iter().filter(|(_, w)| w.due.is_some());
        let (seq, _) = sent.max_by_key(|(_, w)| w.payload.len())?;
        let seq = *seq;
        self.answered(seq)
    }

    /// Looks after what is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = self.sendable(now);
        let is_due = |w: &Waiting| w.due.is_some_and(|due| due <= now);
        due.extend(self.waiting.iter().filter(|(_, w)| is_due(w)).map(|(seq, _)| *seq));
        let mut result = Vec::new();
        for seq in due {
            let Some(waiting) = self.waiting.get_mut(&seq) else { continue };
            if waiting.pausing || waiting.due.is_none() {
                result.push(Due::Send(waiting.send(now)));
            } else if waiting.what.is_message() && waiting.attempts < MAX_ATTEMPTS {
                result.push(Due::Overdue(waiting.send(now)));
            } else {
                result.extend(self.answered(seq).map(Due::GivenUp));
            }
        }
        result
    }

    /// When [`Outbox::take_due`] has something to do next.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|w| w.due.or(self.hold)).min()
    }

    /// Empties the box.
    pub fn take_all(&mut self) -> Vec<What> {
        (self.told, self.careful, self.hold) = (false, false, None);
        std::mem::take(&mut self.waiting).into_values().map(|w| w.what).collect()
    }
}

impl Waiting {
    /// Is sent again after a while, which grows with the refusals.
    fn pause(&mut self, now: Instant) {
        self.refusals = self.refusals.saturating_add(1);
        self.due = Some(now + RETRY_PAUSE.saturating_mul(self.refusals).min(MAX_RETRY_PAUSE));
        self.attempts = 0;
        self.pausing = true;
    }

    fn send(&mut self, now: Instant) -> Vec<u8> {
        self.attempts += 1;
        self.pausing = false;
        self.due = Some(now + MESSAGE_PATIENCE);
        self.payload.clone()
    }
}
