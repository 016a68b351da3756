//! What a [`RedisBus`](super::RedisBus) is told at start.

use std::time::Duration;

use super::error::describe_url;
use crate::model::ServerId;

/// Which Redis, as whom, and how patient.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user:password@]host[:port][/database]` or `unix:///path`.
    pub url: String,
    /// This server's name; its channel is `chat:server:<name>`.
    pub server: ServerId,
    /// How long a connection may take to open, log in included.
    pub connect_timeout: Duration,
    /// How long Redis may leave a command without an answer.
    pub io_timeout: Duration,
    /// How many jobs may wait for the publisher; more are refused as full.
    pub queue_capacity: usize,
}

impl RedisOptions {
    /// The usual patience: 1 s to connect, 1 s for an answer, 16,384 jobs.
    #[must_use]
    pub fn new(url: impl Into<String>, server: impl Into<ServerId>) -> Self {
        Self {
            url: url.into(),
            server: server.into(),
            connect_timeout: Duration::from_secs(1),
            io_timeout: Duration::from_secs(1),
            queue_capacity: 16_384,
        }
    }
}

impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &describe_url(&self.url))
            .field("server", &self.server)
            .field("connect_timeout", &self.connect_timeout)
            .field("io_timeout", &self.io_timeout)
            .field("queue_capacity", &self.queue_capacity)
            .finish()
    }
}
