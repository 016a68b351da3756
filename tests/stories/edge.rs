//! The edge: nginx between clients and servers, which servers believe it when
//! it says whose a connection is, and TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use crate::support::client::TestClient;
use crate::support::door::{Address, Door, Person};
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services::{Service, Variant};
use crate::support::tls::Certificate;
use crate::support::wait::{SOON, eventually};
use crate::support::wire::Wire;

/// What a client has no business to send.
const FORGED: &[u8] = b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8000\r\n";
/// Two clients of one nginx.
const FLOODER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));

/// A server that believes proxies at 127.0.0.1, as nginx is.
fn behind_nginx() -> TestServer {
    ServerPlan::new().switch("--proxy-protocol").flag("--log", "debug").start()
}

/// Connects from an address of one's own choice, which on 127.0.0.0/8 is free.
#[track_caller]
fn connect_from(source: &str, to: SocketAddr) -> (TestClient, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source = SocketAddr::new(source.parse().unwrap(), 0);
    socket.bind(&source.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    let own = stream.local_addr().unwrap();
    (TestClient::over(Wire::over(stream)), own)
}

#[track_caller]
fn logs(server: &TestServer, what: &str) {
    eventually(&format!("the server logs '{what}'"), SOON, || server.log().contains(what));
}

fn opened(peer: SocketAddr) -> String {
    format!("peer={peer} opened")
}

#[track_caller]
fn chat(from: &mut TestClient, to: &mut TestClient) {
    assert_eq!(from.tell(to, "hello"), "delivered");
    assert_eq!(to.next_push()["msg"], "hello");
}

#[test]
fn the_server_sees_its_clients_through_nginx() {
    let server = behind_nginx();
    let nginx = Service::nginx_as(Variant::ProxyProtocol, &[server.address()]);
    for source in ["127.0.0.1", "127.1.2.3", "127.4.5.6"] {
        let (mut client, own) = connect_from(source, nginx.address());
        client.ping();
        assert!(server.log().contains(&opened(own)), "{own}");
    }
    let door = Address(nginx.address());
    chat(&mut door.enter("alice"), &mut door.enter("bob"));
    // Nothing was opened for nginx itself.
    let log = server.log();
    assert_eq!(log.matches(" opened").count(), log.matches("comes by way of proxy=").count());
}

#[test]
fn a_header_that_a_client_forges_ends_its_connection_and_nothing_else() {
    let server = behind_nginx();
    let nginx = Service::nginx_as(Variant::ProxyProtocol, &[server.address()]);
    let (mut honest, _) = connect_from("127.1.2.3", nginx.address());
    honest.ping();
    let (mut forger, own) = connect_from("127.6.6.6", nginx.address());
    forger.send_bytes(FORGED);
    forger.expect_closed();
    logs(&server, &format!("peer={own} closed: no dialect starts with the byte 0x50"));
    assert!(server.log().contains(&opened(own)));
    assert!(!server.log().contains("203.0.113.9"));
    honest.ping();
}

#[test]
fn only_trusted_proxies_are_believed_and_they_must_speak_first() {
    let server = ServerPlan::new()
        .environment("CHAT_PROXY_PROTOCOL", "true")
        .flag("--trusted-proxies", "10.0.0.0/8, 127.9.0.0/16")
        .flag("--log", "debug")
        .start();

    // Not trusted: as without any proxy, and a header is no dialect.
    let (mut direct, own) = connect_from("127.0.0.1", server.address());
    direct.ping();
    assert!(server.log().contains(&opened(own)));
    let (mut liar, own) = connect_from("127.0.0.1", server.address());
    liar.send_bytes(FORGED);
    liar.expect_closed();
    logs(&server, &format!("from peer={own}, which is not among --trusted-proxies"));

    // Trusted: with a header somebody else, without one nobody.
    let (mut proxy, own) = connect_from("127.9.1.1", server.address());
    proxy.send_bytes(b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 8000\r\n");
    proxy.ping();
    logs(&server, &format!("peer=203.0.113.9:4711 comes by way of proxy={own}"));
    logs(&server, "peer=203.0.113.9:4711 opened");
    let (mut mute, own) = connect_from("127.9.1.1", server.address());
    mute.send_bytes(b"\0\0\0\x0c{\"msgid\":15}");
    mute.expect_closed();
    logs(&server, &format!("peer={own} closed: the first bytes are no PROXY header"));
    assert!(!server.log().contains(&opened(own)));
    direct.ping();
}

#[test]
fn where_nginx_and_server_are_configured_differently_the_log_says_so() {
    let expecting = behind_nginx();
    let plain_nginx = Service::nginx_as(Variant::Plain, &[expecting.address()]);
    let mut client = TestClient::connect(plain_nginx.address());
    client.send_bytes(b"\0\0\0\x0c{\"msgid\":15}");
    client.expect_closed();
    logs(&expecting, "closed: the first bytes are no PROXY header");

    let plain = TestServer::start();
    let telling_nginx = Service::nginx_as(Variant::ProxyProtocol, &[plain.address()]);
    let mut client = TestClient::connect(telling_nginx.address());
    client.expect_closed();
    logs(&plain, "a PROXY header from peer=127.0.0.1:");
    logs(&plain, "but --proxy-protocol is off");
}

#[test]
fn a_proxy_that_sends_no_headers_does_not_fill_the_log() {
    let server = ServerPlan::new().switch("--proxy-protocol").flag("--reactors", 1).start();
    for _ in 0..50 {
        let mut mute = TestClient::connect(server.address());
        mute.send_bytes(b"\0\0\0\x0c{\"msgid\":15}");
        mute.expect_closed();
    }
    // Answered in a later turn of that reactor: it has told what it tells.
    let mut proxy = TestClient::connect(server.address());
    proxy.send_bytes(b"PROXY UNKNOWN\r\n");
    proxy.ping();
    let told = server.log().matches("closed: the first bytes are no PROXY header").count();
    assert_eq!(told, 20);
}

#[test]
fn a_flooder_behind_nginx_is_slowed_down_and_its_neighbour_there_is_not() {
    let plan = ServerPlan::new().switch("--proxy-protocol").flag("--reactors", 1);
    let plan = plan.flag("--message-rate", 5).flag("--message-burst", 15);
    let server = plan.flag("--message-spare", 0).start();
    let nginx = Service::nginx_as(Variant::ProxyProtocol, &[server.address()]);
    let door = Address(nginx.address());
    let people = ["mallory", "alice", "bob"].map(|name| door.register(name));
    let from = [FLOODER, NEIGHBOUR, NEIGHBOUR];
    let mut clients: Vec<TestClient> =
        from.iter().map(|from| TestClient::connect_from(*from, nginx.address())).collect();
    for (client, person) in clients.iter_mut().zip(&people) {
        client.log_in(person).done();
    }
    let [flooder, alice, bob] = clients.as_mut_slice() else { unreachable!("three people") };

    let texts: Vec<String> = (0..45).map(|number| format!("flood {number}")).collect();
    let posted = flooder.post_all(&people[0], &texts);
    // Both stay within their bursts, a login and seven messages each.
    for number in 0..7 {
        assert_eq!(alice.tell(bob, &format!("to bob {number}")), "delivered");
        assert_eq!(bob.tell(alice, &format!("to alice {number}")), "delivered");
        assert_eq!(bob.next_text(), format!("to bob {number}"));
        assert_eq!(alice.next_text(), format!("to alice {number}"));
    }
    let last = *posted.last().unwrap();
    let at_once = flooder.reply_within(last, Duration::from_millis(1));
    assert_eq!(at_once, None, "the flood is still being read when they are through");

    let replies: Vec<_> = posted.into_iter().map(|one| flooder.reply_to(one)).collect();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.errno() == 12).collect();
    assert!(!refused.is_empty(), "beyond its burst not everything is granted");
    for reply in &refused {
        assert!(reply["retry_after"].as_u64() >= Some(1), "{reply:?}");
    }
    // Read at full speed, thirty and more would have been refused: a socket
    // that is not read for a while has its rate again when it is.
    assert!(refused.len() <= 15, "{} were refused", refused.len());
}

#[test]
fn limits_by_address_tell_clients_of_one_nginx_apart() {
    let plan = ServerPlan::new().switch("--proxy-protocol").flag("--registrations", 2);
    let plan = plan.flag("--address-login-failures", 3).flag("--max-connections-per-address", 2);
    let server = plan.start();
    let nginx = Service::nginx_as(Variant::ProxyProtocol, &[server.address()]);
    let mut flooder = TestClient::connect_from(FLOODER, nginx.address());
    let mut neighbour = TestClient::connect_from(NEIGHBOUR, nginx.address());

    for name in ["one", "two"] {
        flooder.register(name, "secret").done();
    }
    flooder.register("three", "secret").refused(12);
    let alice = neighbour.register("alice", "secret").done()["id"].as_i64().unwrap();

    for account in 1000..1003 {
        let guess = json!({"msgid": 1, "id": account, "password": "123456"});
        flooder.request(guess).refused(1);
    }
    flooder.request(json!({"msgid": 1, "id": alice, "password": "123456"})).refused(12);
    let login = |password| json!({"msgid": 1, "id": alice, "password": password});
    neighbour.request(login("mistyped")).refused(1);
    neighbour.request(login("secret")).done();

    let mut second = TestClient::connect_from(FLOODER, nginx.address());
    second.ping();
    let mut third = TestClient::connect_from(FLOODER, nginx.address());
    third.request(json!({"msgid": 15})).refused(12);
    third.expect_closed();
    TestClient::connect_from(NEIGHBOUR, nginx.address()).ping();
}

#[test]
fn a_chat_over_tls() {
    let server = behind_nginx();
    let certificate = Certificate::new();
    let (path, key) = (certificate.path(), certificate.key_path());
    let tls = Variant::Tls { certificate: &path, key: &key };
    let nginx = Service::nginx_as(tls, &[server.address()]);
    let enter = |name: &str, version| {
        let password = format!("{name}'s secret");
        let mut client = certificate.connect(nginx.address(), version);
        let id = client.register(name, &password).done()["id"].as_i64().unwrap();
        client.log_in(&Person { id, name: name.to_owned(), password }).done();
        client
    };
    let mut alice = enter("alice", &rustls::version::TLS13);
    let mut bob = enter("bob", &rustls::version::TLS12);
    chat(&mut alice, &mut bob);
    chat(&mut bob, &mut alice);
    for client in [&alice, &bob] {
        let own = SocketAddr::from(([127, 0, 0, 1], client.local_port()));
        assert!(server.log().contains(&opened(own)), "{own}");
    }
    drop((alice, bob));
    logs(&server, "closed: closed by the peer");
}

#[test]
fn plain_text_does_not_get_through_the_tls_port() {
    let server = behind_nginx();
    let certificate = Certificate::new();
    let (path, key) = (certificate.path(), certificate.key_path());
    let tls = Variant::Tls { certificate: &path, key: &key };
    let nginx = Service::nginx_as(tls, &[server.address()]);
    for bytes in [&b"\0\0\0\x0c{\"msgid\":15}"[..], FORGED] {
        let mut stream = TcpStream::connect(nginx.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(bytes).unwrap();
        // At most a TLS alert comes back, and then the end.
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}"),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
    assert!(!server.log().contains(" opened"));
    // The port itself serves who speaks TLS.
    certificate.connect(nginx.address(), &rustls::version::TLS13).ping();
}

#[test]
fn the_configurations_differ_in_nothing_but_what_they_are_for() {
    let directives = |text: &'static str, own: fn(&&str) -> bool| -> Vec<&str> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.filter(|line| !line.starts_with('#') && !own(line)).collect()
    };
    let plain = include_str!("../../nginx/nginx.conf");
    let telling = include_str!("../../nginx/nginx-proxy-protocol.conf");
    let tls = include_str!("../../nginx/nginx-tls.conf");
    assert_eq!(
        directives(telling, |line| *line == "proxy_protocol on;"),
        directives(plain, |_| false)
    );
    assert_eq!(
        directives(tls, |line| line.starts_with("ssl_") || line.starts_with("listen ")),
        directives(telling, |line| line.starts_with("listen "))
    );
}
