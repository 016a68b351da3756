//! The ways of a copy: live to a session here, handed over to another
//! server, or stored. Nothing here blocks; the database is the writer's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use log::debug;
use rustc_hash::FxHashMap;

use super::message::{Message, MessageCopy};
use super::outgoing::Outgoing;
use super::posts::Posts;
use super::registry::NEVER_POISONED;
use super::session::{LoginId, Post, SessionId, Way};
use super::settlement::Settled;
use super::slot::{Handover, Next, Routing, Slot};
use super::{Service, here};
use crate::bus::item::CopyOutcome;
use crate::bus::{BusError, Handed, Presence};
use crate::model::{OfflineOp, ServerId, UserId};

/// So many held copies are routed at once: a reactor must not be kept by a
/// recipient to whom others write faster than it routes.
const HELD_AT_ONCE: usize = 2048;

impl Service {
    /// Sends each of these users a copy of a message on its way. Each is settled
    /// once.
    pub fn deliver(&self, message: &Arc<Message>, users: impl Iterator<Item = UserId>) {
        let routing = self.routing();
        let mut handed: FxHashMap<ServerId, Vec<UserId>> = FxHashMap::default();
        let mut to_locate = Vec::new();
        for user in users {
            let copy = MessageCopy { to: user, message: message.clone() };
            match self.registry.with(user, |slot| slot.accept(copy, &routing)) {
                Next::HandOver(server, _) => handed.entry(server).or_default().push(user),
                Next::Locate => to_locate.push(user),
                other => self.go(user, other, &routing),
            }
        }
        for (server, users) in handed {
            self.hand_over(&server, routing.handover.number(), message, &users);
        }
        if !to_locate.is_empty() {
            self.locate(to_locate);
        }
    }

    /// Sends the only copy of a message on its way.
    pub(super) fn deliver_one(&self, copy: MessageCopy) {
        let routing = self.routing();
        let user = copy.to;
        let next = self.registry.with(user, |slot| slot.accept(copy, &routing));
        self.go(user, next, &routing);
    }

    /// Sends a copy on its way if its recipient has a session here; gives it
    /// back otherwise.
    pub(super) fn deliver_to_session(&self, copy: MessageCopy) -> Result<(), MessageCopy> {
        let routing = self.routing();
        let user = copy.to;
        match self.registry.with_session(user, copy, |slot, copy| slot.accept(copy, &routing)) {
            Ok(next) => self.go(user, next, &routing),
            Err(copy) => return Err(copy),
        }
        Ok(())
    }

    /// A copy that another server handed to this one, on the bus's thread; what
    /// a reactor is to get of it is added to `posts`.
    pub(super) fn deliver_here(&self, copy: MessageCopy, posts: &mut Posts) {
        let routing = self.routing();
        let user = copy.to;
        match self.registry.with_session(user, copy, |slot, copy| slot.accept(copy, &routing)) {
            Ok(Next::Push(session, copy, way)) => {
                debug_assert_eq!(way, Way::Mailbox, "this thread is no reactor's");
                posts.add(session, Post::Deliver { session, copy, way });
            }
            Ok(next) => self.go(user, next, &routing),
            // Back to the server that sent it, which stores it, and in order
            // with what else it has for this user.
            Err(copy) => self.settle(copy, Settled::NotHere),
        }
    }

    /// What another server reports of copies that were handed to it; what their
    /// senders are told is added to `posts`.
    pub(super) fn on_outcomes(
        &self,
        outcome: CopyOutcome,
        copies: &[(u64, UserId)],
        posts: &mut Posts,
    ) {
        let settled = match outcome {
            CopyOutcome::Delivered => Settled::Delivered,
            CopyOutcome::Stored => Settled::Stored,
            CopyOutcome::NotHere => {
                for &(handover, user) in copies {
                    let ours = |slot: &Slot| slot.handed.iter().any(|h| h.handover == handover);
                    self.store_handed(user, ours);
                }
                return;
            }
        };
        for &(handover, user) in copies {
            let copy = self.registry.with(user, |slot| {
                let at = slot.handed.iter().position(|h| h.handover == handover)?;
                slot.handed.remove(at).map(|handed| handed.copy)
            });
            match copy {
                Some(copy) => self.gather_settlement(copy, settled, posts),
                None => debug!(target: "bus", "user={user} outcome for a copy stored long since"),
            }
        }
    }

    /// Another server cannot be reached: what it was handed is stored.
    pub(super) fn on_unreachable_server(&self, server: &ServerId) {
        let to_this = |slot: &Slot| slot.handed.front().is_some_and(|h| h.server == *server);
        for user in self.users_where(to_this) {
            self.store_handed(user, to_this);
        }
    }

    /// Stores what other servers have not reported on in time.
    pub fn store_overdue(&self, now: Instant) {
        let overdue = |slot: &Slot| slot.handed.front().is_some_and(|h| h.deadline <= now);
        for user in self.users_where(overdue) {
            debug!(target: "delivery", "user={user} no outcome in time, storing");
            self.store_handed(user, overdue);
        }
    }

    /// Stores what has waited too long for a session to catch up.
    pub(super) fn end_overdue_catch_ups(&self, now: Instant) {
        for user in self.users_where(|slot| slot.is_catch_up_overdue(now)) {
            if self.registry.with(user, Slot::end_catch_up) {
                self.flush_held(user);
            }
        }
    }

    pub(super) fn users_where(&self, condition: impl Fn(&Slot) -> bool) -> Vec<UserId> {
        let mut users = Vec::new();
        self.registry.for_each(|user, slot| {
            if condition(slot) {
                users.push(user);
            }
        });
        users
    }

    /// Stores everything handed over for a user, oldest first, if `condition`
    /// still holds.
    fn store_handed(&self, user: UserId, condition: impl Fn(&Slot) -> bool) {
        self.store_first(user, |slot| {
            if !condition(slot) {
                return Vec::new();
            }
            slot.take_handed()
        });
    }

    /// Stores copies before any that come later for the same recipient.
    /// `take` finds them under the slot's lock.
    pub fn store_first(&self, user: UserId, take: impl FnOnce(&mut Slot) -> Vec<MessageCopy>) {
        let copies = self.registry.with(user, |slot| {
            let copies = take(slot);
            if !copies.is_empty() {
                slot.hold_to_store(copies.len());
            }
            copies
        });
        if copies.is_empty() {
            return;
        }
        for copy in copies {
            self.write(copy);
        }
        self.let_go(user);
    }

    /// Lets go of one hold on a user's slot and routes what lined up.
    pub(super) fn let_go(&self, user: UserId) {
        if self.registry.with(user, Slot::let_go) {
            self.flush_held(user);
        }
    }

    /// Routes what lined up for a user; only for who was told to. More than
    /// a reactor can do in passing is left to the thread "overdue".
    pub(super) fn flush_held(&self, user: UserId) {
        if !self.flush_some(user, HELD_AT_ONCE) {
            self.unflushed.lock().expect(NEVER_POISONED).push(user);
        }
    }

    /// Routes what was too much for the threads that were told to.
    pub(super) fn flush_the_rest(&self) {
        let users = std::mem::take(&mut *self.unflushed.lock().expect(NEVER_POISONED));
        for user in users {
            while !self.flush_some(user, HELD_AT_ONCE) {}
        }
    }

    /// Routes at most so many copies. Whether there is nothing left to do.
    fn flush_some(&self, user: UserId, most: usize) -> bool {
        for _ in 0..most {
            let routing = self.routing();
            match self.registry.with(user, |slot| slot.route_held(&routing)) {
                None => return true,
                Some(Next::Locate) => {
                    self.locate(vec![user]);
                    return true;
                }
                Some(next) => self.go(user, next, &routing),
            }
        }
        false
    }

    fn routing(&self) -> Routing<'_> {
        Routing {
            has_peers: self.bus.has_peers() && self.bus.is_up(),
            handover: Handover::new(&self.handovers),
            here: here::reactor(),
            now: here::now(),
            handover_timeout: self.settings.handover_timeout,
        }
    }

    fn next_handover(&self) -> u64 {
        self.handovers.fetch_add(1, Ordering::Relaxed)
    }

    fn go(&self, user: UserId, next: Next, routing: &Routing<'_>) {
        match next {
            Next::Push(session, copy, way) => self.push(session, copy, way),
            Next::Store(copy) => self.write(copy),
            Next::HandOver(server, message) => {
                self.hand_over(&server, routing.handover.number(), &message, &[user]);
            }
            Next::Locate => self.locate(vec![user]),
            Next::LetGo => self.let_go(user),
            Next::Wait => {}
        }
    }

    fn push(&self, session: SessionId, copy: MessageCopy, way: Way) {
        let post = Post::Deliver { session, copy, way };
        if way == Way::Here {
            here::post(post);
        } else if let Err(Post::Deliver { copy, .. }) = self.post(session, post) {
            self.not_pushed(copy, way);
        }
    }

    /// A copy that came to a reactor this way has been pushed.
    pub fn pushed(&self, user: UserId, way: Way) {
        let taken = self.registry.with_session(user, (), |slot, ()| slot.taken(way));
        // Its session may have ended since.
        if taken.unwrap_or_else(|()| self.registry.with(user, |slot| slot.taken(way))) {
            self.flush_held(user);
        }
    }

    /// A copy that came to a reactor this way cannot be pushed: it is stored,
    /// before anything that came later.
    pub fn not_pushed(&self, copy: MessageCopy, way: Way) {
        let user = copy.to;
        self.store_first(user, |_| vec![copy]);
        self.pushed(user, way);
    }

    /// Gives a copy, already counted as `writing`, to the offline writer.
    fn write(&self, copy: MessageCopy) {
        if let Err(copy) = self.writers.insert(copy) {
            self.written_and_nudged(copy.to, 1);
            self.settle(copy, Settled::Overloaded);
        }
    }

    fn hand_over(
        &self,
        server: &ServerId,
        handover: u64,
        message: &Arc<Message>,
        users: &[UserId],
    ) {
        let handed = Handed {
            handover,
            to: users,
            sender: message.sender,
            mid: message.mid.text(),
            body: &message.body,
        };
        let sent = self.bus.hand_over(server, &handed);
        if let Err(err) = sent {
            debug!(target: "bus", "server={server} handover failed, storing err={err}");
            for user in users {
                self.store_handed(*user, |slot| slot.handed.iter().any(|h| h.handover == handover));
            }
        }
    }

    /// Asks the bus where users are whose slots are held for it.
    fn locate(&self, users: Vec<UserId>) {
        let Some(this) = self.this() else { return };
        let asked = users.clone();
        self.bus.locate(users, Box::new(move |answer| this.on_located(&asked, answer)));
    }

    /// The bus's answer. What lined up for the question goes out grouped, one
    /// item per message and server, and only then may newer copies follow.
    fn on_located(&self, users: &[UserId], answer: Result<Vec<Option<Presence>>, BusError>) {
        let presences = answer.unwrap_or_else(|err| {
            debug!(target: "bus", "users not located, storing err={err}");
            Vec::new()
        });
        let mut outgoing = Outgoing::default();
        for (index, user) in users.iter().enumerate() {
            let server = presences
                .get(index)
                .and_then(Option::as_ref)
                .map(|presence| presence.server.clone())
                .filter(|server| *server != self.settings.server_id);
            let routing = self.routing();
            self.registry.with(*user, |slot| {
                slot.located(server.clone(), routing.now);
                if let Some(server) = server.as_ref().filter(|_| routing.has_peers) {
                    let mut last = None;
                    let number = |message: &Arc<Message>| {
                        let item = outgoing.item(server, message, last, || self.next_handover());
                        last = Some(item);
                        outgoing.items[item].users.push(*user);
                        outgoing.items[item].handover
                    };
                    slot.hand_over_held(server, number, &routing);
                }
            });
        }
        for item in outgoing.items {
            self.hand_over(&item.server, item.handover, &item.message, &item.users);
        }
        for user in users {
            self.let_go(*user);
        }
    }

    /// The copies that are under way, stored: for a server that stops.
    pub(super) fn store_all_under_way(&self) {
        for user in self.users_where(|_| true) {
            self.store_first(user, Slot::take_under_way);
        }
    }

    /// A session has confirmed messages: the live ones are settled, the rows of
    /// the others deleted.
    pub fn confirmed(
        &self,
        user: UserId,
        login: LoginId,
        delivered: Vec<MessageCopy>,
        deletions: Vec<OfflineOp>,
    ) {
        for copy in delivered {
            self.settle(copy, Settled::Delivered);
        }
        if !deletions.is_empty() {
            self.writers.delete(user, login, deletions);
        }
    }
}
