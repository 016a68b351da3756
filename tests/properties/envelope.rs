//! Whatever Redis brings as another server's envelope or presence: no panic,
//! and what is understood can be said again.
//!
//! An input is the text.

use cluster_chat::bus::item::{Envelope, Item, Presence};
use serde::{Deserialize, Serialize};

/// Panics where the property does not hold.
pub fn check(text: &[u8]) {
    same_when_said_again(text, |text| say::<Envelope<'_>>(text));
    if let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(text) {
        for item in &envelope.items {
            if let Item::Message { body, .. } = item {
                let read = serde_json::from_str::<serde::de::IgnoredAny>(body.get());
                assert!(read.is_ok(), "a body that is not JSON: {:?}", body.get());
            }
        }
    }
    same_when_said_again(text, |text| say::<Presence>(text));
}

/// What the text says, said again, if it says anything.
fn say<'a, T: Serialize + Deserialize<'a>>(text: &'a [u8]) -> Option<Vec<u8>> {
    let said: T = serde_json::from_slice(text).ok()?;
    Some(serde_json::to_vec(&said).expect("what was read can be written"))
}

fn same_when_said_again(text: &[u8], say: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(again) = say(text) {
        assert_eq!(say(&again), Some(again), "what was written can be read");
    }
}
