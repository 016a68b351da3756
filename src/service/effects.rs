//! What a handler wants done on its connection.

use std::sync::Arc;

use super::session::Identity;
use super::token::Token;
use crate::model::TokenHash;
use crate::protocol::{MsgId, Refusal, reply};

/// The outcome of one request, carried out by the connection's reactor.
#[derive(Debug, Default)]
pub struct Effects {
    /// Replies' JSON texts, in order.
    pub replies: Vec<Vec<u8>>,
    /// How many messages of this request will be settled later, each with a
    /// [`super::Post::Settled`].
    pub awaiting: i32,
    /// How many copies went to a group's members: what they cost is the
    /// sender's.
    pub copies: u32,
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
    /// A login is granted and waits for the end of the session that it takes
    /// over: go on with it on [`super::Post::FormerEnded`], or after
    /// [`super::takeover::FORMER_TIMEOUT`].
    TakingOver(Box<Granted>),
    /// The client has handled so many messages since its login.
    Acknowledged(u64),
    /// Log out, then send this reply.
    LogOut(Vec<u8>),
}

/// A login whose proof was right and whose claim stands: the registry knows
/// the session as behind. What is left is to read and to answer.
#[derive(Debug)]
pub struct Granted {
    /// Who.
    pub identity: Arc<Identity>,
    /// The user's name, for the answer.
    pub name: Box<str>,
    /// The token for the answer.
    pub token: Token,
    /// The token that was the proof, if one was.
    pub presented: Option<TokenHash>,
    /// Whether the client confirms.
    pub acks: bool,
    /// To be echoed.
    pub seq: Option<u64>,
}

/// A login that is answered: the answer holds the first page of missed
/// messages.
#[derive(Debug)]
pub struct LoggedIn {
    /// Who.
    pub identity: Arc<Identity>,
    /// Whether the client confirms.
    pub acks: bool,
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

    /// Whether nothing is to be done but to wait: so for every message to one
    /// user.
    pub fn is_only_awaiting(&self) -> bool {
        self.replies.is_empty() && self.copies == 0 && matches!(self.change, Change::None)
    }

    /// A LOGIN_MSG's refusal.
    pub fn login_refused(seq: Option<u64>, refusal: &Refusal) -> Effects {
        Effects::reply(reply::refused(MsgId::Login, seq, refusal))
    }
}
