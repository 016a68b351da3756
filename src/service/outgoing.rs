//! Handovers that leave together: what lined up while the bus was asked where
//! its recipients are.

use std::collections::HashMap;
use std::sync::Arc;

use super::message::Message;
use crate::model::{ServerId, UserId};

/// Messages for other servers, each with all of its recipients there.
#[derive(Default)]
pub(super) struct Outgoing {
    /// In the order in which they leave.
    pub items: Vec<OutgoingItem>,
    /// Each message's last item to a server.
    index: HashMap<(ServerId, *const Message), usize>,
}

pub(super) struct OutgoingItem {
    pub server: ServerId,
    pub handover: u64,
    pub message: Arc<Message>,
    pub users: Vec<UserId>,
}

impl Outgoing {
    /// The item that takes a message to a server: one that is there already,
    /// if it leaves after the item `last`, the recipient's one before. Else a
    /// new one: a recipient's messages must not change places because another
    /// recipient has the later one first.
    pub fn item(
        &mut self,
        server: &ServerId,
        message: &Arc<Message>,
        last: Option<usize>,
        new_handover: impl FnOnce() -> u64,
    ) -> usize {
        let key = (server.clone(), Arc::as_ptr(message));
        if let Some(index) = self.index.get(&key).copied().filter(|index| Some(*index) > last) {
            return index;
        }
        let index = self.items.len();
        self.items.push(OutgoingItem {
            server: server.clone(),
            handover: new_handover(),
            message: message.clone(),
            users: Vec::new(),
        });
        self.index.insert(key, index);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{MessageMemory, Origin};
    use super::*;

    #[test]
    fn messages_of_one_recipient_keep_their_places_when_they_leave_with_others() {
        let memory = MessageMemory::new();
        let message = |mid| memory.message(Origin::Nobody, UserId(9), mid, b"").unwrap();
        let (first, alone, last) = (message("first"), message("alone"), message("last"));
        let server: ServerId = "b:1".into();
        let mut outgoing = Outgoing::default();
        let mut handovers = 0;
        for queue in [vec![&first, &last], vec![&first, &alone, &last]] {
            let mut before = None;
            for message in queue {
                let item = outgoing.item(&server, message, before, || {
                    handovers += 1;
                    handovers
                });
                assert!(Some(item) > before, "{:?} leaves too early", message.mid);
                before = Some(item);
            }
        }
        assert_eq!(outgoing.items.len(), 4, "the first one is shared");
    }
}
