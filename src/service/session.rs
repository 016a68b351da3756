//! Sessions as the service sees them, and what it posts to their reactors.

use std::net::SocketAddr;
use std::sync::Arc;

use super::effects::Effects;
use super::message::MessageCopy;
use super::takeover::Successor;
use crate::model::{Claim, OfflinePage, ServerId, StoreError, TokenHash, UserId};
use crate::protocol::reply;
use crate::serial::Serial;

/// The connection that a session lives on. Never reused in the life of the
/// process, so that what comes late finds nothing instead of a stranger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionId {
    /// Which reactor owns the connection.
    pub reactor: u16,
    /// The connection's number there.
    pub serial: Serial,
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.reactor, self.serial)
    }
}

/// One login on a connection, which may see several: what belongs to an
/// earlier one must not reach a later one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LoginId {
    /// The connection.
    pub session: SessionId,
    /// The claim's random number.
    pub claim: i64,
}

/// Who is logged in on a connection: made by its reactor for each request, and
/// taken apart again, unless a worker handles it; never with both.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub id: SessionId,
    /// The client's address.
    pub peer: SocketAddr,
    /// Whether its client wants its logins answered as [`bare`] has it, and
    /// hears no refusals.
    ///
    /// [`bare`]: crate::protocol::bare
    pub bare: bool,
    /// Who is logged in, if anybody is.
    pub identity: Option<Arc<Identity>>,
}

/// A logged-in user.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user's number.
    pub user: UserId,
    /// The user's name as a JSON string, put on every message sent.
    pub quoted_name: Box<str>,
    /// What holds the user's login.
    pub claim: OwnClaim,
    /// The token that this login made.
    pub token: TokenHash,
}

/// A claim of this server, whose name everybody knows: there is one for each
/// user who is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnClaim {
    /// This server's epoch when the claim was taken.
    pub epoch: i64,
    /// The random number of the login.
    pub number: i64,
}

impl OwnClaim {
    /// As the database and other servers have it.
    pub fn named(self, server: &ServerId) -> Claim {
        Claim { server: server.clone(), epoch: self.epoch, number: self.number }
    }
}

/// The way to one reactor. Never blocks.
pub trait Mailbox: Send + Sync {
    /// Posts; gives the post back where the reactor has ended.
    fn post(&self, post: Post) -> Result<(), Post>;

    /// Posts all of these, waking the reactor once; gives back what did not go
    /// where the reactor has ended.
    fn post_all(&self, posts: Vec<Post>) -> Result<(), Vec<Post>>;
}

/// How a copy comes to its recipient's reactor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Through the reactor's mailbox.
    Mailbox,
    /// On the reactor's own thread ([`super::here`]): before anything that is
    /// in its mailbox.
    Here,
}

/// What a sender is told of a message.
#[derive(Debug)]
pub enum Answer {
    /// A reply's JSON text.
    Text(Vec<u8>),
    /// A 106 without an error, which is written where it is sent: there are as
    /// many of these as messages.
    Done {
        /// The request's `seq`.
        seq: Option<u64>,
        /// The recipient's copy.
        copy: MessageCopy,
        /// Stored, or else delivered.
        is_stored: bool,
    },
}

impl Answer {
    /// Appends the reply's JSON text.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Answer::Text(text) => out.extend_from_slice(text),
            Answer::Done { seq, copy, is_stored } => {
                let status = if *is_stored { "stored" } else { "delivered" };
                reply::write_one_chat_done(out, *seq, copy.message.mid.text(), copy.to, status);
            }
        }
    }
}

/// What other threads tell the reactor that owns a session.
#[derive(Debug)]
pub enum Post {
    /// A worker is done with a request: here is the session back.
    Done {
        /// The session as the handler left it.
        session: Box<Session>,
        /// What is to be done on its connection.
        effects: Box<Effects>,
    },
    /// Push a message to a live session.
    Deliver {
        /// The recipient's session.
        session: SessionId,
        /// The recipient's copy.
        copy: MessageCopy,
        /// How it comes.
        way: Way,
    },
    /// A message is settled: its 106 or 110.
    Settled {
        /// The sender's session.
        session: SessionId,
        /// What it is told.
        answer: Answer,
    },
    /// Messages for this login's user were committed: feed from the table.
    Nudged {
        /// The recipient's login.
        login: LoginId,
    },
    /// A page of missed messages was read (or could not be).
    Page {
        /// The recipient's login.
        login: LoginId,
        /// How often the session had been nudged when the read began.
        nudges: u32,
        /// The page.
        page: Box<Result<OfflinePage, StoreError>>,
    },
    /// Rows that this login has confirmed are deleted.
    Deleted {
        /// The recipient's login.
        login: LoginId,
    },
    /// A log-out is complete: the login's claim is released, or is sure to be.
    LoggedOut {
        /// The login.
        login: LoginId,
    },
    /// End this login's session.
    Close {
        /// The login.
        login: LoginId,
        /// The reason in the log.
        reason: &'static str,
        /// Who is to hear once it has ended and what it left is committed.
        successor: Option<Box<Successor>>,
    },
    /// The session that this login takes over has ended.
    FormerEnded {
        /// The new login.
        login: LoginId,
    },
}

/// There is one for each step of a message: what is rare is boxed.
const _: () = assert!(size_of::<Post>() <= 56);

impl Post {
    /// A worker is done with a request of this session.
    pub fn done(session: Box<Session>, effects: Effects) -> Post {
        Post::Done { session, effects: Box::new(effects) }
    }
}
