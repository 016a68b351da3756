//! The wire protocol's messages: numbers, errnos, bounds, requests, replies
//! and pushes. Shared by server and client; docs/protocol.md is the text.
//!
//! A payload is one JSON object, whatever dialect framed it. Requests are read
//! as borrowed slices of that text ([`RawRequest`]); what a sender wrote as
//! `msg`, `time` and `mid` is checked and then forwarded as it stands.

pub mod bare;
pub mod bounds;
pub mod errno;
pub mod msgid;
mod plain;
pub mod push;
pub mod raw;
pub mod reply;
pub mod request;

pub use errno::{Errno, Refusal};
pub use msgid::MsgId;
pub use raw::{Integer, RawRequest, Unreadable};
pub use request::Request;
