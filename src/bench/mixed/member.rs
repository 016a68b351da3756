//! One of the people of a blend.

use crate::bench::books::{Arrival, Inbox};
use crate::bench::dialect::{Dialect, Number};
use crate::bench::link::Link;
use crate::bench::people::{Person, Proof};

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Writes and is written to.
    Here,
    /// Does nothing new, and goes once everything is answered.
    Leaving(Proof),
    /// Has closed its side or asked to be logged out, and hears the rest.
    Going(Proof),
    /// Has no connection.
    Away,
}

/// One of the people.
pub(super) struct Member {
    pub person: Person,
    pub link: Option<Link>,
    pub presence: Presence,
    /// Messages and requests without an answer.
    pub under_way: u64,
    /// What it knows of its friendship with the next one.
    pub is_friend: bool,
    inbox: Inbox,
    /// Copies that may come once more: nobody has confirmed them.
    may_repeat: u64,
    is_dirty: bool,
}

impl Member {
    pub fn new(person: Person, link: Link) -> Member {
        Member {
            person,
            link: Some(link),
            presence: Presence::Here,
            under_way: 0,
            is_friend: false,
            inbox: Inbox::default(),
            may_repeat: 0,
            is_dirty: false,
        }
    }

    /// A copy has come. `None`: for the second time, and rightly so.
    pub fn receive(&mut self, number: Number) -> Option<Arrival> {
        let arrival = self.inbox.receive(number);
        if arrival == Arrival::Doubled && self.may_repeat > 0 {
            self.may_repeat -= 1;
            return None;
        }
        Some(arrival)
    }

    /// How many of a stream's first `sent` messages have not come.
    pub fn lost(&self, stream: u32, sent: u64) -> u64 {
        self.inbox.lost(stream, sent)
    }

    /// Confirms what has come, unless it is going: then the rest comes again.
    pub fn confirm(&mut self) -> bool {
        let may = matches!(self.presence, Presence::Here | Presence::Leaving(_));
        let Some(link) = self.link.as_mut().filter(|link| may && link.pushes > link.confirmed)
        else {
            return false;
        };
        link.confirmed = link.pushes;
        let count = link.pushes;
        link.queue(|out| Dialect::write_confirmation(out, count));
        true
    }

    /// The connection has ended as it should.
    pub fn leave(&mut self) {
        if let Some(link) = self.link.take() {
            self.may_repeat += link.pushes - link.confirmed;
        }
        self.presence = Presence::Away;
    }

    /// Whether it was not among those with output yet.
    pub fn mark_dirty(&mut self) -> bool {
        !std::mem::replace(&mut self.is_dirty, true)
    }

    /// Writes what is queued.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.is_dirty = false;
        self.link.as_mut().map_or(Ok(()), Link::flush)
    }
}
