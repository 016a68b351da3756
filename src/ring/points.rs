//! The ring: nginx's own points, and its way from a key to a server.
//!
//! Source: `ngx_stream_upstream_hash_module.c`, `update_chash`,
//! `find_chash_point` and `get_chash_peer`, release 1.22. The points are those
//! of Cache::Memcached::Fast's Ketama.

use super::{POINTS_PER_WEIGHT, ServerName};

/// nginx looks at the point that a key falls to and at so many after it; if
/// the servers of all of them are down it takes turns.
const STEPS: usize = 20;

/// The points of all servers, ascending. Servers are named by their place in
/// the order in which they were given, which is nginx.conf's.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    points: Vec<Point>,
    servers: usize,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    hash: u32,
    server: u32,
}

/// Where nginx sends a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// To this server.
    Server(usize),
    /// Nobody can say: all points in reach are of servers that are down, and
    /// nginx takes turns among the others.
    Turns,
    /// Nowhere: there is no server, or each is down.
    Nobody,
}

impl Ring {
    /// The ring of these servers, each with its number of points.
    pub fn new<'a>(servers: impl IntoIterator<Item = (&'a ServerName, u32)>) -> Ring {
        let mut ring = Ring::default();
        for (name, count) in servers {
            let server = u32::try_from(ring.servers).unwrap_or(u32::MAX);
            ring.points
                .extend(hashes(name).take(count as usize).map(|hash| Point { hash, server }));
            ring.servers += 1;
        }
        // Of equal points the first server's stays: nginx sorts with the C
        // library's qsort, which for an array of this kind is a stable merge
        // sort in glibc, and keeps the first.
        ring.points.sort_by_key(|point| point.hash);
        ring.points.dedup_by_key(|point| point.hash);
        ring
    }

    /// Every point with its server, in ascending order.
    pub fn points(&self) -> impl ExactSizeIterator<Item = (u32, usize)> {
        self.points.iter().map(|point| (point.hash, point.server as usize))
    }

    /// Where nginx sends the client with this key while some servers are down.
    pub fn pick(&self, key: &str, is_down: impl Fn(usize) -> bool) -> Pick {
        let hash = crc32fast::hash(key.as_bytes());
        let first = self.points.partition_point(|point| point.hash < hash);
        let around = self.points[first..].iter().chain(self.points.iter().cycle());
        let mut in_reach = around.take(1 + STEPS).map(|point| point.server as usize);
        if let Some(server) = in_reach.find(|&server| !is_down(server)) {
            return Pick::Server(server);
        }
        let mut up = (0..self.servers).filter(|&server| !is_down(server));
        match (up.next(), up.next()) {
            (None, _) => Pick::Nobody,
            (Some(only), None) => Pick::Server(only),
            (Some(_), Some(_)) => Pick::Turns,
        }
    }

    /// The server to whose point the key falls, up or down.
    pub fn owner(&self, key: &str) -> Option<usize> {
        match self.pick(key, |_| false) {
            Pick::Server(server) => Some(server),
            Pick::Turns | Pick::Nobody => None,
        }
    }
}

/// A server's points, without end: each is a CRC-32 that goes on with the one
/// before it.
fn hashes(name: &ServerName) -> impl Iterator<Item = u32> {
    let (host, port) = name.hashed_parts();
    let mut base = crc32fast::Hasher::new();
    for part in [host, b"\0", port] {
        base.update(part);
    }
    let next = move |before: u32| {
        let mut hasher = base.clone();
        hasher.update(&before.to_le_bytes());
        hasher.finalize()
    };
    let first = next(0);
    std::iter::successors(Some(first), move |&before| Some(next(before)))
}

/// The multiples of 160 next to `points`, below and above; a server that nginx
/// balances over has at least 160.
pub fn multiples_around(points: u32) -> (Option<u32>, u32) {
    let below = points / POINTS_PER_WEIGHT * POINTS_PER_WEIGHT;
    ((below > 0).then_some(below), below + POINTS_PER_WEIGHT)
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
