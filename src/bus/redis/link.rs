//! Connections to Redis that cannot hang, and how long to wait between tries.

use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::{Client, Connection, IntoConnectionInfo, ProtocolVersion, RedisResult, cmd};

use super::error::{RedisError, describe_url};
use super::options::RedisOptions;

/// Opens connections to one Redis.
pub(super) struct Connector {
    client: Client,
    /// For logs and messages; holds no password.
    pub(super) address: String,
    connect_timeout: Duration,
    io_timeout: Duration,
}

impl Connector {
    /// Reads the URL; opens nothing yet.
    pub(super) fn new(options: &RedisOptions) -> Result<Self, RedisError> {
        let address = describe_url(&options.url);
        let bad_url = |err: ::redis::RedisError| RedisError::BadUrl {
            url: address.clone(),
            reason: err.to_string(),
        };
        let info = options.url.as_str().into_connection_info().map_err(bad_url)?;
        // Naming the library would be one more exchange, and one more that an
        // ACL may refuse. RESP3 would bring messages between the answers.
        let redis_settings = info
            .redis_settings()
            .clone()
            .set_skip_set_lib_name()
            .set_protocol(ProtocolVersion::RESP2);
        let info = info
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(redis_settings);
        let client = Client::open(info).map_err(bad_url)?;
        Ok(Self {
            client,
            address,
            connect_timeout: options.connect_timeout,
            io_timeout: options.io_timeout,
        })
    }

    /// A connection on which Redis has answered, with time-outs set. A stopped
    /// Redis still accepts (its kernel does), so only the answer counts.
    pub(super) fn open(&self) -> RedisResult<Connection> {
        let mut connection = self.client.get_connection_with_timeout(self.connect_timeout)?;
        connection.set_read_timeout(Some(self.io_timeout))?;
        connection.set_write_timeout(Some(self.io_timeout))?;
        cmd("PING").exec(&mut connection)?;
        Ok(connection)
    }
}

/// The longest wait before the first try after a failure.
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before any try.
const BACKOFF_MOST: Duration = Duration::from_secs(2);

/// Exponential back-off with full jitter: a cluster's servers lose Redis
/// together and must not come back to it in step.
#[derive(Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { ceiling: BACKOFF_FIRST }
    }

    /// After a success: the next failure starts from the shortest wait.
    pub(super) fn reset(&mut self) {
        self.ceiling = BACKOFF_FIRST;
    }

    /// How long to wait before the next try.
    pub(super) fn next_wait(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(BACKOFF_MOST);
        // Without randomness the full wait is as good as any.
        let share = getrandom::u32().unwrap_or(u32::MAX);
        ceiling.mul_f64(f64::from(share) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_two_seconds_and_start_over_after_a_success() {
        let mut backoff = Backoff::new();
        for ceiling_ms in [50, 100, 200, 400, 800, 1600, 2000, 2000] {
            assert_eq!(backoff.ceiling, Duration::from_millis(ceiling_ms));
            assert!(backoff.next_wait() <= Duration::from_millis(ceiling_ms));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= BACKOFF_FIRST);
    }

    #[test]
    fn waits_are_spread() {
        let waits: std::collections::HashSet<Duration> =
            (0..16).map(|_| Backoff::new().next_wait()).collect();
        assert!(waits.len() > 1, "sixteen servers would all wait {waits:?}");
    }
}
