//! What the bus calls: items from other servers, and whether Redis is there.
//!
//! Thread: the bus's own. Nothing here blocks; what asks the database is
//! handed to the claims thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crossbeam_channel::Sender;
use log::debug;

use super::Service;
use super::claims::Event;
use super::hearing::{Heard, Hearings};
use super::message::{MessageCopy, Origin};
use super::posts::Posts;
use super::registry::NEVER_POISONED;
use super::takeover::Successor;
use crate::bus::{BusSink, Handed, Item, Position};
use crate::model::ServerId;

/// What an envelope brings for reactors and other servers goes on after some so
/// many copies: it can hold a hundred thousand.
const COPIES_AT_ONCE: usize = 512;

/// The service as the bus sees it.
pub struct Inbound {
    service: Arc<Service>,
    events: Sender<Event>,
    /// Only ever locked by the bus's one thread that calls in here.
    hearings: Mutex<Hearings>,
    /// Whether this server has listened before.
    has_listened: AtomicBool,
}

impl Inbound {
    /// Hands items to `service`, and the bus's state to the claims thread.
    pub fn new(service: Arc<Service>, events: Sender<Event>) -> Inbound {
        Inbound {
            service,
            events,
            hearings: Mutex::default(),
            has_listened: AtomicBool::new(false),
        }
    }

    /// A message that another server handed over.
    fn take_in(&self, from: &ServerId, handed: &Handed<'_>, posts: &mut Posts) {
        let Handed { handover, to, sender, mid, body } = *handed;
        let origin = Origin::Server { server: from.clone(), handover };
        match self.service.memory.message(origin, sender, mid, body) {
            Some(message) => {
                for to in to {
                    let copy = MessageCopy { to: *to, message: message.clone() };
                    self.service.deliver_here(copy, posts);
                }
            }
            // No memory for it here: the server that sent it stores it.
            None => self.service.bounce(from, handover, to),
        }
    }

    /// Whether something that this server sent before is missing. `resumes`:
    /// it comes with the word that all of that is stored.
    fn hear(&self, from: &ServerId, position: Position, resumes: bool) -> bool {
        let mut hearings = self.hearings.lock().expect(NEVER_POISONED);
        let heard = hearings.hear(from, position, Instant::now());
        drop(hearings);
        match heard {
            Heard::InOrder => return false,
            Heard::Waiting => return true,
            Heard::Gap => {
                debug!(target: "bus", "server={from} something it sent is missing");
                self.sweep();
            }
            Heard::StillMissing => {}
        }
        if !resumes {
            self.service.say_missed(from);
        }
        true
    }

    /// Nudges may be lost: messages are looked for, and newer ones are given
    /// back until that is done.
    fn sweep(&self) {
        self.service.want_sweep();
        self.tell_claims(Event::Sweep);
    }

    /// A server has told, or cannot tell, that what it sent to a former life of
    /// this one is stored.
    fn answered(&self, server: &ServerId) {
        if self.service.unanswered.lock().expect(NEVER_POISONED).remove(server) {
            self.tell_claims(Event::Answered);
        }
    }

    fn tell_claims(&self, event: Event) {
        if self.events.send(event).is_err() {
            debug!(target: "bus", "the claims thread has ended already");
        }
    }
}

impl BusSink for Inbound {
    fn on_items(&self, from: &ServerId, _epoch: i64, position: Position, items: Vec<Item<'_>>) {
        let resumes = items.iter().any(|item| matches!(item, Item::Resumed));
        let mut in_doubt = self.hear(from, position, resumes);
        let unswept = self.service.is_sweep_due();
        let mut posts = Posts::default();
        let mut gathered = 0;
        for item in items {
            gathered += match &item {
                Item::Message { to, .. } => to.len(),
                Item::Outcomes { copies, .. } => copies.len(),
                // Whatever this does to a session comes after those before it.
                _ => COPIES_AT_ONCE,
            };
            if gathered >= COPIES_AT_ONCE {
                gathered = 0;
                self.service.post_all(std::mem::take(&mut posts));
                self.service.flush_outcomes();
            }
            match item {
                Item::Message { handover, to, .. } if in_doubt || unswept => {
                    self.service.bounce(from, handover, &to);
                }
                Item::Message { handover, to, sender, mid, body } => {
                    let body = body.get().as_bytes();
                    let handed = Handed { handover, to: &to, sender, mid: &mid, body };
                    self.take_in(from, &handed, &mut posts);
                }
                Item::Outcomes { outcome, copies } => {
                    self.service.on_outcomes(outcome, &copies, &mut posts);
                }
                Item::Missed => self.service.on_missed(from),
                Item::Resumed => {
                    self.hearings.lock().expect(NEVER_POISONED).resumed(from);
                    in_doubt = false;
                    self.answered(from);
                }
                Item::Nudge { user } => self.service.nudge_here(user),
                Item::Close { user, claim, successor } => {
                    let successor = Successor { server: from.clone(), user, claim: successor };
                    let reason = "taken over by a login on another server";
                    self.service.close_claim(user, claim, reason, Some(successor));
                }
                Item::Closed { user, successor } => {
                    self.service.former_ended(user, successor, from)
                }
                Item::GroupChanged { group } => self.service.groups.drop_entry(group),
            }
        }
        self.service.post_all(posts);
        self.service.flush_outcomes();
    }

    fn on_unreachable(&self, server: &ServerId) {
        self.answered(server);
        debug!(target: "bus", "server={server} unreachable, storing what it was handed");
        self.service.on_unreachable_server(server);
        self.service.formers_unreachable(server);
    }

    fn on_subscribed(&self) {
        self.sweep();
        if !self.has_listened.swap(true, Ordering::AcqRel) {
            // What is sent to a server that does not listen yet reaches nobody,
            // as its sender can tell.
            return;
        }
        for server in self.service.peers() {
            self.service.say_missed(&server);
        }
    }

    fn on_keys_lost(&self) {
        self.tell_claims(Event::Refresh);
    }

    fn on_up(&self) {
        self.tell_claims(Event::Refresh);
    }

    fn on_down(&self) {
        // Nothing to be told: who sends finds out, and the bus has logged it.
    }

    fn epoch(&self) -> i64 {
        self.service.epoch()
    }
}

impl Service {
    /// The other servers that live, as last seen.
    fn peers(&self) -> Vec<ServerId> {
        self.peers.read().expect(NEVER_POISONED).clone()
    }

    /// Notes that a server is waited for at the start.
    pub(super) fn await_answer(&self, server: &ServerId) {
        self.unanswered.lock().expect(NEVER_POISONED).insert(server.clone());
    }

    /// Whether all servers that were waited for have answered.
    pub(super) fn have_all_answered(&self) -> bool {
        self.unanswered.lock().expect(NEVER_POISONED).is_empty()
    }

    /// Tells a server that something it sent may be missing here.
    pub(super) fn say_missed(&self, server: &ServerId) {
        if let Err(err) = self.bus.send(server, Item::Missed) {
            // The next envelope's number tells the same again.
            debug!(target: "bus", "server={server} not told of a gap err={err}");
        }
    }

    /// A server has missed something: what it was handed over is stored, and
    /// newer copies go to it once it has been told so.
    fn on_missed(&self, server: &ServerId) {
        self.on_unreachable_server(server);
        self.to_resume.lock().expect(NEVER_POISONED).insert(server.clone());
    }

    /// Tells the servers that have missed something that all is stored. Not at
    /// once: another thread may have been between noting a copy as handed over
    /// and queueing it for the bus, and that copy must not come after the word.
    pub(super) fn resume_servers(&self) {
        let servers = std::mem::take(&mut *self.to_resume.lock().expect(NEVER_POISONED));
        for server in servers {
            self.on_unreachable_server(&server);
            if let Err(err) = self.bus.send(&server, Item::Resumed) {
                // It asks again as soon as it hears anything.
                debug!(target: "bus", "server={server} not told to go on err={err}");
            }
        }
    }
}
