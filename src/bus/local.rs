//! The bus of a server that stands alone: there is nobody to reach, and
//! nothing to wait for.

use std::sync::Arc;

use super::{Announced, Bus, BusError, BusSink, Handed, Item, Located, Presence};
use crate::model::{ServerId, UserId};

/// A bus without peers. It is always up, finds nobody, and has no threads:
/// every callback runs on the calling thread before the method returns.
#[derive(Debug, Default)]
pub struct LocalBus;

impl LocalBus {
    /// A bus for one server alone.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Bus for LocalBus {
    /// Calls [`BusSink::on_up`] once, so that a server has one way to start
    /// whichever bus it has.
    fn start(&self, sink: Arc<dyn BusSink>) {
        sink.on_up();
    }

    fn has_peers(&self) -> bool {
        false
    }

    fn is_up(&self) -> bool {
        true
    }

    /// There is no other server, so this is always [`BusError::Down`].
    fn send(&self, _to: &ServerId, _item: Item<'_>) -> Result<(), BusError> {
        Err(BusError::Down)
    }

    fn hand_over(&self, _to: &ServerId, _message: &Handed<'_>) -> Result<(), BusError> {
        Err(BusError::Down)
    }

    /// Nobody is anywhere else.
    fn locate(&self, users: Vec<UserId>, then: Located) {
        then(Ok(vec![None; users.len()]));
    }

    /// Nobody asks, so nothing is kept.
    fn announce(&self, _user: UserId, _presence: Presence, then: Announced) {
        then(Ok(()));
    }

    fn withdraw(&self, _user: UserId, _presence: Presence) {}

    fn stop_listening(&self) {}

    fn shutdown(&self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::model::GroupId;

    #[derive(Default)]
    struct Ups(AtomicUsize);

    impl BusSink for Ups {
        fn on_items(
            &self,
            _from: &ServerId,
            _epoch: i64,
            _position: crate::bus::Position,
            _items: Vec<Item<'_>>,
        ) {
            panic!("a server alone hears nothing");
        }
        fn on_unreachable(&self, _server: &ServerId) {
            panic!("a server alone sends nothing");
        }
        fn on_subscribed(&self) {}

        fn on_keys_lost(&self) {}

        fn on_up(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        fn on_down(&self) {
            panic!("a server alone never loses its bus");
        }
        fn epoch(&self) -> i64 {
            1
        }
    }

    #[test]
    fn a_server_alone_is_up_at_once_and_finds_nobody() {
        let bus = LocalBus::new();
        let sink = Arc::new(Ups::default());
        bus.start(sink.clone());
        assert_eq!(sink.0.load(Ordering::SeqCst), 1);
        assert!(bus.is_up());
        assert!(!bus.has_peers());

        let (tell, told) = mpsc::channel();
        bus.locate(
            vec![UserId(1), UserId(2)],
            Box::new(move |found| tell.send(found).expect("the test listens")),
        );
        assert_eq!(told.try_recv().expect("answered before locate returned"), Ok(vec![None, None]));

        let presence = Presence { server: "alone".into(), epoch: 1, claim: 2 };
        let (tell, told) = mpsc::channel();
        bus.announce(
            UserId(1),
            presence.clone(),
            Box::new(move |done| tell.send(done).expect("the test listens")),
        );
        assert_eq!(told.try_recv().expect("answered before announce returned"), Ok(()));
        bus.withdraw(UserId(1), presence);

        let item = Item::GroupChanged { group: GroupId(1) };
        assert_eq!(bus.send(&"other".into(), item), Err(BusError::Down));
        bus.shutdown();
        bus.shutdown();
    }
}
