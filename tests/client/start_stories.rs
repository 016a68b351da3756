//! The command line.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::piped::{Piped, script};

#[test]
fn without_a_server_one_sentence_says_where_it_was_sought() {
    // Bound, so that nobody else is given this port, but not listening.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let finished = script(port, "3");
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stderr.len(), 1, "{:?}", finished.stderr);
    let sentence = &finished.stderr[0];
    assert!(sentence.contains(&format!("Cannot reach 127.0.0.1 port {port}")), "{sentence}");
    assert!(sentence.contains("connection refused"), "{sentence}");
}

#[test]
fn a_host_without_address_is_one_sentence_too() {
    let finished = Piped::spawn(&["no-such-host.invalid", "6000"]).finish();
    assert_eq!(finished.code, Some(1));
    assert!(finished.err().contains("Cannot reach no-such-host.invalid"), "{}", finished.err());
}

#[test]
fn wrong_usage_is_exit_status_2() {
    for args in [&[][..], &["127.0.0.1"], &["127.0.0.1", "0"], &["127.0.0.1", "x"], &["--nope"]] {
        let finished = Piped::spawn(args).finish();
        assert_eq!(finished.code, Some(2), "{args:?}");
        assert!(finished.err().contains("--help"), "{args:?}: {}", finished.err());
    }
}

#[test]
fn help_and_version_are_there() {
    let help = Piped::spawn(&["--help"]).finish();
    assert_eq!(help.code, Some(0));
    assert!(help.out().contains("Exit status"), "{}", help.out());
    let version = Piped::spawn(&["--version"]).finish();
    assert_eq!(version.out(), format!("ChatClient {}", env!("CARGO_PKG_VERSION")));
}

/// A port whose every connection is handled like this.
pub fn port_that(handle: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().for_each(|stream| handle(stream.unwrap())));
    port
}

#[test]
fn a_balancer_without_servers_is_told_from_a_wrong_password() {
    // It takes the connection and closes it, as nginx does.
    let port = port_that(drop);
    for (lines, what) in [("1\n1\npw", "Login"), ("2\nann\npw", "Registration")] {
        let finished = script(port, lines);
        assert_eq!(finished.code, Some(1));
        let sentence = format!(
            "{what} failed: no ChatServer answered at 127.0.0.1 port {port}: \
             it, or every server behind a balancer there, is down, or wants TLS (--tls)."
        );
        assert_eq!(finished.stderr, [sentence]);
    }
}

#[test]
fn a_port_of_something_else_is_said_to_be_no_chat_server() {
    // A database greets whoever connects.
    let port = port_that(|mut stream| {
        stream.write_all(b"d\0\0\0\x0a10.11.6-MariaDB").ok();
        // Until the client has gone.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let finished = script(port, "1\n1\npw");
    let sentence = format!(
        "Login failed: what answers at 127.0.0.1 port {port} is no ChatServer: \
         check the address and the port."
    );
    assert_eq!(finished.stderr, [sentence]);
}
