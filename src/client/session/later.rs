//! What the server cannot do at this moment: errno 12 (slow down), with a hint
//! when to come back or without, and errno 13 (unavailable).

use std::time::{Duration, Instant};

use super::core::Core;
use super::outbox::Later;
use crate::backoff::as_hinted;
use crate::client::message::Incoming;
use crate::client::render;
use crate::client::text::safe;
use crate::protocol::Errno;

/// Said once while something is repeated for it.
pub(super) const DATABASE_AWAY: &str = "The database is unavailable, trying again...";
/// A pause that a person would wonder about.
pub(super) const NOTICEABLE: Duration = Duration::from_secs(2);
/// So many refusals in a row make a longer one of short pauses.
const MANY_REFUSALS: u32 = 3;

impl Core {
    /// The pause that a refusal with errno 12 asks for; `None`: it does not
    /// say.
    pub(super) fn hinted_pause(&mut self, reply: &Incoming) -> Option<Duration> {
        let chance = self.chance();
        let hint = reply.retry_after.filter(|_| reply.errno == Some(Errno::SlowDown as i64));
        hint.map(|seconds| as_hinted(seconds, chance))
    }

    /// Whether this is a refusal of a message that will be sent again, or was
    /// often enough.
    pub(super) fn repeats_later(&mut self, seq: u64, reply: &Incoming, now: Instant) -> bool {
        if reply.errno == Some(Errno::Unavailable as i64) {
            let repeats = self.outbox.is_unavailable(seq, now);
            if repeats && self.outbox.tell_of_repeats() {
                self.problem(DATABASE_AWAY);
            }
            return repeats;
        }
        if reply.errno != Some(Errno::SlowDown as i64) {
            return false;
        }
        let pause = self.hinted_pause(reply);
        match self.outbox.slow_down(seq, pause, now) {
            Later::NoMessage => return false,
            Later::Repeats { refusals } => {
                let noticed = pause.is_some_and(|pause| pause >= NOTICEABLE);
                if (noticed || refusals >= MANY_REFUSALS) && self.outbox.tell_of_repeats() {
                    self.problem(asked_to_wait(reply, pause));
                }
            }
            Later::GivenUp(what) => self.not_sent(&what, &reply.reason()),
        }
        true
    }
}

/// What is told of a refusal after which the client tries again.
pub(super) fn asked_to_wait(reply: &Incoming, pause: Option<Duration>) -> String {
    let reason = render::sentence_end(&safe(&reply.reason()));
    match pause {
        Some(pause) => {
            let seconds = pause.as_secs_f64().ceil();
            format!("The server asks to wait: {reason} Trying again in {seconds} s...")
        }
        None => format!("The server asks to wait: {reason} Trying again..."),
    }
}
