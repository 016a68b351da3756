//! A message's copies, each through the slot of its recipient. What
//! `Service::deliver` then does with a copy (its post, its settlement) needs a
//! whole server, and is measured with one: benches/goals.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use cluster_chat::model::UserId;
use cluster_chat::serial::Serial;
use cluster_chat::service::slot::{Handover, LocalSession, Next, Routing};
use cluster_chat::service::{
    Message, MessageCopy, MessageMemory, Origin, Registry, SessionId, Way,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const MEMBERS: u32 = 500;
/// Beside the members of the group: the tables are as large as in life.
const ONLINE: u32 = 10_000;

/// Everybody is online on one of two reactors and live.
fn registry() -> Registry {
    let registry = Registry::new();
    for user in 1..=ONLINE {
        let serial = Serial::new(u64::from(user), user as usize).unwrap();
        let id = SessionId { reactor: (user % 2) as u16, serial };
        let session = LocalSession { id, claim: i64::from(user), behind: false, nudges: 0 };
        registry.with(UserId(user), |slot| slot.session = Some(session));
    }
    registry
}

fn message() -> Arc<Message> {
    let body = [b'x'; 150];
    MessageMemory::new().message(Origin::Nobody, UserId(ONLINE), "91d2c7aa53f04e18", &body).unwrap()
}

/// A message to a group of 500 who are live here: the way of each copy is
/// decided, and each arrives. The sender's reactor is that of half of them.
#[divan::bench]
fn to_a_group_of_500(bencher: Bencher<'_, '_>) {
    let (registry, message, numbers) = (registry(), message(), AtomicU64::new(1));
    bencher.counter(ItemsCount::new(MEMBERS)).bench(|| {
        let routing = Routing {
            has_peers: true,
            handover: Handover::new(&numbers),
            here: Some(0),
            now: Instant::now(),
            handover_timeout: Duration::from_secs(7),
        };
        for user in (1..=MEMBERS).map(UserId) {
            let copy = MessageCopy { to: user, message: message.clone() };
            let way = match registry.with(user, |slot| slot.accept(copy, &routing)) {
                Next::Push(_, copy, way) => {
                    drop(black_box(copy));
                    way
                }
                other => panic!("everybody is live: {other:?}"),
            };
            assert_eq!(way == Way::Here, user.0 % 2 == 0);
            registry.with(user, |slot| slot.taken(way));
        }
    });
}

/// The session of somebody who is online here.
#[divan::bench]
fn registry_lookup(bencher: Bencher<'_, '_>) {
    let registry = registry();
    let mut user = 0;
    bencher.bench_local(|| {
        user = user % ONLINE + 1;
        registry.session(black_box(UserId(user))).unwrap()
    });
}
