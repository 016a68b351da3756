//! What a member is like and does.

use std::net::SocketAddr;
use std::time::Duration;

/// How a member confirms what it has handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirms {
    /// Every 32 messages or 200 ms, as the protocol recommends.
    Promptly,
    /// Each message only after so long.
    After(Duration),
    /// It logs in without `ack`.
    Not,
}

/// A part in a scenario.
#[derive(Debug, Clone)]
pub struct Role {
    /// Where to connect, tried in turn.
    pub addresses: Vec<SocketAddr>,
    /// The mean time between two messages that it sends; `None`: it only
    /// listens.
    pub pace: Option<Duration>,
    /// The length of its texts, about.
    pub text_length: usize,
    /// Whom it writes to, by their places in the crowd; empty: everybody else.
    pub peers: Vec<usize>,
    /// How many of a hundred messages go to the group of all.
    pub group_percent: usize,
    pub confirms: Confirms,
    /// Never gives up a connection because the server is silent.
    pub is_patient: bool,
    /// Leaves after about so long and comes back, again and again.
    pub stays: Option<Duration>,
    /// The size of its socket's receive buffer.
    pub receive_buffer: Option<usize>,
}

impl Role {
    /// Somebody who comes in by the first of these addresses and tries the
    /// next one whenever a connection is lost; writes to everybody some four
    /// times a second, a few times to the group.
    pub fn at(addresses: &[SocketAddr]) -> Role {
        Role {
            addresses: addresses.to_vec(),
            pace: Some(Duration::from_millis(250)),
            text_length: 60,
            peers: Vec::new(),
            group_percent: 8,
            confirms: Confirms::Promptly,
            is_patient: false,
            stays: None,
            receive_buffer: None,
        }
    }

    /// Only listens.
    #[must_use]
    pub fn listening(mut self) -> Role {
        self.pace = None;
        self
    }

    /// Writes about this often.
    #[must_use]
    pub fn every(mut self, pace: Duration) -> Role {
        self.pace = Some(pace);
        self
    }

    /// Writes to these only, and not to the group.
    #[must_use]
    pub fn to(mut self, peers: &[usize]) -> Role {
        self.peers = peers.to_vec();
        self.group_percent = 0;
        self
    }

    /// Writes texts of about this many bytes.
    #[must_use]
    pub fn text_length(mut self, bytes: usize) -> Role {
        self.text_length = bytes;
        self
    }

    /// Confirms so.
    #[must_use]
    pub fn confirms(mut self, confirms: Confirms) -> Role {
        self.confirms = confirms;
        self
    }

    /// Keeps its connection however silent the server is.
    #[must_use]
    pub fn patient(mut self) -> Role {
        self.is_patient = true;
        self
    }

    /// Stays about this long at a time.
    #[must_use]
    pub fn stays(mut self, time: Duration) -> Role {
        self.stays = Some(time);
        self
    }

    /// Its host takes little in advance.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Role {
        self.receive_buffer = Some(bytes);
        self
    }
}
