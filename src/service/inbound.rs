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
use super::takeover::Successor;
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
                Item::Close { user, claim, successor } => {
                    let successor = Successor { server: from.clone(), user, claim: successor };
                    let reason = "taken over by a login on another server";
                    self.service.close_claim(user, claim, reason, Some(successor));
                }
                Item::Closed { user, successor } => self.service.former_ended(user, successor),
                Item::GroupChanged { group } => self.service.groups.drop_entry(group),
            }
        }
        self.service.flush_outcomes();
    }

    fn on_unreachable(&self, server: &ServerId) {
        debug!(target: "bus", "server={server} unreachable, storing what it was handed");
        self.service.on_unreachable_server(server);
        self.service.formers_unreachable(server);
    }

    fn on_subscribed(&self) {
        // Nudges sent while nobody heard them are lost, and what comes now
        // must not be pushed before what they were for.
        self.service.nudge_everybody();
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
