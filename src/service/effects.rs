//! What a handler wants done on its connection.

use super::session::Identity;

/// The outcome of one request, carried out by the connection's reactor.
#[derive(Debug, Default)]
pub struct Effects {
    /// Replies' JSON texts, in order.
    pub replies: Vec<Vec<u8>>,
    /// How many messages of this request will be settled later, each with a
    /// [`super::Post::Settled`].
    pub awaiting: i32,
    /// What becomes of the session.
    pub change: Change,
}

/// What becomes of a session.
#[derive(Debug, Default)]
pub enum Change {
    /// Nothing.
    #[default]
    None,
    /// Somebody logged in. The reply is the last of [`Effects::replies`].
    LoggedIn(Box<LoggedIn>),
    /// Log out, then send this reply.
    LogOut(Vec<u8>),
}

/// A login that was granted: the claim stands, the registry knows the session
/// as behind, and the answer holds the first page of missed messages.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub identity: Identity,
    /// The rows whose messages are in the answer.
    pub rows: Vec<i64>,
    /// Whether the read found nothing beyond these.
    pub exhausted: bool,
    /// How often the session had been nudged when that read began.
    pub nudges: u32,
}

impl Effects {
    /// One reply and nothing else.
    pub fn reply(reply: Vec<u8>) -> Effects {
        Effects { replies: vec![reply], ..Effects::default() }
    }
}
