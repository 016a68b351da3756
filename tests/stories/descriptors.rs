//! A server that has no file descriptors left.

use crate::support::client::TestClient;
use crate::support::door::Door;
use crate::support::server::ServerPlan;
use crate::support::wait::{SOON, eventually};

/// Enough for the server itself and for some thirty clients.
const DESCRIPTORS: u32 = 64;

#[test]
fn a_server_without_descriptors_serves_who_is_in_and_refuses_the_rest() {
    let server = ServerPlan::new().descriptors(DESCRIPTORS).start();
    let carol = server.register("carol");
    let (mut alice, mut bob) = (server.enter("alice"), server.enter("bob"));

    // As many as it takes: the next one is closed without a word.
    let mut crowd: Vec<TestClient> = Vec::new();
    loop {
        let mut client = server.connect();
        if !client.is_open() {
            break;
        }
        crowd.push(client);
        assert!(crowd.len() < DESCRIPTORS as usize, "nobody was refused");
    }
    assert!(crowd.len() > 4, "only {} came in beside alice and bob", crowd.len());
    assert!(server.log().contains("cannot accept, trying again until it works"));
    // So are those who follow; none is left waiting.
    let late: Vec<TestClient> = (0..3).map(|_| server.connect()).collect();
    for mut client in late {
        client.expect_closed();
    }

    // Who is in notices nothing, whether or not a message needs the database.
    assert_eq!(alice.tell(&bob, "still there?"), "delivered");
    assert_eq!(bob.tell(&alice, "yes"), "delivered");
    assert_eq!(alice.tell(&carol, "come in when you can"), "stored");
    for client in &mut crowd {
        client.ping();
    }

    // Room again.
    crowd.truncate(2);
    eventually("newcomers are served again", SOON, || server.connect().is_open());
    let carol = server.login(&carol);
    assert_eq!(carol.missed_texts(), ["come in when you can"]);
    eventually("the log tells of it", SOON, || server.log().contains("accepting again after"));
    assert_eq!(alice.tell(&carol, "welcome"), "delivered");
}
