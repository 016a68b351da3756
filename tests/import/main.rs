//! `ChatServer --import-from`: from a MariaDB with the tables of a C++
//! ChatServer into SQLite and into MariaDB.

#![allow(clippy::unwrap_used)] // A test that meets an error should end there.

mod charsets;
mod odd;
mod old;
mod refusals;
mod repeats;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;
mod tool;
mod whole;
