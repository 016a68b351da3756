//! Both ends of a connection with TLS, against a server that is rustls and
//! does what the test says.

use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::client::tls::Tls;

type Server = StreamOwned<ServerConnection, TcpStream>;

/// A connection to a server that acts so.
fn connect_to(act: impl FnOnce(Server) + Send + 'static) -> Transport {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let socket = listener.accept().unwrap().0;
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        act(stream);
    });
    let tls = Some(Tls::new("127.0.0.1", Some(Path::new(&ca))).unwrap());
    Transport::open(&Target { host: "127.0.0.1".to_owned(), port, tls }).unwrap()
}

#[test]
fn both_directions_are_full_at_once_and_everything_arrives() {
    // Far more than the sockets' buffers hold.
    const LEN: usize = 24 << 20;
    let (sender, received) = mpsc::channel();
    let mut transport = connect_to(move |mut server| {
        // Nothing is read before all is written: whoever did not read while
        // it writes would wait for ever.
        server.write_all(&vec![b's'; LEN]).unwrap();
        let mut got = vec![0; LEN];
        server.read_exact(&mut got).unwrap();
        sender.send(got).unwrap();
    });
    let mut reader = transport.reader().unwrap();
    let reading = thread::spawn(move || {
        let mut got = vec![0; LEN];
        reader.read_exact(&mut got).unwrap();
        got
    });
    transport.write(&vec![b'c'; LEN]).unwrap();
    assert!(reading.join().unwrap().iter().all(|byte| *byte == b's'));
    assert!(received.recv().unwrap().iter().all(|byte| *byte == b'c'));
}

#[test]
fn what_comes_with_the_end_is_read_before_it_and_a_goodbye_is_told_from_a_cut() {
    let transport = connect_to(|mut server| {
        server.conn.writer().write_all(b"bye").unwrap();
        server.conn.send_close_notify();
        // In one segment, with the end of the stream.
        server.conn.complete_io(&mut server.sock).ok();
    });
    let mut text = String::new();
    assert_eq!(transport.reader().unwrap().read_to_string(&mut text).unwrap(), 3);
    assert_eq!(text, "bye");

    let transport = connect_to(|mut server| server.write_all(b"by").unwrap());
    let (mut reader, mut bytes) = (transport.reader().unwrap(), Vec::new());
    let cut = reader.read_to_end(&mut bytes).unwrap_err();
    assert_eq!((&bytes[..], cut.kind()), (&b"by"[..], io::ErrorKind::ConnectionAborted));
}

#[test]
fn new_keys_are_taken_and_answered() {
    let mut transport = connect_to(|mut server| {
        for _ in 0..3 {
            server.conn.refresh_traffic_keys().unwrap();
            server.write_all(b"new").unwrap();
            let mut got = [0; 3];
            server.read_exact(&mut got).unwrap();
            server.write_all(&got).unwrap();
        }
    });
    let (mut reader, mut got) = (transport.reader().unwrap(), [0; 3]);
    for answer in [b"one", b"two", b"six"] {
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"new");
        transport.write(answer).unwrap();
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, answer);
    }
}

#[test]
fn closing_says_goodbye_and_ends_the_reader() {
    let (sender, read) = mpsc::channel();
    let transport = connect_to(move |mut server| {
        sender.send(server.read(&mut [0; 8]).unwrap()).unwrap();
    });
    let mut reader = transport.reader().unwrap();
    let reading = thread::spawn(move || reader.read(&mut [0; 8]).is_ok_and(|n| n > 0));
    transport.close();
    // An end without TLS's own would be an error there.
    assert_eq!(read.recv().unwrap(), 0);
    assert!(!reading.join().unwrap());
}

#[test]
fn bytes_changed_on_the_way_end_the_connection_and_the_server_hears_why() {
    let (sender, heard) = mpsc::channel();
    let transport = connect_to(move |mut server| {
        server.sock.write_all(b"\x17\x03\x03\0\x20").unwrap();
        server.sock.write_all(&[0xee; 0x20]).unwrap();
        sender.send(server.read(&mut [0; 8]).unwrap_err().to_string()).unwrap();
    });
    let broken = transport.reader().unwrap().read(&mut [0; 8]).unwrap_err();
    assert!(broken.get_ref().unwrap().is::<TlsBroken>(), "{broken}");
    transport.close();
    let alert = heard.recv().unwrap();
    assert!(alert.contains("BadRecordMac"), "{alert}");
}
