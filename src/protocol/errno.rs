//! What a reply says when something was refused.

/// The reasons of the protocol, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Errno {
    /// Done.
    Ok = 0,
    /// Wrong id or password; at registration and group creation: name taken.
    WrongOrTaken = 1,
    /// The account is online elsewhere.
    AlreadyOnline = 2,
    /// Log in first.
    NotLoggedIn = 3,
    /// Not JSON, or a field missing, of the wrong type or out of bounds.
    Malformed = 4,
    /// `id` is not the logged-in user's.
    NotYours = 5,
    /// No such user.
    NoSuchUser = 6,
    /// No such group.
    NoSuchGroup = 7,
    /// Already so: friends, a member, logged in on this connection.
    NothingToDo = 8,
    /// Not a friend, not a member.
    NotRelated = 9,
    /// Not permitted.
    NotPermitted = 10,
    /// Too large.
    TooLarge = 11,
    /// Too many requests, slow down.
    SlowDown = 12,
    /// Temporarily unavailable (database or cluster): try again.
    Unavailable = 13,
    /// Unknown msgid.
    UnknownMsgId = 14,
    /// Internal error.
    Internal = 15,
}

/// A request that was not done: the number, and a sentence that a person can
/// act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which reason.
    pub errno: Errno,
    /// What was wrong and what to do.
    pub errmsg: String,
    /// In how many seconds it may be worth another try, where that is known.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(errno: Errno, errmsg: impl Into<String>) -> Refusal {
        Refusal { errno, errmsg: errmsg.into(), retry_after: None }
    }

    /// Errno 12 with what was too much, and when it will be less.
    pub fn slow_down(what: &str, wait: std::time::Duration) -> Refusal {
        // A client that comes back a moment too early is refused again.
        let seconds = wait.as_secs() + 1;
        let errmsg = format!("{what}: try again in {seconds} s");
        Refusal { errno: Errno::SlowDown, errmsg, retry_after: Some(seconds) }
    }

    /// Errno 4 with its sentence.
    pub fn malformed(errmsg: impl Into<String>) -> Refusal {
        Refusal::new(Errno::Malformed, errmsg)
    }
}
