//! An upstream: its servers in nginx.conf's order, with what stands behind
//! their names there.

use serde::{Deserialize, Serialize};

use super::points::multiples_around;
use super::{KeyForm, POINTS_PER_WEIGHT, Ring, ServerName};

/// A server may have so many points: nginx's weight of 10,000.
pub const MAX_POINTS: u32 = 10_000 * POINTS_PER_WEIGHT;
/// All servers together: some 100 MB while the ring is being made.
pub const MAX_POINTS_IN_ALL: u32 = 4 * MAX_POINTS;
/// The name of the upstream unless another is given, as in `nginx/`.
pub const DEFAULT_NAME: &str = "chat_servers";

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// As nginx.conf writes it.
    pub server: ServerName,
    /// How many points it has.
    pub points: u32,
    /// Whether nginx is told to pass it over.
    #[serde(default)]
    pub down: bool,
    /// nginx's parameter of this name; as are the next ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_conns: Option<u32>,
    /// So many failed attempts within `fail_timeout` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fails: Option<u32>,
    /// … and it is passed over for that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_timeout: Option<Time>,
}

/// A time as nginx.conf writes it: `30`, `30s`, `1m30s`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(String);

/// All of an upstream that the ring depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// What of a client is hashed.
    pub key: KeyForm,
    /// In nginx.conf's order.
    pub servers: Vec<Server>,
}

/// Why a ring cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Too few or too many points.
    #[error("{0} has {points}: a server has at least 1 and at most {MAX_POINTS}", points = super::report::number(u64::from(*.1), "point"))]
    Points(ServerName, u32),
    /// Too many points of all servers together.
    #[error("the servers would have {0} points together; the limit is {MAX_POINTS_IN_ALL}")]
    InAll(u64),
    /// A name that would not be one word of a configuration.
    #[error("{0:?} as an upstream's name needs quotes in nginx.conf, which are not written here")]
    Name(String),
    /// A server twice.
    #[error("{0} is there twice")]
    Twice(ServerName),
}

impl Server {
    /// A new one, with the parameters that `nginx/` gives to all of ours.
    pub fn new(server: ServerName, points: u32) -> Server {
        let fail_timeout = Some(Time("30s".to_owned()));
        Server { server, points, down: false, max_conns: None, max_fails: Some(3), fail_timeout }
    }

    /// nginx's weight for its points; where there is none, the numbers of
    /// points next to its own that have one.
    ///
    /// # Errors
    /// Where its points are no multiple of 160.
    pub fn weight(&self) -> Result<u32, (Option<u32>, u32)> {
        if self.points > 0 && self.points.is_multiple_of(POINTS_PER_WEIGHT) {
            Ok(self.points / POINTS_PER_WEIGHT)
        } else {
            Err(multiples_around(self.points))
        }
    }
}

impl Time {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Time, String> {
        if is_time(&text) {
            Ok(Time(text))
        } else {
            Err(format!("{text:?} is not a time like 30s"))
        }
    }
}

/// As `ngx_parse_time` has it, for seconds: numbers with a unit each, the large
/// ones first, and a last one that may do without.
fn is_time(text: &str) -> bool {
    let mut units = "yMwdhms".chars();
    let (mut rest, mut any) = (text, false);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        // Nine digits overflow nothing, years included.
        if !(1..=9).contains(&digits) {
            return false;
        }
        any = true;
        match rest[digits..].chars().next() {
            None => return true,
            Some(unit) if units.any(|known| known == unit) => rest = &rest[digits + 1..],
            Some(_) => return false,
        }
    }
    any
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.0
    }
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream { name: DEFAULT_NAME.to_owned(), key: KeyForm::default(), servers: Vec::new() }
    }
}

impl Upstream {
    /// Where a server stands.
    pub fn position(&self, name: &ServerName) -> Option<usize> {
        self.servers.iter().position(|server| server.server == *name)
    }

    /// Its ring.
    pub fn ring(&self) -> Ring {
        Ring::new(self.servers.iter().map(|server| (&server.server, server.points)))
    }

    /// The points of all servers together, some of which may coincide.
    pub fn points(&self) -> u64 {
        self.servers.iter().map(|server| u64::from(server.points)).sum()
    }

    /// # Errors
    /// Where no ring can be made of it.
    pub fn check(&self) -> Result<(), RingError> {
        let special = |c: char| c.is_whitespace() || c.is_control() || "\"'\\;{}$#".contains(c);
        if self.name.is_empty() || self.name.contains(special) {
            return Err(RingError::Name(self.name.clone()));
        }
        for (position, server) in self.servers.iter().enumerate() {
            if !(1..=MAX_POINTS).contains(&server.points) {
                return Err(RingError::Points(server.server.clone(), server.points));
            }
            if self.position(&server.server) != Some(position) {
                return Err(RingError::Twice(server.server.clone()));
            }
        }
        match self.points() {
            points if points > u64::from(MAX_POINTS_IN_ALL) => Err(RingError::InAll(points)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nginxs() {
        for time in ["30", "30s", "1m30s", "1m30", "1y6M2w3d4h5m6s", "0", "007"] {
            assert!(is_time(time), "{time}");
        }
        for bad in
            ["", "s", "30x", "30s1m", "1m1m", "30ms", "-1", "+1", "1.5s", "30é", "9999999999"]
        {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
