//! What can be wrong with Redis at start, in words for the person who starts
//! the server; and a URL without its password.

use std::io;
use std::sync::Arc;

use ::redis::ConnectionAddr;

use crate::model::ServerId;

/// Why [`RedisBus::connect`](super::RedisBus::connect) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedisError {
    /// The URL cannot be used, whatever Redis does.
    #[error(
        "the Redis URL {url} cannot be used: {reason}; \
         expected redis://[user:password@]host[:port][/database]"
    )]
    BadUrl {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers there, or not yet. Another try may succeed.
    #[error("Redis at {address} cannot be reached: {reason}; is it running, and is the URL right?")]
    Unreachable {
        /// The URL, without its password.
        address: String,
        /// What happened.
        reason: String,
    },
    /// Redis answers and does not let this server in.
    #[error(
        "Redis at {address} refuses this server: {reason}; \
         check the user, password and database in the URL, and the user's rights"
    )]
    Refused {
        /// The URL, without its password.
        address: String,
        /// What Redis said.
        reason: String,
    },
    /// Another server of this id listens on this Redis.
    #[error(
        "the server id {id} is in use on Redis at {address}: \
         another server listens on its channel; give this one an id of its own"
    )]
    IdInUse {
        /// The URL, without its password.
        address: String,
        /// The id.
        id: ServerId,
    },
}

impl RedisError {
    /// Whether the same call may succeed later with nothing reconfigured.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Sorts what the client library reports.
    pub(super) fn from_client(address: &str, err: &::redis::RedisError) -> Self {
        let address = address.to_owned();
        let reason = err.to_string();
        if is_refusal(err) {
            Self::Refused { address, reason }
        } else if err.is_timeout() {
            Self::Unreachable { address, reason: "no answer in time".to_owned() }
        } else {
            Self::Unreachable { address, reason }
        }
    }
}

/// Whether Redis turned this server away for good. Everything else that Redis
/// may say (loading, too many clients) can pass.
fn is_refusal(err: &::redis::RedisError) -> bool {
    use ::redis::ErrorKind;
    if err.kind() == ErrorKind::AuthenticationFailed {
        return true;
    }
    if matches!(err.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED")) {
        return true;
    }
    // The library wraps what SELECT is answered and drops its code.
    let said = err.to_string();
    said.contains("DB index") || said.contains("Authentication required")
}

/// A Redis URL for logs and messages: never with its password, nor with
/// anything that might be a piece of one.
#[must_use]
pub fn describe_url(url: &str) -> String {
    if let Some(parsed) = ::redis::parse_redis_url(url)
        && let Ok(info) = ::redis::IntoConnectionInfo::into_connection_info(parsed)
    {
        let db = info.redis_settings().db();
        return match info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => {
                format!("redis://[{host}]:{port}/{db}")
            }
            ConnectionAddr::Unix(path) => format!("unix://{}", path.display()),
            address => format!("redis://{address}/{db}"),
        };
    }
    // What cannot be parsed cannot be taken apart safely either: a stray '/'
    // or '#' in a password moves it to where the host is looked for.
    if !url.contains(['@', '?']) {
        return url.to_owned();
    }
    match url.split_once("://") {
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') => {
            format!("{scheme}://***")
        }
        _ => "***".to_owned(),
    }
}

/// Whether a system call was interrupted: a process that was stopped and goes
/// on finds its reads with a time-out ended like this, and may read again.
pub(super) fn is_interrupted(err: &::redis::RedisError) -> bool {
    // The library keeps its cause behind an Arc.
    type Cause = Arc<dyn std::error::Error + Send + Sync>;
    let source = std::error::Error::source(err);
    source
        .and_then(|source| source.downcast_ref::<Cause>())
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|cause| cause.kind() == io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_url_never_holds_the_password() {
        for url in [
            "redis://:s3cret@localhost:6390/2",
            "redis://chat:s3cret@localhost",
            "redis://:s3cret@localhost:port",
            "redis://:s3cret/x@localhost",
            "redis://:s3c#s3cret@localhost",
            "redis://:x?s3cret@localhost",
            "rediss://:s3cret@localhost",
            "unix:///run/redis.sock?pass=s3cret",
            "unix:///run/redis.sock?pass=a@s3cret",
            "unix:///run/redis.sock?pass=s3cret&db=x",
            ":s3cret@localhost",
        ] {
            assert!(!describe_url(url).contains("s3cret"), "{url} became {}", describe_url(url));
        }
    }

    #[test]
    fn a_described_url_says_where() {
        assert_eq!(describe_url("redis://chat:x@db.example:6390/2"), "redis://db.example:6390/2");
        assert_eq!(describe_url("redis://localhost"), "redis://localhost:6379/0");
        assert_eq!(describe_url("redis://[::1]:7000"), "redis://[::1]:7000/0");
        assert_eq!(describe_url("unix:///run/redis.sock?pass=x"), "unix:///run/redis.sock");
        assert_eq!(describe_url("localhost:6379"), "localhost:6379");
    }
}
