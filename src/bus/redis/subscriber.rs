//! The thread that hears this server's channel, and that decides whether the
//! bus is up.
//!
//! Thread: "bus-subscriber".
//! Invariants: only this thread calls `on_subscribed`, `on_items`, `on_up` and
//! `on_down`, so up and down alternate; the bus is up only while a heartbeat that went
//! through Redis and back is at most three seconds old.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::is_interrupted;
use super::job::Job;
use super::link::Backoff;
use super::shared::Shared;
use crate::bus::BusSink;
use crate::bus::item::Envelope;

/// How long this server may not hear itself.
const SILENCE_LIMIT: Duration = Duration::from_secs(3);
/// How long a read may wait before the thread looks at what else there is.
const READ_TICK: Duration = Duration::from_millis(100);

pub(super) struct Subscriber {
    shared: Arc<Shared>,
    sink: Arc<dyn BusSink>,
    backoff: Backoff,
    /// The publisher's failures that this thread has acted on.
    seen_failures: u64,
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Redis(#[from] ::redis::RedisError),
    #[error("nothing heard for {} s", SILENCE_LIMIT.as_secs())]
    Silence,
}

impl Subscriber {
    pub(super) fn new(shared: Arc<Shared>, sink: Arc<dyn BusSink>) -> Self {
        Self { shared, sink, backoff: Backoff::new(), seen_failures: 0 }
    }

    /// Listens, again and again, until the bus is shut down.
    pub(super) fn run(mut self) {
        while let Err(lost) = self.listen() {
            if self.shared.is_deaf() {
                break;
            }
            self.go_down(&lost.to_string());
            self.rebuild_publisher();
            if self.shared.wait_for_close(self.backoff.next_wait()) {
                break;
            }
        }
        self.shared.set_up(false);
    }

    /// What ended this connection has most likely ended the publisher's too.
    /// Better to look now than to lose the next turn's messages.
    fn rebuild_publisher(&self) {
        self.shared.request_rebuild();
        self.request_beat();
    }

    /// Asks for a heartbeat now, which also wakes the publisher. Where that is
    /// refused it is away, and beats first thing when it is back, or full,
    /// and awake.
    fn request_beat(&self) {
        if self.shared.enqueue(Job::Beat).is_err() {
            log::debug!(target: "bus", "the next heartbeat is left to the publisher");
        }
    }

    /// One subscription. `Ok`: the bus is shutting down.
    fn listen(&mut self) -> Result<(), Lost> {
        if self.shared.is_deaf() {
            return Ok(());
        }
        let mut link = self.shared.connector.open()?;
        // Its drop unsubscribes and waits for the answer: one tick at most on
        // a Redis that hangs, since the read time-out below still stands.
        let mut channel = link.as_pubsub();
        channel.subscribe(&self.shared.channel)?;
        self.sink.on_subscribed();
        channel.set_read_timeout(Some(READ_TICK))?;
        self.request_beat();
        let mut heard = Instant::now();
        while !self.shared.is_deaf() {
            match channel.get_message() {
                Ok(message) => {
                    if self.take(message.get_payload_bytes()) {
                        heard = Instant::now();
                    }
                }
                Err(err) if is_pause(&err) => self.notice_failures(),
                Err(err) => return Err(err.into()),
            }
            if heard.elapsed() >= SILENCE_LIMIT {
                return Err(Lost::Silence);
            }
        }
        // What was published until Redis has taken this comes still.
        channel.unsubscribe(&self.shared.channel)?;
        while let Ok(message) = channel.get_message() {
            self.take(message.get_payload_bytes());
        }
        Ok(())
    }

    /// Handles one message. True if it was this server's own heartbeat.
    fn take(&mut self, text: &[u8]) -> bool {
        let envelope: Envelope<'_> = match serde_json::from_slice(text) {
            Ok(envelope) => envelope,
            Err(err) => {
                // Without the parser's words: they may quote a message's text.
                log::warn!(
                    target: "bus",
                    "malformed envelope of {} bytes passed over err=\"{:?} at column {}\"",
                    text.len(), err.classify(), err.column(),
                );
                return false;
            }
        };
        self.notice_failures();
        if !envelope.items.is_empty() {
            let Envelope { from, epoch, items, position } = envelope;
            self.sink.on_items(&from, epoch, position, items);
            return false;
        }
        if envelope.from != self.shared.server {
            return false;
        }
        self.go_up();
        true
    }

    /// A publisher that lost Redis takes the bus down, though this thread's
    /// own connection may still be good: what it had sent is in doubt.
    fn notice_failures(&mut self) {
        let failures = self.shared.failures();
        if failures != self.seen_failures {
            self.seen_failures = failures;
            self.go_down("the publisher lost Redis");
        }
    }

    /// Called with each heartbeat heard.
    fn go_up(&mut self) {
        // A heartbeat from before the publisher's failure proves nothing.
        if self.shared.is_up() || !self.shared.is_publishing() {
            return;
        }
        self.backoff.reset();
        self.shared.set_up(true);
        log::info!(target: "bus", "up: Redis at {} answers", self.shared.connector.address);
        self.sink.on_up();
    }

    fn go_down(&mut self, reason: &str) {
        if !self.shared.is_up() {
            log::debug!(target: "bus", "still down err=\"{reason}\"");
            return;
        }
        self.shared.set_up(false);
        log::warn!(
            target: "bus",
            "down: Redis at {} is lost, messages to users of other servers are stored until it \
             is back err=\"{reason}\"",
            self.shared.connector.address
        );
        self.sink.on_down();
    }
}

/// Whether a read only found nothing yet: its time was over, or a signal came.
fn is_pause(err: &::redis::RedisError) -> bool {
    err.is_timeout() || is_interrupted(err)
}
