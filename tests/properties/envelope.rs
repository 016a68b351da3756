//! Whatever Redis brings as another server's envelope or presence: no panic,
//! and what is understood can be said again.
//!
//! An input is the text.

use cluster_chat::bus::item::{Envelope, Item, Presence};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Panics where the property does not hold.
pub fn check(text: &[u8]) {
    if let Some(envelope) = same_when_said_again::<Envelope>(text) {
        for item in &envelope.items {
            if let Item::Message { body, .. } = item {
                let read = serde_json::from_str::<serde::de::IgnoredAny>(body.get());
                assert!(read.is_ok(), "a body that is not JSON: {:?}", body.get());
            }
        }
    }
    same_when_said_again::<Presence>(text);
}

/// What the text says, if it says anything.
fn same_when_said_again<T: Serialize + DeserializeOwned>(text: &[u8]) -> Option<T> {
    let said: T = serde_json::from_slice(text).ok()?;
    let again = serde_json::to_vec(&said).expect("what was read can be written");
    let heard: T = serde_json::from_slice(&again).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&heard).ok(), Some(again));
    Some(said)
}
