//! The chat server from outside: real servers, clients, databases and nginx,
//! and what docs/protocol.md promises about them, told as stories.

// Tests unwrap; what is not there fails them.
#![allow(clippy::unwrap_used)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod bare_answers;
mod bare_backlog;
mod bare_chat;
mod bare_ends;
mod bare_refusals;
mod bare_stream;
mod bounds;
mod chat;
mod clock;
mod confirm;
mod descriptors;
mod edge;
mod failover;
mod fields;
mod framing;
mod friends;
mod full;
mod groups;
mod guessing;
mod halfopen;
mod harness;
mod hostile;
mod limits;
mod login;
mod malformed;
mod outages;
mod register;
mod resume;
mod rights;
mod secrets;
mod shutdown;
mod startup;
mod storm;
mod texts;
mod throttling;
mod tokens;
mod unconfirmed;
