//! Stories about the bus, told against a real Redis.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod failures;
mod presence;
mod recorder;
mod shutdown;
mod start;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use std::sync::{Arc, mpsc};
use std::time::Duration;

use cluster_chat::bus::redis::{RedisBus, RedisOptions};
use cluster_chat::bus::{Bus, BusError, Item, Presence};
use cluster_chat::model::{ServerId, UserId};
use recorder::Recorder;
use support::services::Service;

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bus with the sink that records what it says. Dropping it shuts it down.
struct Member {
    bus: Arc<RedisBus>,
    sink: Arc<Recorder>,
}

impl Member {
    /// A started bus that has come up.
    fn join(redis: &Service, name: &str) -> Self {
        Self::join_with(RedisOptions::new(redis.redis_url(), name))
    }

    fn join_with(options: RedisOptions) -> Self {
        let bus = Arc::new(RedisBus::connect(options).expect("Redis answers"));
        let sink = Arc::new(Recorder::default());
        bus.start(sink.clone());
        sink.wait("the bus is up", |seen| seen.is_up());
        assert!(bus.is_up());
        Self { bus, sink }
    }

    /// Sends a message whose number the receiver can look for.
    fn send(&self, to: &str, handover: u64) -> Result<(), BusError> {
        self.bus.send(&ServerId::from(to), message(handover, "{\"text\":\"hi\"}"))
    }

    fn locate(&self, users: &[u32]) -> Result<Vec<Option<Presence>>, BusError> {
        let (tell, told) = mpsc::channel();
        let users = users.iter().copied().map(UserId).collect();
        self.bus.locate(users, Box::new(move |found| tell.send(found).unwrap()));
        told.recv_timeout(PATIENCE).expect("the callback is called")
    }

    fn announce(&self, user: u32, presence: &Presence) -> Result<(), BusError> {
        let (tell, told) = mpsc::channel();
        self.bus.announce(
            UserId(user),
            presence.clone(),
            Box::new(move |done| tell.send(done).unwrap()),
        );
        told.recv_timeout(PATIENCE).expect("the callback is called")
    }

    /// Keeps the publisher busy in a callback until the returned guard is
    /// dropped, so that jobs pile up behind it. Once it is.
    fn hold_publisher(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        self.bus.locate(
            vec![UserId(1)],
            Box::new(move |_| {
                tell.send(()).unwrap();
                assert_eq!(held.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
            }),
        );
        told.recv_timeout(PATIENCE).expect("the publisher reaches the callback");
        release
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.bus.shutdown();
    }
}

/// A handed-over message with this body.
fn message(handover: u64, body: &str) -> Item<'_> {
    Item::Message {
        handover,
        to: vec![UserId(2)],
        sender: UserId(1),
        mid: format!("m-{handover}").into(),
        body: serde_json::from_str(body).unwrap(),
    }
}

fn presence(server: &str, claim: i64) -> Presence {
    Presence { server: server.into(), epoch: 7, claim }
}
