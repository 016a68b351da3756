//! TLS: ChatClient through an nginx that terminates it, and what a person
//! reads where that does not work.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};

use rcgen::{BasicConstraints, IsCa, SanType, date_time_ymd};

use crate::piped::{Finished, Piped, script};
use crate::proxy::Proxy;
use crate::start_stories::port_that;
use crate::support::door::Door;
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services::{Service, Variant};
use crate::support::tls::Certificate;

fn behind_nginx() -> TestServer {
    ServerPlan::new().switch("--proxy-protocol").start()
}

/// An nginx that shows this certificate.
fn nginx(certificate: &Certificate, server: &TestServer) -> Service {
    let (certificate, key) = (certificate.path(), certificate.key_path());
    let tls = Variant::Tls { certificate: &certificate, key: &key };
    Service::nginx_as(tls, &[server.address()])
}

/// A certificate for 127.0.0.1, which is where clients connect to.
fn for_the_address() -> Certificate {
    let address = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Certificate::with(|params| params.subject_alt_names.push(address))
}

/// A client that trusts this certificate and nobody else.
fn client(port: u16, certificate: &Certificate, more: &[&str]) -> Piped {
    let (port, ca) = (port.to_string(), certificate.path());
    let mut args = vec!["127.0.0.1", &port, "--tls-ca", ca.to_str().unwrap()];
    args.extend(more);
    Piped::spawn(&args)
}

/// What becomes of a client that gets no further than the connection.
#[track_caller]
fn refused(client: Piped, port: u16, reason: &str) {
    let finished = client.finish();
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stderr.len(), 1, "{}", finished.err());
    let begin = format!("No TLS with 127.0.0.1 port {port}: {reason}");
    assert!(finished.err().starts_with(&begin), "{}\n{begin}", finished.err());
}

#[test]
fn two_people_chat_over_tls_in_short_and_in_long_messages() {
    let (server, certificate) = (behind_nginx(), Certificate::new());
    let nginx = nginx(&certificate, &server);
    // Any case of the name will do.
    let mut ann = client(nginx.port(), &certificate, &["--tls-name", "Chat.Test"]);
    let mut bob = client(nginx.port(), &certificate, &["--tls-name", "chat.test"]);
    let (ann_id, bob_id) = (ann.enrol("ann"), bob.enrol("bob"));
    ann.send(&format!("chat:{bob_id}:hello"));
    bob.wait_for("(ann): hello");
    let long = "0123456789".repeat(6_000);
    bob.send(&format!("chat:{ann_id}:{long}"));
    ann.wait_for(&format!("(bob): {long}"));
    for finished in [ann.finish(), bob.finish()] {
        assert_eq!((finished.code, finished.err().as_str()), (Some(0), ""));
    }
}

#[test]
fn an_address_is_verified_like_a_name() {
    let (server, certificate) = (behind_nginx(), for_the_address());
    let nginx = nginx(&certificate, &server);
    client(nginx.port(), &certificate, &[]).enrol("ann");
}

#[test]
fn without_a_file_the_system_says_whom_to_trust_and_the_environment_serves_for_the_flags() {
    let (server, certificate) = (behind_nginx(), for_the_address());
    let nginx = nginx(&certificate, &server);
    let start = |port: u16, environment: &[(&str, &str)]| {
        Piped::spawn_with(|command| {
            command.args(["127.0.0.1", &port.to_string()]);
            command.env("CHAT_STATE_DIR", "").envs(environment.iter().copied());
        })
    };
    let path = certificate.path();
    let path = path.to_str().unwrap();
    start(nginx.port(), &[("CHAT_TLS", "true"), ("SSL_CERT_FILE", path)]).enrol("ann");
    start(nginx.port(), &[("CHAT_TLS_CA", path), ("CHAT_TLS_NAME", "chat.test")]).enrol("bob");
    // Empty variables are none, and so is a no.
    let off = [("CHAT_TLS", "no"), ("CHAT_TLS_CA", ""), ("CHAT_TLS_NAME", "")];
    start(TestServer::start().port(), &off).enrol("carol");

    let distrusting = start(nginx.port(), &[("CHAT_TLS", "1")]);
    refused(distrusting, nginx.port(), "its certificate is signed by nobody that this system");
}

#[test]
fn who_is_not_trusted_or_somebody_else_gets_no_password_and_the_reason_is_told() {
    let (server, certificate) = (behind_nginx(), Certificate::new());
    let nginx = nginx(&certificate, &server);
    let port = nginx.port();
    let other = Certificate::new();
    let reason = format!("its certificate is signed by nobody that {}", other.path().display());
    refused(client(port, &other, &["--tls-name", "chat.test"]), port, &reason);
    let reason = "its certificate is not for 127.0.0.1 but for chat.test. Connect by a name";
    refused(client(port, &certificate, &[]), port, reason);
    let reason = "its certificate is not for other.test but for chat.test.";
    refused(client(port, &certificate, &["--tls-name", "other.test"]), port, reason);
}

#[test]
fn a_certificate_out_of_its_time_and_a_cas_own_are_told_apart() {
    let server = behind_nginx();
    let expired = Certificate::with(|params| params.not_after = date_time_ymd(2001, 2, 3));
    let early = Certificate::with(|params| params.not_before = date_time_ymd(2999, 1, 2));
    let ca = Certificate::with(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    for (certificate, reason) in [
        (expired, "its certificate has expired, on 2001-02-03. Whoever runs it has to renew"),
        (early, "its certificate is not valid yet, only from 2999-01-02 on. Is this machine's"),
        (ca, "its certificate is a CA's own. A server needs one with basicConstraints"),
    ] {
        let nginx = nginx(&certificate, &server);
        let client = client(nginx.port(), &certificate, &["--tls-name", "chat.test"]);
        refused(client, nginx.port(), reason);
    }
}

#[test]
fn a_server_without_tls_is_told_from_one_that_says_nothing() {
    let certificate = Certificate::new();
    let plain = TestServer::start();
    let no_tls = "it speaks no TLS. Name the port that does, or leave out --tls";
    refused(client(plain.port(), &certificate, &[]), plain.port(), no_tls);
    let database = port_that(|mut stream| {
        stream.write_all(b"d\0\0\0\x0a10.11.6-MariaDB").ok();
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    refused(client(database, &certificate, &[]), database, no_tls);
    let mute = port_that(|mut stream| {
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let reason = "it did not answer within 5 s. Check the port.";
    refused(client(mute, &certificate, &[]), mute, reason);
}

#[test]
fn who_forgets_tls_reads_what_is_missing() {
    // nginx hangs up without a word.
    let (server, certificate) = (behind_nginx(), Certificate::new());
    let nginx = nginx(&certificate, &server);
    let finished = script(nginx.port(), "1\n1\npw");
    assert!(finished.err().ends_with("is down, or wants TLS (--tls)."), "{}", finished.err());

    // Others complain, in TLS: a fatal alert, "unexpected message".
    let port = port_that(|mut stream| {
        if matches!(stream.read(&mut [0; 64]), Ok(1..)) {
            stream.write_all(b"\x15\x03\x03\0\x02\x02\x0a").ok();
        }
    });
    let Finished { code, stderr, .. } = script(port, "1\n1\npw");
    let sentence = format!(
        "Login failed: what answers at 127.0.0.1 port {port} speaks TLS: \
         start the client with --tls."
    );
    assert_eq!((code, stderr), (Some(1), vec![sentence]));
}

#[test]
fn a_balancer_without_servers_is_recognised_behind_tls_too() {
    let certificate = for_the_address();
    let dead = behind_nginx();
    let nginx = nginx(&certificate, &dead);
    drop(dead);
    let mut client = client(nginx.port(), &certificate, &[]);
    client.send("1\n1\npw");
    let finished = client.finish();
    let sentence = format!(
        "Login failed: no ChatServer answered at 127.0.0.1 port {}: \
         it, or every server behind a balancer there, is down.",
        nginx.port()
    );
    assert_eq!(finished.stderr, [sentence]);
}

#[test]
fn a_lost_connection_comes_back_over_tls_but_not_to_somebody_else() {
    let (server, certificate) = (behind_nginx(), for_the_address());
    let (real, wrong) = (nginx(&certificate, &server), nginx(&Certificate::new(), &server));
    let proxy = Proxy::to(real.port());
    let mut ann = client(proxy.port, &certificate, &[]);
    let id = ann.enrol("ann");
    proxy.lead_to(wrong.port());
    proxy.cut_clients();
    ann.wait_for("Connection lost: ");
    ann.wait_for("Trying again...");
    ann.send(&format!("chat:{id}:for the right ears"));
    // Once more, and it is not told again.
    proxy.wait_for_connections(3);
    proxy.lead_to(real.port());
    ann.wait_for("Connected again");
    ann.wait_for("(ann): for the right ears");
    let finished = ann.finish();
    assert_eq!(finished.code, Some(0));
    assert_eq!(finished.stderr.len(), 2, "{}", finished.err());
    let distrust = format!(
        "No TLS with 127.0.0.1 port {}: its certificate is signed by nobody that {} names.",
        proxy.port,
        certificate.path().display()
    );
    assert!(finished.stderr[1].starts_with(&distrust), "{}", finished.err());
}

#[test]
fn files_and_names_that_cannot_be_are_wrong_usage() {
    let certificate = Certificate::new();
    let (file, key) = (certificate.path(), certificate.key_path());
    let (file, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    for (args, part) in [
        (&["--tls-ca", "/no/such/file"][..], "/no/such/file holds no certificates"),
        (&["--tls-ca", key], "There is no certificate in"),
        (&["--tls-ca", file, "--tls-name", "not a name"], "No certificate can be for"),
    ] {
        let finished = Piped::spawn(&[&["127.0.0.1", "6000"], args].concat()).finish();
        assert_eq!(finished.code, Some(2), "{args:?}");
        assert!(finished.err().contains(part), "{args:?}: {}", finished.err());
    }
}
