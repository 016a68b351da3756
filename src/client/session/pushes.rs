//! Messages for the person: each is shown once, remembered, confirmed.

use std::time::Instant;

use serde::Deserialize;
use serde_json::json;

use super::Effect;
use super::core::Core;
use crate::client::message::Incoming;
use crate::client::printer::Line;
use crate::client::render;
use crate::protocol::MsgId;
use crate::protocol::bounds::MAX_MID_BYTES;
use crate::protocol::msgid::{GROUP_CHAT_PUSH, ONE_CHAT_PUSH};

const UNREADABLE: &str = "A message has come that this client cannot read.";

/// The one field by which a message can be counted where nothing else of it
/// is understood.
#[derive(Deserialize)]
struct Numbered {
    msgid: i64,
}

pub(super) fn is_push(msgid: i64) -> bool {
    [i64::from(ONE_CHAT_PUSH), i64::from(GROUP_CHAT_PUSH)].contains(&msgid)
}

impl Core {
    pub(super) fn on_push(&mut self, push: &Incoming, now: Instant) {
        self.acks.handled(1, now);
        let line = self.received(push, false);
        self.print_all(line);
    }

    /// The messages of a login's answer; they count before those that follow.
    /// `again`: the login was one after an outage.
    pub(super) fn on_missed(&mut self, missed: &[String], again: bool, now: Instant) {
        let mut lines = Vec::new();
        for text in missed {
            match serde_json::from_str::<Incoming>(text) {
                // Whoever was away for a moment knows which day it is.
                Ok(push) => lines.extend(self.received(&push, !again)),
                Err(e) => {
                    log::warn!(target: "client", "a missed message was not understood: err={e}");
                    lines.push(Line::problem(UNREADABLE));
                }
            }
        }
        if !lines.is_empty() {
            self.print(format!("Missed messages: {}", lines.len()));
        }
        self.print_all(lines);
        self.acks.handled(missed.len(), now);
    }

    /// A frame that is not what it should be. A push counts all the same, or
    /// every later confirmation would be one too low.
    pub(super) fn on_unreadable(&mut self, payload: &[u8], now: Instant) {
        let numbered = serde_json::from_slice::<Numbered>(payload);
        if numbered.is_ok_and(|message| is_push(message.msgid)) {
            self.acks.handled(1, now);
            self.problem(UNREADABLE);
        }
    }

    /// A message's line, or nothing if it was shown before.
    fn received(&mut self, push: &Incoming, dated: bool) -> Option<Line> {
        if let (Some(sender), Some(mid)) = (push.id, &push.mid)
            && mid.len() <= MAX_MID_BYTES
        {
            let key = (sender, mid.clone());
            if !self.seen.first_time(key.clone()) {
                return None;
            }
            self.effects.push(Effect::Remember(key));
        }
        Some(render::message(push, &self.roster, &render::now_here(), dated))
    }

    pub(super) fn confirm(&mut self, count: u64, now: Instant) {
        let (_, payload) = self.request(MsgId::RecvAck, json!({"count": count}));
        self.heart.sent(now);
        self.effects.push(Effect::Confirm(payload));
    }
}
