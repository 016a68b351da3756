//! What servers tell each other, as JSON: one PUBLISH carries one
//! [`Envelope`] with everything for one server.

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

/// One thing that a server tells another.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A message for some of the receiving server's users. The sending server
    /// keeps every copy until its [`Item::Outcome`] comes.
    Message {
        /// The sending server's number for it; outcomes repeat it.
        handover: u64,
        /// The recipients.
        to: Vec<UserId>,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of the message.
        mid: String,
        /// The push as the recipients get it.
        body: Box<RawValue>,
    },
    /// What became of copies of one handed-over message.
    Outcome {
        /// The number that came with the message.
        handover: u64,
        /// Whose copies.
        users: Vec<UserId>,
        /// What became of them.
        outcome: CopyOutcome,
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
pub struct Envelope {
    /// The sending server's name.
    pub from: ServerId,
    /// Its epoch.
    pub epoch: i64,
    /// In order; empty for the heartbeat that a server sends to itself.
    pub items: Vec<Item>,
    /// Which envelope of this server to that one it is.
    pub position: Position,
}
