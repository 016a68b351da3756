//! The client's rules, without any I/O: what a person asks for becomes
//! requests, what the server sends becomes lines to read.
//!
//! [`Core`] is told what happens (connected, a frame, a command, the time) and
//! leaves [`Effect`]s to be carried out; so every rule is tested without a
//! socket or a clock.

mod acks;
mod core;
mod heart;
mod later;
mod leaving;
mod login;
pub mod outbox;
mod pushes;
mod resume;
mod rivalry;
pub mod roster;
pub mod seen;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

pub use self::core::Core;
use self::seen::MessageKey;
use super::command::Command;
use super::printer::Line;

/// A text that is never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whom to log in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Id(u32),
    /// By name.
    Name(String),
}

/// What the person at the input asks for.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Log in; answered by [`Answer::LoggedIn`], [`Answer::OnlineElsewhere`]
    /// or [`Answer::Refused`].
    LogIn {
        /// As whom.
        who: Who,
        /// The password.
        password: Secret,
        /// Whether to end another session of this account.
        takeover: bool,
    },
    /// Register; answered by [`Answer::Registered`] or [`Answer::Refused`].
    Register {
        /// The name.
        name: String,
        /// The password.
        password: Secret,
    },
    /// One command. Not answered: what comes of it is printed.
    Do(Command),
    /// Log out once everything sent has been answered, or after `patience`;
    /// answered by [`Answer::LoggedOut`].
    LogOut {
        /// How long to wait for answers.
        patience: Duration,
    },
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Logged in.
    LoggedIn,
    /// Registered under this number.
    Registered(u32),
    /// Login or registration did not succeed; the sentence says why.
    Refused(String),
    /// The account is online elsewhere and was not to be taken over; the
    /// sentence says so.
    OnlineElsewhere(String),
    /// Logged out.
    LoggedOut {
        /// How many requests since the login were not sent or never answered.
        unanswered: usize,
    },
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send this payload as one frame.
    Send(Vec<u8>),
    /// The same, but only if everything to be shown so far could be shown: it
    /// confirms that.
    Confirm(Vec<u8>),
    /// Show this line.
    Print(Line),
    /// Answer the input.
    Answer(Answer),
    /// Look up which messages were shown to this user in earlier runs; what is
    /// found goes to [`Core::on_recalled`]. Until then the core keeps every
    /// frame.
    Recall(u32),
    /// Keep for later runs that this message was shown. It comes after the
    /// line to show and is to be done before the next [`Effect::Confirm`].
    Remember(MessageKey),
    /// Close the connection; the text says why.
    HangUp(String),
}

impl Effect {
    /// The line to show, if it is one.
    pub fn line(&self) -> Option<&Line> {
        match self {
            Effect::Print(line) => Some(line),
            _ => None,
        }
    }
}
