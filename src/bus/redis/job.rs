//! What waits for the publisher.

use crate::bus::{BusError, BusSink, Presence};
use crate::model::{ServerId, UserId};

/// One thing for the publisher to do.
pub(super) enum Job {
    /// An item for another server, as its JSON text.
    Send { to: ServerId, item: Vec<u8> },
    /// Where are these users? Never asked for nobody.
    Locate { users: Vec<UserId>, then: Answer<Vec<Option<Presence>>> },
    /// A user is here.
    Announce { user: UserId, presence: Presence, then: Answer<()> },
    /// A user is no longer here.
    Withdraw { user: UserId, presence: Presence },
    /// Publish a heartbeat now: the subscriber has just subscribed.
    Beat,
}

impl Job {
    /// Gives the job up because Redis is away.
    pub(super) fn fail(self, sink: &dyn BusSink) {
        match self {
            Self::Send { to, .. } => sink.on_unreachable(&to),
            Self::Locate { then, .. } => then.give(Err(BusError::Down)),
            Self::Announce { then, .. } => then.give(Err(BusError::Down)),
            Self::Withdraw { user, .. } => {
                log::debug!(target: "bus", "user={user} presence not withdrawn, Redis is away");
            }
            Self::Beat => {}
        }
    }
}

/// A callback that is called exactly once, whatever becomes of the job.
pub(super) struct Answer<T>(Option<Callback<T>>);

type Callback<T> = Box<dyn FnOnce(Result<T, BusError>) + Send>;

impl<T> Answer<T> {
    pub(super) fn new(then: Callback<T>) -> Self {
        Self(Some(then))
    }

    /// Calls the callback.
    pub(super) fn give(mut self, result: Result<T, BusError>) {
        if let Some(then) = self.0.take() {
            then(result);
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then(Err(BusError::Down));
        }
    }
}
