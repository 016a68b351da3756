//! What the server sends, read: one lenient shape for every reply and push.

use serde::Deserialize;

/// A reply or a push; which fields are there depends on `msgid`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Incoming {
    /// Which message this is.
    pub msgid: i64,
    /// The request that is answered.
    pub seq: Option<u64>,
    /// 0 or the reason; missing in a push.
    pub errno: Option<i64>,
    /// What was wrong, for a person.
    pub errmsg: Option<String>,
    /// In how many seconds a refused request may be worth another try.
    pub retry_after: Option<u64>,
    /// The user who logged in or registered, or a push's sender.
    pub id: Option<u32>,
    /// That user's name, or a new friend's.
    pub name: Option<String>,
    /// The friend list.
    pub friends: Option<Vec<User>>,
    /// The user's groups.
    pub groups: Option<Vec<Group>>,
    /// The JSON text of each missed message, oldest first.
    pub offlinemsg: Option<Vec<String>>,
    /// Proof of the login.
    pub token: Option<String>,
    /// The sender's own id of a message.
    pub mid: Option<String>,
    /// What became of a message: `delivered` or `stored`.
    pub status: Option<String>,
    /// How many members a group message was delivered to.
    pub delivered: Option<u64>,
    /// For how many members a group message was stored.
    pub stored: Option<u64>,
    /// A new friend's state.
    pub state: Option<String>,
    /// A group's number.
    pub groupid: Option<u32>,
    /// A group's name.
    pub groupname: Option<String>,
    /// A group's description.
    pub groupdesc: Option<String>,
    /// A group's members.
    pub users: Option<Vec<Member>>,
    /// Whether a group is gone (its creator left) or only left.
    pub dissolved: Option<bool>,
    /// A message's text.
    pub msg: Option<String>,
    /// When a message was sent: free text.
    pub time: Option<String>,
}

/// One friend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// The user's number.
    pub id: u32,
    /// The user's name.
    pub name: String,
    /// `online` or `offline`.
    pub state: String,
}

/// One group with its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Group {
    /// The group's number.
    pub id: u32,
    /// The group's name.
    pub groupname: String,
    /// What the group is for.
    pub groupdesc: String,
    /// Its members.
    pub users: Vec<Member>,
}

/// One member of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Member {
    /// The user's number.
    pub id: u32,
    /// The user's name.
    pub name: String,
    /// `online` or `offline`.
    pub state: String,
    /// `creator` or `normal`.
    pub role: String,
}

impl Incoming {
    /// Whether the request was done.
    pub fn is_done(&self) -> bool {
        self.errno == Some(0)
    }

    /// Why the request was not done, as a sentence.
    pub fn reason(&self) -> String {
        match (&self.errmsg, self.errno) {
            (Some(text), _) if !text.is_empty() => text.clone(),
            (_, Some(number)) => format!("the server refused it (error {number})"),
            (_, None) => "the server's answer was not understood".to_owned(),
        }
    }
}
