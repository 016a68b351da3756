//! What one server knows of one recipient, and the way that a copy takes: pure
//! state, changed under its shard's lock in the registry.
//!
//! Invariants, under one shard's leaf lock, so that copies of one sender cannot
//! overtake each other:
//! - A copy is pushed live only while nothing of this server's for the same
//!   recipient is with the offline writer (`writing`), handed over to another
//!   server (`handed`) or held (`hold`).
//! - A copy goes any other way only while none is in the mailbox of the
//!   recipient's reactor (`posted`).
//! - `hold` is set while some thread moves copies of this recipient outside
//!   the lock, or while copies wait for one of the above; later copies line up
//!   in it.

mod routing;
mod waits;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thin_vec::ThinVec;

use super::boxed_queue::BoxedQueue;
use super::message::{Message, MessageCopy};
use super::session::{SessionId, Way};
use crate::model::ServerId;
use crate::moment::Moment;

pub use routing::{Handover, Routing};

/// How long a located server is remembered. A wrong guess bounces back.
const LOCATION_TTL: Duration = Duration::from_secs(3);

/// So many copies may wait for a session that is about to go live; beyond that
/// they are stored after all.
const CATCH_UP_COPIES: usize = 1024;

/// A session of a user on this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSession {
    /// Its connection.
    pub id: SessionId,
    /// Its claim's random number.
    pub claim: i64,
    /// Fed from the table only: new copies go to the offline writer.
    pub behind: bool,
    /// How often rows were committed for it: a read that began before the
    /// latest of these may have missed something.
    pub nudges: u32,
}

/// Where the user was last located.
#[derive(Debug)]
enum Location {
    /// On this server of the cluster, as seen then.
    At(ServerId, Instant),
    /// Nowhere else; holds only until the held copies are routed.
    Nowhere,
}

/// A copy that another server has and this one keeps until the outcome comes.
#[derive(Debug)]
pub struct Handed {
    /// The number of the handover.
    pub handover: u64,
    /// To whom.
    pub server: ServerId,
    /// When this server stores it after all.
    pub deadline: Instant,
    /// The copy.
    pub copy: MessageCopy,
}

/// Copies that line up, and what for. There while somebody holds the slot or
/// something is in the queue.
#[derive(Debug, Default)]
struct Hold {
    holders: u32,
    /// Somebody routes the queue; nobody else does.
    flushing: bool,
    queue: VecDeque<MessageCopy>,
    /// The session has read everything but what is with the writer: new
    /// copies are held until that is read too. Without this a recipient of
    /// steady traffic would never leave the stored path.
    catching_up: Option<Moment>,
    /// The session has taken over from logins on these servers, which may still
    /// leave messages that come before all others: new copies are held. Empty
    /// once all of them have ended.
    taking_over: Option<ThinVec<ServerId>>,
}

/// What is known of one recipient.
#[derive(Debug, Default)]
pub struct Slot {
    /// The session here.
    pub session: Option<LocalSession>,
    /// A login of this user is under way here and has not entered yet.
    pub logging_in: bool,
    /// Claims that were taken over while that login is under way: if one is
    /// its own it must not enter.
    pub revoked: ThinVec<i64>,
    /// Copies with the offline writer, not yet committed and nudged.
    pub writing: u32,
    /// Copies with another server, oldest first; all with the same one.
    pub handed: BoxedQueue<Handed>,
    /// Copies on their way to a session's reactor: this one's, or a former
    /// one's, whose copies come back to be stored.
    posted: u32,
    /// Those of them that are in its mailbox, or about to be put there.
    in_mailbox: u32,
    posted_to: Option<SessionId>,
    location: Option<Box<Location>>,
    hold: Option<Box<Hold>>,
}

/// What is to be done with a copy, outside the lock.
#[derive(Debug)]
pub enum Next {
    /// Push it to this live session.
    Push(SessionId, MessageCopy, Way),
    /// Give it to the offline writer; `writing` counts it already.
    Store(MessageCopy),
    /// Send this message to this server; `handed` keeps the copy already.
    HandOver(ServerId, Arc<Message>),
    /// It is held; ask the bus where the user is.
    Locate,
    /// It is held; whoever holds the slot goes on with it.
    Wait,
    /// It is held, and too many are: let go of the slot.
    LetGo,
}

/// Whether a session that has read everything is live now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoLive {
    /// It is.
    Live,
    /// It was nudged meanwhile: read again.
    ReadAgain,
    /// Something is still with the writer: a nudge will come.
    Wait,
}

impl Slot {
    /// Decides a new copy's way.
    pub fn accept(&mut self, copy: MessageCopy, routing: &Routing<'_>) -> Next {
        if let Some(hold) = &mut self.hold {
            hold.queue.push_back(copy);
            if hold.catching_up.is_some() && hold.queue.len() > CATCH_UP_COPIES {
                hold.catching_up = None;
                return Next::LetGo;
            }
            return Next::Wait;
        }
        self.route(copy, routing).unwrap_or_else(|copy| {
            self.hold.get_or_insert_default().queue.push_front(copy);
            Next::Wait
        })
    }

    /// Gives the copy back where it has to wait for the reactor's mailbox.
    fn route(&mut self, copy: MessageCopy, routing: &Routing<'_>) -> Result<Next, MessageCopy> {
        if self.writing == 0
            && self.handed.is_empty()
            && let Some(session) = self.session.as_ref().filter(|session| !session.behind)
            && (self.posted == 0 || self.posted_to == Some(session.id))
        {
            // Whatever is in the mailbox comes before this one.
            let is_here = routing.here == Some(session.id.reactor) && self.in_mailbox == 0;
            let way = if is_here { Way::Here } else { Way::Mailbox };
            self.posted += 1;
            self.in_mailbox += u32::from(!is_here);
            self.posted_to = Some(session.id);
            return Ok(Next::Push(session.id, copy, way));
        }
        if self.posted > 0 {
            return Err(copy);
        }
        if self.writing > 0 {
            return Ok(self.store(copy));
        }
        if let Some(front) = self.handed.front() {
            // What is under way pins the way, or this one could overtake it.
            let server = front.server.clone();
            return Ok(self.hand_over(server, copy, routing));
        }
        if self.session.is_some() || !routing.has_peers {
            return Ok(self.store(copy));
        }
        Ok(match self.location.as_deref() {
            Some(Location::At(server, since))
                if routing.now.duration_since(*since) < LOCATION_TTL =>
            {
                let server = server.clone();
                self.hand_over(server, copy, routing)
            }
            Some(Location::Nowhere) => self.store(copy),
            Some(Location::At(..)) | None => {
                self.hold().queue.push_front(copy);
                Next::Locate
            }
        })
    }

    fn store(&mut self, copy: MessageCopy) -> Next {
        self.writing += 1;
        Next::Store(copy)
    }

    fn hand_over(&mut self, server: ServerId, copy: MessageCopy, routing: &Routing<'_>) -> Next {
        let deadline = routing.now + routing.handover_timeout;
        let message = copy.message.clone();
        self.handed.push_back(Handed {
            handover: routing.handover.number(),
            server: server.clone(),
            deadline,
            copy,
        });
        Next::HandOver(server, message)
    }

    /// Makes later copies line up until [`Slot::let_go`].
    fn hold(&mut self) -> &mut Hold {
        let hold = self.hold.get_or_insert_default();
        hold.holders += 1;
        hold
    }

    /// Takes copies out of the slot's live ways to be stored before all that
    /// come later: counts them as with the writer and holds the slot, until
    /// the caller has pushed them and lets go.
    pub fn hold_to_store(&mut self, copies: usize) {
        self.writing += u32::try_from(copies).expect("copies of one recipient fit 32 bits");
        self.hold();
    }

    /// Remembers where the user is, as the bus says; `None`: nowhere else.
    pub fn located(&mut self, server: Option<ServerId>, now: Instant) {
        self.location = Some(Box::new(match server {
            Some(server) => Location::At(server, now),
            None => Location::Nowhere,
        }));
    }

    /// Forgets where the user was.
    pub fn forget_location(&mut self) {
        self.location = None;
    }

    /// Lets go of one hold. Whether the caller now routes what lined up.
    pub fn let_go(&mut self) -> bool {
        if let Some(hold) = &mut self.hold {
            hold.holders = hold.holders.saturating_sub(1);
        }
        self.begin_flush()
    }

    /// The reactor has got one copy that came this way. Whether the caller now
    /// routes what lined up.
    pub fn taken(&mut self, way: Way) -> bool {
        self.posted = self.posted.saturating_sub(1);
        if way == Way::Mailbox {
            self.in_mailbox = self.in_mailbox.saturating_sub(1);
        }
        self.begin_flush()
    }

    /// Not before the reactor has got all that is on its way: another thread may
    /// be about to post some of that.
    fn begin_flush(&mut self) -> bool {
        match &mut self.hold {
            Some(hold) if self.posted == 0 && hold.holders == 0 && !hold.flushing => {
                hold.flushing = true;
                true
            }
            _ => false,
        }
    }

    /// Routes the first copy that lined up. `None`: nothing is left for the
    /// caller to do. Only for who was told so by one of the above.
    pub fn route_held(&mut self, routing: &Routing<'_>) -> Option<Next> {
        let hold = self.hold.as_mut()?;
        if hold.holders > 0 {
            // Held again meanwhile; that holder goes on.
            hold.flushing = false;
            return None;
        }
        let Some(copy) = hold.queue.pop_front() else {
            self.hold = None;
            if matches!(self.location.as_deref(), Some(Location::Nowhere)) {
                self.location = None;
            }
            return None;
        };
        let routed = self.route(copy, routing);
        let hold = self.hold.get_or_insert_default();
        match routed {
            Ok(next) => {
                hold.flushing &= !matches!(next, Next::Locate);
                Some(next)
            }
            Err(copy) => {
                // Goes on when the reactor has taken the last one.
                hold.queue.push_front(copy);
                hold.flushing = false;
                None
            }
        }
    }

    /// The bus found the user on `server`: takes what lined up for the
    /// question as handed over, if nothing else stands in the way. The caller
    /// sends the messages, and lets go of its hold only then.
    pub fn hand_over_held(
        &mut self,
        server: &ServerId,
        mut handover_of: impl FnMut(&Arc<Message>) -> u64,
        routing: &Routing<'_>,
    ) {
        let free = self.session.is_none() && self.writing == 0 && self.posted == 0;
        let pinned = self.handed.front().is_some_and(|front| front.server != *server);
        let Some(hold) = self.hold.as_mut().filter(|hold| hold.holders == 1) else { return };
        if !free || pinned {
            return;
        }
        let deadline = routing.now + routing.handover_timeout;
        for copy in hold.queue.drain(..) {
            let handover = handover_of(&copy.message);
            self.handed.push_back(Handed { handover, server: server.clone(), deadline, copy });
        }
    }

    /// Takes out every copy that another server has, oldest first.
    pub fn take_handed(&mut self) -> Vec<MessageCopy> {
        self.forget_location();
        self.handed.take().map(|handed| handed.copy).collect()
    }

    /// Takes out every copy that is under way: held and handed over, oldest
    /// first. For a server that stops.
    pub fn take_under_way(&mut self) -> Vec<MessageCopy> {
        let mut copies: Vec<MessageCopy> = self.handed.take().map(|h| h.copy).collect();
        if let Some(hold) = &mut self.hold {
            copies.extend(hold.queue.drain(..));
        }
        copies
    }

    /// Whether nothing is known of the recipient; looks at the clock if need be.
    pub(super) fn is_idle(&self, now: impl FnOnce() -> Instant) -> bool {
        self.session.is_none()
            && !self.logging_in
            && self.writing == 0
            && self.handed.is_empty()
            && self.posted == 0
            && self.hold.is_none()
            && match self.location.as_deref() {
                Some(Location::At(_, since)) => now().duration_since(*since) >= LOCATION_TTL,
                Some(Location::Nowhere) | None => true,
            }
    }
}

#[cfg(test)]
#[path = "slot_tests.rs"]
mod tests;
