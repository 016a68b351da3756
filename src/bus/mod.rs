//! Between servers: who is where, and what they tell each other.
//!
//! Service code sees the [`Bus`] trait and gives it a [`BusSink`] to call.
//! [`redis`] carries a cluster; [`local`] serves one server alone.
//! Redis only hints: what must not be wrong stands in the database.

pub mod item;
pub mod local;
pub mod redis;

use std::sync::Arc;

pub use item::{Handed, Item, Position, Presence};

use crate::model::{ServerId, UserId};

/// Why something could not be put on the bus.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Redis is away, or does not answer in time.
    #[error("the bus is down")]
    Down,
    /// The publisher's bounded queue has no room.
    #[error("the bus is full")]
    Full,
}

/// What is called with the answer to [`Bus::locate`]: one entry per user asked
/// for, in order; `None` where no server has announced the user.
pub type Located = Box<dyn FnOnce(Result<Vec<Option<Presence>>, BusError>) + Send>;

/// What is called once an announcement stands in Redis, or could not be made.
pub type Announced = Box<dyn FnOnce(Result<(), BusError>) + Send>;

/// The way to the other servers. No method blocks: each puts work on a bounded
/// queue for the bus's own threads. Callbacks run on those threads and must
/// not block either. A callback is called exactly once, also when the bus is
/// down, full or shutting down (on the calling thread if need be).
pub trait Bus: Send + Sync {
    /// Starts the bus's threads. Called once, before anything else.
    fn start(&self, sink: Arc<dyn BusSink>);
    /// Whether this bus reaches other servers at all (false: [`local`]).
    fn has_peers(&self) -> bool;
    /// Whether Redis answers and this server hears its own channel.
    fn is_up(&self) -> bool;
    /// Sends an item to another server, in order with what was sent to it
    /// before. `Ok` means queued; what then cannot be delivered is told by
    /// [`BusSink::on_unreachable`].
    fn send(&self, to: &ServerId, item: Item<'_>) -> Result<(), BusError>;
    /// The same for a message, which the other server gets as [`Item::Message`].
    fn hand_over(&self, to: &ServerId, message: &Handed<'_>) -> Result<(), BusError>;
    /// Asks where users are.
    fn locate(&self, users: Vec<UserId>, then: Located);
    /// Says that a user is here; overwrites.
    fn announce(&self, user: UserId, presence: Presence, then: Announced);
    /// Takes an announcement back, if it is still exactly this one.
    fn withdraw(&self, user: UserId, presence: Presence);
    /// Lets other servers find nobody here any more: what they published until
    /// now is still given to the sink, what they publish later reaches nobody,
    /// as they can tell. Blocks, some two seconds at most.
    fn stop_listening(&self);
    /// Sends out what is queued, within a second or two, and ends the threads.
    fn shutdown(&self);
}

/// What the bus calls on its own threads; nothing here may block.
pub trait BusSink: Send + Sync {
    /// Another server (named with its epoch at the time of sending) sent these.
    /// `position` is theirs among all that it sends to this one: a gap means that
    /// what was in between is lost.
    fn on_items(&self, from: &ServerId, epoch: i64, position: Position, items: Vec<Item<'_>>);
    /// Nothing that was sent to this server since it last answered can be
    /// assumed to have arrived: its channel has no subscriber, or Redis failed.
    fn on_unreachable(&self, server: &ServerId);
    /// This server's channel is subscribed to (again), and nothing of what was
    /// published in between has been heard. Called before the first items.
    fn on_subscribed(&self);
    /// Redis has lost what was written to it (flushed, or restarted without
    /// what it held), presences among it; perhaps without a lost connection.
    /// Also at the first heartbeat of a server that Redis has not known.
    fn on_keys_lost(&self);
    /// This server hears its channel (again).
    fn on_up(&self);
    /// Redis is gone, or this server has not heard itself for 3 s.
    fn on_down(&self);
    /// This server's present epoch, put on everything that is sent.
    fn epoch(&self) -> i64;
}
