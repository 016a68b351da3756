//! `get` says what nginx does: every single client of some hundred addresses.

use std::net::SocketAddr;

use crate::support::services::{Service, Variant};
use crate::tool::Tool;
use crate::upstreams::{Client, Upstream, sources};

const CLIENTS: u32 = 400;

/// nginx over these servers, and the tool with nginx's configuration.
struct Pair {
    nginx: Service,
    tool: Tool,
}

impl Pair {
    fn new(variant: Variant<'_>, servers: &[SocketAddr]) -> Pair {
        let nginx = Service::nginx_as(variant, servers);
        let pair = Pair { nginx, tool: Tool::new() };
        pair.tool.answer(&format!("import {}", pair.conf()));
        pair
    }

    fn conf(&self) -> String {
        self.nginx.conf().display().to_string()
    }

    /// nginx gets what the tool has.
    #[track_caller]
    fn export(&self) {
        let said = self.tool.answer(&format!("export {} --reload", self.conf()));
        assert!(said.contains("nginx -t agrees.\nnginx is told to reload"), "{said}");
        // Once more, to wait until no worker of before takes connections.
        self.nginx.reload();
    }

    /// Lets clients connect and compares; which servers they got.
    #[track_caller]
    fn agree(&self) -> Vec<String> {
        let clients: Vec<Client> = sources(CLIENTS)
            .into_iter()
            .map(|s| Client::connect(s, self.nginx.address()))
            .collect();
        let picked: Vec<String> = clients.iter().map(|client| client.server.clone()).collect();
        let asked: String = clients
            .iter()
            .map(|client| format!("get {} {}\n", client.local.ip(), client.local.port()))
            .collect();
        let run = self.tool.lines(&asked);
        assert_eq!(run.code, Some(0), "{}", run.err);
        let foretold = run.out.replace("localhost:", "127.0.0.1:");
        let foretold: Vec<&str> = foretold.lines().collect();
        assert_eq!(foretold.len(), picked.len());
        for ((client, foretold), picked) in clients.iter().zip(foretold).zip(&picked) {
            assert_eq!(foretold, picked, "client {}", client.local);
        }
        picked
    }
}

fn count(picked: &[String], server: &Upstream) -> usize {
    let address = server.address().to_string();
    picked.iter().filter(|picked| **picked == address).count()
}

#[test]
fn get_equals_nginx_with_weights_and_with_a_server_down() {
    let mut servers = [Upstream::start(), Upstream::start(), Upstream::start()];
    let addresses = [0, 1, 2].map(|i| servers[i].address());
    let pair = Pair::new(Variant::Hash, &addresses);
    pair.tool.answer(&format!("add 127.0.0.1 {} 320", addresses[2].port()));
    pair.export();
    let picked = pair.agree();
    let shares = [0, 1, 2].map(|i| count(&picked, &servers[i]));
    assert!(shares.iter().all(|&share| share > 40), "{shares:?}");
    assert!(shares[2] > 120, "it has a weight of 2: {shares:?}");

    // It goes down by itself …
    servers[2].stop();
    pair.tool.answer(&format!("down 127.0.0.1 {}", addresses[2].port()));
    assert_eq!(count(&pair.agree(), &servers[2]), 0);
    // … another one because nginx is told so.
    pair.tool.answer(&format!("up 127.0.0.1 {}", addresses[2].port()));
    servers[2] = Upstream::at(&addresses[2].to_string());
    pair.tool.answer(&format!("down 127.0.0.1 {}", addresses[0].port()));
    let said = pair.tool.run(&format!("export {} --reload", pair.conf()));
    assert!(said.err.contains("Written as down"), "{said:?}");
    pair.nginx.reload();
    assert_eq!(count(&pair.agree(), &servers[0]), 0);
}

#[test]
fn get_equals_nginx_by_address_and_port() {
    let servers = [Upstream::start(), Upstream::start(), Upstream::start()];
    let addresses = [0, 1, 2].map(|i| servers[i].address());
    let pair = Pair::new(Variant::HashAddrPort, &addresses);
    pair.agree();
    // The flag goes before what was imported, and into what is exported.
    let pair = Pair::new(Variant::Hash, &addresses);
    let pair = Pair { tool: pair.tool.with(&["--key", "addr-port"]), nginx: pair.nginx };
    pair.export();
    pair.agree();
    // One address, many ports: all servers.
    let clients: Vec<String> = (0..60)
        .map(|_| Client::connect([127, 9, 9, 9].into(), pair.nginx.address()).server)
        .collect();
    assert!(servers.iter().all(|server| count(&clients, server) > 0), "{clients:?}");
}

#[test]
fn get_equals_nginx_where_a_server_is_written_by_name() {
    let servers = [Upstream::start(), Upstream::start()];
    let addresses = [0, 1].map(|i| servers[i].address());
    let pair = Pair::new(Variant::Hash, &addresses);
    let by_address = pair.agree();
    let port = addresses[1].port();
    pair.tool.answer(&format!("del 127.0.0.1 {port}"));
    pair.tool.answer(&format!("add localhost {port} 160"));
    pair.export();
    let by_name = pair.agree();
    assert_ne!(by_address, by_name, "its text is hashed, not its address");
}

/// Two servers whose texts have the same CRC-32, and so the same points.
const TWINS: [&str; 2] = ["127.86.47.241:21780", "127.107.242.142:22227"];

#[test]
fn of_two_servers_with_equal_points_nginx_keeps_the_first() {
    let twins = TWINS.map(Upstream::at);
    let third = Upstream::start();
    for order in [[0, 1], [1, 0]] {
        let [first, second] = order.map(|i| &twins[i]);
        let servers = [first.address(), second.address(), third.address()];
        let pair = Pair::new(Variant::Hash, &servers);
        let picked = pair.agree();
        assert!(count(&picked, first) > 100, "{picked:?}");
        assert_eq!(count(&picked, second), 0);
        // Twice as many points: the second half is its own.
        let run =
            pair.tool.run(&format!("add {} 320", second.address().to_string().replace(':', " ")));
        assert!(run.err.contains("160 points of the ring are wanted by two servers"), "{run:?}");
        pair.export();
        assert!(count(&pair.agree(), second) > 50);
    }
}

#[test]
fn nginx_makes_twenty_steps_and_then_takes_turns() {
    let servers = [Upstream::start(), Upstream::start(), Upstream::start()];
    let addresses = [0, 1, 2].map(|i| servers[i].address());
    let pair = Pair::new(Variant::Hash, &addresses);
    // Nearly all points are of a server that is down.
    let large = format!("127.0.0.1 {}", addresses[0].port());
    pair.tool.answer(&format!("add {large} 8000"));
    pair.tool.answer(&format!("down {large}"));
    assert_eq!(pair.tool.run(&format!("export {} --reload", pair.conf())).code, Some(0));
    pair.nginx.reload();

    let sources = sources(CLIENTS);
    let asked: String = sources.iter().map(|source| format!("get {source} 1\n")).collect();
    let run = pair.tool.lines(&asked);
    let mut foretold = run.out.lines();
    let (mut certain, mut turns) = (0, 0);
    for (number, source) in (1..).zip(sources) {
        let pick = || Client::connect(source, pair.nginx.address()).server;
        let said = format!("ConsistentHash: line {number}: ");
        if let Some(said) = run.err.lines().find(|line| line.starts_with(&said)) {
            assert!(said.contains("20 points after this client's: nginx takes turns"), "{said}");
            let first = pick();
            let another = (0..20).any(|_| pick() != first);
            assert!(another, "{source} always gets {first}");
            turns += 1;
        } else {
            let foretold = foretold.next().unwrap();
            assert_eq!([foretold; 3], [pick(), pick(), pick()], "{source}");
            certain += 1;
        }
    }
    assert!(certain > 100 && turns > 100, "{certain} {turns}");
}
