//! What the bus calls: items from other servers, and whether Redis is there.
//!
//! Thread: the bus's own. Nothing here blocks; what asks the database is
//! handed to the claims thread.

use std::sync::Arc;

use crossbeam_channel::Sender;
use log::{debug, info, warn};

use super::Service;
use super::claims::Event;
use super::delivery::remote_copy;
use super::message::Message;
use super::session::Post;
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
                    let message = Arc::new(Message {
                        sender,
                        mid: mid.as_bytes().into(),
                        body: body.get().as_bytes().into(),
                    });
                    for user in to {
                        self.service.deliver_here(remote_copy(user, &message, from, handover));
                    }
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
    }

    fn on_unreachable(&self, server: &ServerId) {
        debug!(target: "bus", "server={server} unreachable, storing what it was handed");
        self.service.on_unreachable_server(server);
    }

    fn on_up(&self) {
        info!(target: "bus", "the bus is up");
        self.tell_claims(Event::BusUp);
    }

    fn on_down(&self) {
        warn!(
            target: "bus",
            "the bus is down: messages to users of other servers are stored until it is back"
        );
    }

    fn epoch(&self) -> i64 {
        self.service.epoch()
    }
}

impl Service {
    /// Ends the session that holds this claim, if it is here.
    pub(super) fn close_claim(&self, user: UserId, claim: i64, reason: &'static str) {
        if let Some(session) = self.registry.session(user).filter(|here| here.claim == claim) {
            let session = session.id;
            self.tell(session, Post::Close { session, claim, reason });
        }
    }
}
