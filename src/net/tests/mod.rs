//! The rules of the reactor, one story each, against real sockets.

mod acceptor;
mod bare;
mod closing;
mod codec;
mod fairness;
mod frame_timeout;
mod mailbox;
mod memory;
mod opening;
mod outbound;
mod proxy_header;
mod reading;
mod shortage;
mod support;
mod timers;
mod writing;
