//! What servers tell each other, as JSON: one PUBLISH carries one
//! [`Envelope`] with everything for one server.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::{GroupId, ServerId, UserId};

/// Where a user is: which server, which life of it, which login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The server's name.
    pub server: ServerId,
    /// The server's epoch.
    pub epoch: i64,
    /// The claim's random number.
    pub claim: i64,
}

/// What became of one recipient's copy on the recipient's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyOutcome {
    /// The recipient's client has it.
    Delivered,
    /// It is committed in the database.
    Stored,
    /// The recipient is not here, or this server could not keep the copy: the
    /// sender's server stores it.
    NotHere,
}

/// One thing that a server tells another. What is read refers to the envelope's
/// text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item<'a> {
    /// A message for some of the receiving server's users. The sending server
    /// keeps every copy until [`Item::Outcomes`] names it.
    Message {
        /// The sending server's number for it; outcomes repeat it.
        handover: u64,
        /// The recipients.
        to: Vec<UserId>,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of the message.
        #[serde(borrow)]
        mid: Cow<'a, str>,
        /// The push as the recipients get it.
        #[serde(borrow)]
        body: &'a RawValue,
    },
    /// What became of copies of messages that were handed over.
    Outcomes {
        /// What became of all of these.
        outcome: CopyOutcome,
        /// The number that came with each message, and whose copy.
        copies: Cow<'a, [(u64, UserId)]>,
    },
    /// Messages for this user were committed: feed from the table.
    Nudge {
        /// The recipient.
        user: UserId,
    },
    /// The user's login was taken over by the sending server: end the session
    /// that holds this claim, and say so when what it left is committed.
    Close {
        /// Whose session.
        user: UserId,
        /// Its claim's number.
        claim: i64,
        /// The number of the claim that replaced it.
        successor: i64,
    },
    /// A session that the receiving server has asked to be ended has ended, or
    /// was not there, and what it left is committed.
    Closed {
        /// Whose session.
        user: UserId,
        /// The number of the claim that replaced it.
        successor: i64,
    },
    /// The sending server has missed something that the receiving one sent:
    /// copies handed over to it are in doubt, and it takes no newer ones until
    /// [`Item::Resumed`] comes.
    Missed,
    /// The sending server has stored whatever it had handed over to the
    /// receiving one: what follows is newer than anything that was missed.
    Resumed,
    /// A group's membership changed: drop the cached list.
    GroupChanged {
        /// The group.
        group: GroupId,
    },
}

/// A message that is handed over: [`Item::Message`] before it is written, without
/// a copy of anything.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'a> {
    /// This server's number for it.
    pub handover: u64,
    /// The recipients.
    pub to: &'a [UserId],
    /// Who sent it.
    pub sender: UserId,
    /// The sender's own id of the message.
    pub mid: &'a str,
    /// The push as the recipients get it: a JSON text, which is not looked at.
    pub body: &'a [u8],
}

impl Handed<'_> {
    /// The item's JSON text.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Fields<'a> {
            handover: u64,
            to: &'a [UserId],
            sender: UserId,
            mid: &'a str,
        }
        let Handed { handover, to, sender, mid, body } = *self;
        let mut text = Vec::with_capacity(body.len() + mid.len() + 12 * to.len() + 96);
        text.extend_from_slice(br#"{"message":"#);
        serde_json::to_writer(&mut text, &Fields { handover, to, sender, mid })?;
        // The object goes on with the body.
        text.pop();
        text.extend_from_slice(br#","body":"#);
        text.extend_from_slice(body);
        text.extend_from_slice(b"}}");
        Ok(text)
    }
}

/// An envelope's position among all that one server sends to another: a gap says
/// that something was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// A random number of the sending process.
    pub stream: u64,
    /// From 1 up; 0 for a heartbeat.
    pub number: u64,
}

/// Everything that one server publishes to another in one turn.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope<'a> {
    /// The sending server's name.
    pub from: ServerId,
    /// Its epoch.
    pub epoch: i64,
    /// In order; empty for the heartbeat that a server sends to itself.
    #[serde(borrow)]
    pub items: Vec<Item<'a>>,
    /// Which envelope of this server to that one it is.
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_handed_over_is_written_as_its_item() {
        let body = r#"{"msgid":5,"msg":"\u00e4 \"x\""}"#;
        let to = [UserId(7), UserId(8)];
        let handed = Handed {
            handover: 12,
            to: &to,
            sender: UserId(3),
            mid: "m-\"1\"\n",
            body: body.as_bytes(),
        };
        let item = Item::Message {
            handover: 12,
            to: to.to_vec(),
            sender: UserId(3),
            mid: "m-\"1\"\n".into(),
            body: serde_json::from_str(body).unwrap(),
        };
        let text = String::from_utf8(handed.to_json().unwrap()).unwrap();
        assert_eq!(text, serde_json::to_string(&item).unwrap());
    }
}
