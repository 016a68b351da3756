use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ServerName {
    ServerName::parse(text).unwrap()
}

fn ring(servers: &[(&str, u32)]) -> Ring {
    let names: Vec<(ServerName, u32)> = servers.iter().map(|&(n, p)| (name(n), p)).collect();
    Ring::new(names.iter().map(|(n, p)| (n, *p)))
}

const NONE_DOWN: fn(usize) -> bool = |_| false;

#[test]
fn the_points_are_crc32s_that_go_on_with_the_one_before() {
    let of = |before: u32| {
        let mut text = b"127.0.0.1\x006000".to_vec();
        text.extend(before.to_le_bytes());
        crc32fast::hash(&text)
    };
    let first = of(0);
    let expected: HashSet<u32> = [first, of(first), of(of(first))].into();
    let points: HashSet<u32> = ring(&[("127.0.0.1:6000", 3)]).points().map(|(h, _)| h).collect();
    assert_eq!(points, expected);
}

#[test]
fn an_empty_ring_sends_nobody_anywhere() {
    assert_eq!(ring(&[]).pick("10.0.0.1", NONE_DOWN), Pick::Nobody);
    assert_eq!(ring(&[]).owner("10.0.0.1"), None);
    assert_eq!(ring(&[]).points().len(), 0);
}

#[test]
fn the_text_of_a_server_matters_not_its_address() {
    let points = |server: &str| ring(&[(server, 160)]).points().collect::<Vec<_>>();
    assert_ne!(points("localhost:6000"), points("127.0.0.1:6000"));
    assert_ne!(points("LOCALHOST:6000"), points("localhost:6000"));
}

/// Two servers whose texts have the same CRC-32, and so all points.
pub const TWINS: [&str; 2] = ["127.86.47.241:21780", "127.107.242.142:22227"];

#[test]
fn of_equal_points_the_server_that_is_named_first_has_them() {
    for twins in [TWINS, [TWINS[1], TWINS[0]]] {
        let ring = ring(&[(twins[0], 160), (twins[1], 320)]);
        assert_eq!(ring.points().len(), 320);
        assert_eq!(ring.points().filter(|&(_, server)| server == 0).count(), 160);
    }
}

#[test]
fn after_twenty_steps_nginx_takes_turns() {
    let ring = ring(&[("10.0.0.1:1", 160_000), ("10.0.0.2:1", 1), ("10.0.0.3:1", 1)]);
    let keys: Vec<String> = (0..100).map(|i| format!("10.1.1.{i}")).collect();
    let picks = |is_down: fn(usize) -> bool| -> Vec<Pick> {
        keys.iter().map(|key| ring.pick(key, is_down)).collect()
    };
    assert!(picks(|s| s == 0).contains(&Pick::Turns));
    assert_eq!(picks(|s| s != 2), vec![Pick::Server(2); 100], "turns among one are certain");
    assert_eq!(picks(|_| true), vec![Pick::Nobody; 100]);
}

#[test]
fn the_multiples_of_160_around_a_number_are_named() {
    assert_eq!(multiples_around(1), (None, 160));
    assert_eq!(multiples_around(159), (None, 160));
    assert_eq!(multiples_around(200), (Some(160), 320));
    assert_eq!(multiples_around(321), (Some(320), 480));
}

/// Servers with different texts, and their points; most with nginx's numbers.
fn servers() -> impl Strategy<Value = Vec<(ServerName, u32)>> {
    let host = prop_oneof![
        any::<[u8; 4]>().prop_map(|a| std::net::Ipv4Addr::from(a).to_string()),
        any::<[u8; 16]>().prop_map(|a| std::net::Ipv6Addr::from(a).to_string()),
        "[a-z][a-z0-9]{0,9}",
    ];
    let points = prop_oneof![3 => (1u32..5).prop_map(|w| w * POINTS_PER_WEIGHT), 1 => 1u32..500];
    let server = (host, 1u16.., points)
        .prop_map(|(host, port, n)| (ServerName::new(&host, &port.to_string()).unwrap(), n));
    prop::collection::vec(server, 2..7).prop_map(|mut servers| {
        let mut seen = HashSet::new();
        servers.retain(|(name, _)| seen.insert(name.clone()));
        servers
    })
}

fn keys() -> impl Strategy<Value = Vec<String>> {
    let key = any::<[u8; 4]>().prop_map(|a| std::net::Ipv4Addr::from(a).to_string());
    prop::collection::vec(key, 200)
}

fn build(servers: &[(ServerName, u32)]) -> Ring {
    Ring::new(servers.iter().map(|(name, points)| (name, *points)))
}

fn owner<'a>(servers: &'a [(ServerName, u32)], ring: &Ring, key: &str) -> Option<&'a ServerName> {
    ring.owner(key).map(|server| &servers[server].0)
}

proptest! {
    #[test]
    fn removing_a_server_moves_its_clients_only(
        servers in servers(), which in any::<prop::sample::Index>(), keys in keys(),
    ) {
        let mut fewer = servers.clone();
        let (removed, _) = fewer.remove(which.index(servers.len()));
        let (before, after) = (build(&servers), build(&fewer));
        for key in &keys {
            let had = owner(&servers, &before, key).unwrap();
            if *had != removed {
                prop_assert_eq!(owner(&fewer, &after, key), Some(had));
            }
        }
    }

    #[test]
    fn adding_a_server_moves_clients_to_it_only(servers in servers(), keys in keys()) {
        let (added, fewer) = servers.split_last().unwrap();
        let (before, after) = (build(fewer), build(&servers));
        for key in &keys {
            let has = owner(&servers, &after, key).unwrap();
            if *has != added.0 {
                prop_assert_eq!(owner(fewer, &before, key), Some(has));
            }
        }
    }

    #[test]
    fn a_server_that_is_down_is_passed_over_as_if_it_were_not_there(
        servers in servers(), which in any::<prop::sample::Index>(), keys in keys(),
    ) {
        let down = which.index(servers.len());
        let mut fewer = servers.clone();
        fewer.remove(down);
        let (all, without) = (build(&servers), build(&fewer));
        // Points that two servers share are rare, and tested above.
        prop_assume!(all.points().len() == servers.iter().map(|s| s.1 as usize).sum::<usize>());
        for key in &keys {
            if let Pick::Server(server) = all.pick(key, |s| s == down)
                && servers.len() > 2
            {
                prop_assert_eq!(Some(&servers[server].0), owner(&fewer, &without, key));
            }
        }
    }

    #[test]
    fn points_ascend_and_are_as_many_as_asked_for(servers in servers()) {
        let ring = build(&servers);
        let points: Vec<(u32, usize)> = ring.points().collect();
        prop_assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        for (server, (_, count)) in servers.iter().enumerate() {
            let has = points.iter().filter(|point| point.1 == server).count();
            prop_assert!(has <= *count as usize);
        }
    }

    #[test]
    fn what_is_picked_is_never_down(
        servers in servers(), down in any::<u8>(), keys in keys(),
    ) {
        let ring = build(&servers);
        let is_down = |server: usize| down >> server & 1 == 1;
        for key in &keys {
            match ring.pick(key, is_down) {
                Pick::Server(server) => prop_assert!(!is_down(server)),
                Pick::Turns => prop_assert!((0..servers.len()).filter(|&s| !is_down(s)).count() > 1),
                Pick::Nobody => prop_assert!((0..servers.len()).all(is_down)),
            }
        }
    }
}
