//! What the bus calls: items from other servers, and whether Redis is there.
//!
//! Thread: the bus's own. Nothing here blocks; what asks the database is
//! handed to the claims thread.

use std::sync::Arc;

use crossbeam_channel::Sender;
use log::debug;

use super::Service;
use super::claims::Event;
use super::delivery::remote_copy;
use super::session::{LoginId, Post};
use serde_json::value::RawValue;

use crate::bus::{BusSink, Item};
use crate::model::{ServerId, UserId};

/// The service as the bus sees it.
pub struct Inbound {
    service: Arc<Service>,
    events: Sender<Event>,
}

impl Inbound {
    /// Hands items to `service`, and the bus's state to the claims thread.
    pub fn new(service: Arc<Service>, events: Sender<Event>) -> Inbound {
        Inbound { service, events }
    }

    /// A message that another server handed over.
    fn take_in(
        &self,
        from: &ServerId,
        handover: u64,
        to: Vec<UserId>,
        sender: UserId,
        mid: &str,
        body: &RawValue,
    ) {
        let body: Arc<[u8]> = body.get().as_bytes().into();
        match self.service.memory.message(sender, mid, body) {
            Some(message) => {
                for user in to {
                    self.service.deliver_here(remote_copy(user, &message, from, handover));
                }
            }
            // No memory for it here: the server that sent it stores it.
            None => self.service.bounce(from, handover, to),
        }
    }

    fn tell_claims(&self, event: Event) {
        if self.events.send(event).is_err() {
            debug!(target: "bus", "the claims thread has ended already");
        }
    }
}

impl BusSink for Inbound {
    fn on_items(&self, from: &ServerId, _epoch: i64, items: Vec<Item>) {
        for item in items {
            match item {
                Item::Message { handover, to, sender, mid, body } => {
                    self.take_in(from, handover, to, sender, &mid, &body);
                }
                Item::Outcome { handover, users, outcome } => {
                    self.service.on_outcome(handover, users, outcome);
                }
                Item::Nudge { user } => self.service.nudge_here(user),
                Item::Close { user, claim } => {
                    self.service.close_claim(user, claim, "taken over on another server");
                }
                Item::GroupChanged { group } => self.service.groups.drop_entry(group),
            }
        }
        self.service.flush_outcomes();
    }

    fn on_unreachable(&self, server: &ServerId) {
        debug!(target: "bus", "server={server} unreachable, storing what it was handed");
        self.service.on_unreachable_server(server);
    }

    fn on_up(&self) {
        self.tell_claims(Event::BusUp);
    }

    fn on_down(&self) {
        // Nothing to be told: who sends finds out, and the bus has logged it.
    }

    fn epoch(&self) -> i64 {
        self.service.epoch()
    }
}

impl Service {
    /// Ends the session that holds this claim, if it is here.
    pub(super) fn close_claim(&self, user: UserId, claim: i64, reason: &'static str) {
        if let Some(here) = self.registry.session(user).filter(|here| here.claim == claim) {
            let login = LoginId { session: here.id, claim };
            self.tell(here.id, Post::Close { login, reason });
        }
    }
}
