//! What a reactor allows its connections.

use std::time::Duration;

use super::{BufferMemory, TrustedProxies};

/// The limits of one reactor.
#[derive(Debug, Clone)]
pub struct ReactorConfig {
    /// Bytes that one received payload may have.
    pub max_frame: usize,
    /// Bytes that may wait for one peer. One frame that is larger does not
    /// count.
    pub max_outbound: usize,
    /// How long after one frame of a bare connection the next one leaves.
    pub bare_pace: Duration,
    /// The memory of all reactors' buffers.
    pub memory: BufferMemory,
    /// Bytes that are read from one connection before the others have their
    /// turn.
    pub read_budget_bytes: usize,
    /// Frames that are handled of one connection before the others have their
    /// turn.
    pub frame_budget: usize,
    /// How long a connection may send nothing; [`Io::set_idle_timeout`]
    /// changes it for one connection.
    ///
    /// [`Io::set_idle_timeout`]: super::Io::set_idle_timeout
    pub idle_timeout: Duration,
    /// How long a frame that has begun may take to become whole, and a second
    /// more for each 4 KiB of it that have come.
    pub frame_timeout: Duration,
    /// How long a socket may take nothing while bytes wait for it, and how
    /// long a connection that finishes may take to write what is queued.
    pub write_timeout: Duration,
    /// How long a connection stays open after its peer has closed its side.
    pub half_close_timeout: Duration,
    /// How long a connection that has sent its last byte waits for the peer to
    /// close, so that a reset does not overtake that byte.
    pub linger_timeout: Duration,
    /// Who begins each connection with a PROXY header; `None`: nobody.
    pub trusted_proxies: Option<TrustedProxies>,
    /// How long that header may take.
    pub proxy_header_timeout: Duration,
}

impl Default for ReactorConfig {
    fn default() -> Self {
        Self {
            max_frame: 64 * 1024,
            max_outbound: 1024 * 1024,
            bare_pace: Duration::from_millis(5),
            memory: BufferMemory::new(0),
            read_budget_bytes: 65_536,
            frame_budget: 64,
            idle_timeout: Duration::from_secs(90),
            frame_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(10),
            half_close_timeout: Duration::from_secs(5),
            linger_timeout: Duration::from_secs(1),
            trusted_proxies: None,
            proxy_header_timeout: Duration::from_secs(5),
        }
    }
}
