//! The harness itself: what the other stories rely on.

use std::net::TcpStream;

use crate::support::process;
use crate::support::services::{Database, Service};
use crate::support::wait::{SOON, eventually};

#[test]
fn a_killed_redis_comes_back_on_its_port() {
    let mut redis = Service::redis();
    let address = redis.address();
    assert!(TcpStream::connect(address).is_ok());
    redis.kill();
    assert!(TcpStream::connect(address).is_err());
    redis.restart();
    assert_eq!(redis.address(), address);
    assert!(TcpStream::connect(address).is_ok());
}

#[test]
fn nginx_leads_to_the_servers_behind_it() {
    let behind = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nginx = Service::nginx(&[behind.local_addr().unwrap()]);
    let client = TcpStream::connect(nginx.address()).unwrap();
    let (server, _) = behind.accept().unwrap();
    drop(server);
    client.set_read_timeout(Some(SOON)).unwrap();
    let end = std::io::Read::read(&mut &client, &mut [0]).unwrap();
    assert_eq!(end, 0, "the server's end reaches the client");
}

#[test]
fn every_story_has_a_database_of_its_own() {
    let (one, other) = (Database::shared(), Database::shared());
    assert_ne!(one.url(), other.url());
    let server = one.url().rsplit_once('/').unwrap().0.to_owned();
    assert_eq!(other.url().rsplit_once('/').unwrap().0, server, "in one MariaDB");
    mysql::Conn::new(server.as_str()).unwrap();
}

#[test]
fn a_service_ends_with_its_value() {
    let redis = Service::redis();
    let address = redis.address();
    drop(redis);
    eventually("the dropped Redis is gone", SOON, || TcpStream::connect(address).is_err());
    assert!(process::runs(std::process::id()));
}
