//! Whether everything that another server sent has arrived.
//!
//! Redis keeps nothing for who is not listening: what is published while a
//! subscription is lost, or to one that has gone silent, is gone, and who
//! published it cannot tell. Envelopes of one server to another are numbered,
//! so that the one that listens can. After a gap the copies that were in it are
//! in doubt until the sending server's deadline, and newer ones must not
//! overtake them: they are given back, until that server has stored all that
//! it had handed over and says so.
//!
//! Pure state; [`super::inbound`] acts on it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::bus::Position;
use crate::model::ServerId;

/// How long to wait for [`crate::bus::Item::Resumed`] before asking again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What has been heard of each server.
#[derive(Debug, Default)]
pub(super) struct Hearings(HashMap<ServerId, Hearing>);

#[derive(Debug)]
struct Hearing {
    /// Of the last envelope.
    last: Position,
    /// Something is missing, and the sending server was last asked then.
    asked: Option<Instant>,
}

/// What an envelope's number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing is missing.
    InOrder,
    /// Something is missing since just now: say so.
    Gap,
    /// Something is missing, and the server has not answered for long: say so
    /// again.
    StillMissing,
    /// Something is missing, and the server knows.
    Waiting,
}

impl Hearings {
    /// An envelope has come.
    pub fn hear(&mut self, from: &ServerId, position: Position, now: Instant) -> Heard {
        let Some(hearing) = self.0.get_mut(from) else {
            let asked = (position.number != 1).then_some(now);
            self.0.insert(from.clone(), Hearing { last: position, asked });
            return if position.number == 1 { Heard::InOrder } else { Heard::Gap };
        };
        let last = std::mem::replace(&mut hearing.last, position);
        if last.stream != position.stream && position.number == 1 {
            // A new process: nothing of the former one's is in flight.
            hearing.asked = None;
            return Heard::InOrder;
        }
        if last.stream != position.stream || last.number + 1 != position.number {
            hearing.asked = Some(now);
            return Heard::Gap;
        }
        match hearing.asked {
            None => Heard::InOrder,
            Some(asked) if now.duration_since(asked) >= ASK_AGAIN_AFTER => {
                hearing.asked = Some(now);
                Heard::StillMissing
            }
            Some(_) => Heard::Waiting,
        }
    }

    /// The server has stored what it had handed over before.
    pub fn resumed(&mut self, from: &ServerId) {
        if let Some(hearing) = self.0.get_mut(from) {
            hearing.asked = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Story {
        hearings: Hearings,
        now: Instant,
    }

    impl Story {
        fn hear(&mut self, stream: u64, number: u64) -> Heard {
            self.hearings.hear(&"a:1".into(), Position { stream, number }, self.now)
        }
    }

    fn story() -> Story {
        Story { hearings: Hearings::default(), now: Instant::now() }
    }

    #[test]
    fn a_gap_is_heard_once_and_lasts_until_the_other_server_has_resumed() {
        let mut a = story();
        assert_eq!([a.hear(5, 1), a.hear(5, 2)], [Heard::InOrder; 2]);
        assert_eq!(a.hear(5, 4), Heard::Gap);
        assert_eq!([a.hear(5, 5), a.hear(5, 6)], [Heard::Waiting; 2]);
        a.hearings.resumed(&"a:1".into());
        assert_eq!(a.hear(5, 7), Heard::InOrder);
    }

    #[test]
    fn a_server_that_does_not_answer_is_asked_again() {
        let mut a = story();
        assert_eq!(a.hear(5, 3), Heard::Gap, "this server has just started");
        assert_eq!(a.hear(5, 4), Heard::Waiting);
        a.now += ASK_AGAIN_AFTER;
        assert_eq!(a.hear(5, 5), Heard::StillMissing);
        assert_eq!(a.hear(5, 6), Heard::Waiting);
    }

    #[test]
    fn a_new_process_counts_from_one_and_what_of_it_is_missing_shows() {
        let mut a = story();
        a.hear(5, 1);
        assert_eq!(a.hear(6, 1), Heard::InOrder);
        assert_eq!(a.hear(7, 2), Heard::Gap);
        a.hearings.resumed(&"a:1".into());
        assert_eq!(a.hear(7, 3), Heard::InOrder);
    }
}
