//! Shares of clients, measured over made-up clients: the same ones at every
//! run, spread over the addresses of the Internet.

use std::net::{IpAddr, Ipv4Addr};

use super::upstream::Upstream;
use super::{Client, Pick, Ring};

/// So many clients are made up unless a number is given: enough for a tenth of
/// a per cent.
pub const DEFAULT_CLIENTS: u32 = 100_000;
/// Some seconds.
pub const MAX_CLIENTS: u32 = 10_000_000;

/// An upstream with its ring, to ask where clients go.
#[derive(Clone, Copy)]
pub struct Balancer<'a> {
    /// The servers.
    pub upstream: &'a Upstream,
    /// Their ring.
    pub ring: &'a Ring,
}

impl<'a> Balancer<'a> {
    /// Where nginx sends a client.
    pub fn pick(self, client: Client) -> Pick {
        self.ring.pick(&client.key(self.upstream.key), |server| self.upstream.servers[server].down)
    }

    /// The same, as a name; `None` if no server is certain.
    fn name(self, client: Client) -> Option<&'a str> {
        match self.pick(client) {
            Pick::Server(server) => Some(self.upstream.servers[server].server.as_str()),
            Pick::Turns | Pick::Nobody => None,
        }
    }

    /// Each server's share of the points of those that are up: what it is
    /// meant to have.
    pub fn expected(self) -> Vec<f64> {
        let servers = &self.upstream.servers;
        let points = |server: &super::upstream::Server| {
            if server.down { 0.0 } else { f64::from(server.points) }
        };
        let in_all: f64 = servers.iter().map(points).sum();
        servers.iter().map(|server| points(server) / in_all.max(1.0)).collect()
    }

    /// How many of `clients` go to each server, and how many to none that is
    /// certain.
    pub fn count(self, clients: impl Iterator<Item = Client>) -> (Vec<u32>, u32) {
        let (mut counts, mut uncertain) = (vec![0; self.upstream.servers.len()], 0);
        for client in clients {
            match self.pick(client) {
                Pick::Server(server) => counts[server] += 1,
                Pick::Turns | Pick::Nobody => uncertain += 1,
            }
        }
        (counts, uncertain)
    }
}

/// How many of `clients` have another server after a change than before.
pub fn moved(
    before: Balancer<'_>,
    after: Balancer<'_>,
    clients: impl Iterator<Item = Client>,
) -> u32 {
    let moves = |client: &Client| before.name(*client) != after.name(*client);
    u32::try_from(clients.filter(moves).count()).unwrap_or(u32::MAX)
}

/// The least share of clients that any balancer would have to move: what the
/// servers gain that have more than before. For one of n equal servers that
/// comes or goes it is 1/n.
pub fn ideal_moved(before: Balancer<'_>, after: Balancer<'_>) -> f64 {
    let old = before.expected();
    let gain = |(position, now): (usize, f64)| {
        let name = &after.upstream.servers[position].server;
        let had = before.upstream.position(name).map_or(0.0, |position| old[position]);
        (now - had).max(0.0)
    };
    after.expected().into_iter().enumerate().map(gain).sum()
}

/// `count` made-up clients.
pub fn clients(count: u32) -> impl Iterator<Item = Client> {
    (0..u64::from(count)).map(|number| {
        let random = mix(number);
        let [a, b, c, d, e, f, ..] = random.to_le_bytes();
        // From 1.0.0.0 to 223.255.255.255, as far as a byte goes.
        let address = Ipv4Addr::new(1 + a % 223, b, c, d);
        let port = u16::from_le_bytes([e, f]).max(1024);
        Client { address: IpAddr::V4(address), port }
    })
}

/// SplitMix64's function: every number gives another one, without a pattern.
fn mix(number: u64) -> u64 {
    let mut z = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::ServerName;
    use crate::ring::upstream::Server;

    fn upstream(weights: &[u32]) -> Upstream {
        let server = |(port, weight): (usize, &u32)| {
            let name = ServerName::new("10.0.0.1", &(6000 + port).to_string()).unwrap();
            Server::new(name, weight * 160)
        };
        Upstream {
            servers: weights.iter().enumerate().map(server).collect(),
            ..Upstream::default()
        }
    }

    #[test]
    fn shares_are_near_the_weights() {
        let upstream = upstream(&[1, 1, 2]);
        let ring = upstream.ring();
        let balancer = Balancer { upstream: &upstream, ring: &ring };
        assert_eq!(balancer.expected(), [0.25, 0.25, 0.5]);
        let (counts, uncertain) = balancer.count(clients(20_000));
        assert_eq!((counts.iter().sum::<u32>(), uncertain), (20_000, 0));
        for (count, expected) in counts.iter().zip(balancer.expected()) {
            // 160 points give a server its share within some fifteen per cent.
            let ratio = f64::from(*count) / 20_000.0 / expected;
            assert!((0.7..1.3).contains(&ratio), "{counts:?}");
        }
    }

    #[test]
    fn the_ideal_is_one_nth() {
        let (three, four) = (upstream(&[1, 1, 1]), upstream(&[1, 1, 1, 1]));
        let (old, new) = (three.ring(), four.ring());
        let (three, four) =
            (Balancer { upstream: &three, ring: &old }, Balancer { upstream: &four, ring: &new });
        assert!((ideal_moved(three, four) - 0.25).abs() < 1e-9);
        assert!((ideal_moved(four, three) - 0.25).abs() < 1e-9);
        assert!(ideal_moved(three, three) < 1e-9);
        let measured = f64::from(moved(three, four, clients(20_000))) / 20_000.0;
        assert!((0.17..0.33).contains(&measured), "{measured}");
        assert_eq!(moved(three, three, clients(1_000)), 0);
    }
}
