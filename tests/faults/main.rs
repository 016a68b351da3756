//! What survives when parts of a cluster die, hang and come back under load:
//! real servers, databases, Redis and nginx, and clients that keep books.
//!
//! ```text
//! servers.rs   ChatServers are killed, stopped, frozen
//! redis.rs, mariadb.rs, nginx.rs, cables.rs   what is between and behind them
//! clients.rs   clients that are slow, restless, silent
//! chaos.rs     one fault after the other, by chance
//! repeats.rs   the same message again and again
//! resume.rs    a thousand come back at once
//!
//! crowd.rs     everybody in a scenario, and what scenarios wait for
//! role.rs      what a member is like
//! member.rs    a client as the protocol wants it, on its own thread
//! line.rs, outbox.rs, confirming.rs   its connection, and what is not settled
//! books.rs     what everybody sent, was answered, and handled
//! check.rs     what must hold of the books; report.rs: the story of a message
//! ```
//!
//! Chance goes by a seed, which a failure names; CHAT_FAULT_SEED gives it.

// Tests unwrap; what is not there fails them.
#![allow(clippy::unwrap_used)]

mod books;
mod cables;
mod chaos;
mod check;
mod check_tests;
mod clients;
mod confirming;
mod crowd;
mod line;
mod mariadb;
mod member;
mod nginx;
mod outbox;
mod redis;
mod repeats;
mod report;
mod resume;
mod rng;
mod role;
mod servers;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;
