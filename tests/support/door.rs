//! An address to connect to, and the people who come in there.

use std::net::SocketAddr;

use serde_json::json;

use super::client::TestClient;
use super::wait::{SOON, eventually_some};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The number that the server gave.
    pub id: i64,
    /// Unique in the world of the story.
    pub name: String,
    /// Derived from the name.
    pub password: String,
}

/// Everything that stands for a user: an account, or a connection logged in.
pub trait User {
    /// The user's number.
    fn id(&self) -> i64;
}

impl User for Person {
    fn id(&self) -> i64 {
        self.id
    }
}

impl User for TestClient {
    #[track_caller]
    fn id(&self) -> i64 {
        self.me().id
    }
}

/// Where clients connect: a server, or nginx before several.
pub trait Door {
    /// The address that clients connect to.
    fn address(&self) -> SocketAddr;

    /// A new connection, nobody logged in.
    #[track_caller]
    fn connect(&self) -> TestClient {
        TestClient::connect(self.address())
    }

    /// Makes an account.
    #[track_caller]
    fn register(&self, name: &str) -> Person {
        let password = format!("{name}'s secret");
        let reply = self.connect().register(name, &password).done();
        let id = reply["id"].as_i64().expect("a new account has an id");
        Person { id, name: name.to_owned(), password }
    }

    /// Logs somebody in who has an account and is offline.
    #[track_caller]
    fn login(&self, person: &Person) -> TestClient {
        let mut client = self.connect();
        client.log_in(person).done();
        client
    }

    /// Logs somebody in whose last connection may not have ended yet: tries
    /// again while the account is still online.
    #[track_caller]
    fn login_again(&self, person: &Person) -> TestClient {
        eventually_some("the account is free again", SOON, || {
            let mut client = self.connect();
            let reply = client.log_in(person);
            if reply.errno() == 2 {
                return None;
            }
            reply.done();
            Some(client)
        })
    }

    /// Makes an account and logs in.
    #[track_caller]
    fn enter(&self, name: &str) -> TestClient {
        let person = self.register(name);
        self.login(&person)
    }

    /// As [`Door::enter`], as a client that confirms what it receives.
    #[track_caller]
    fn enter_confirming(&self, name: &str) -> TestClient {
        let person = self.register(name);
        self.login_confirming(&person)
    }

    /// As [`Door::login`], as a client that confirms what it receives.
    #[track_caller]
    fn login_confirming(&self, person: &Person) -> TestClient {
        let mut client = self.connect();
        let login = json!({"msgid": 1, "id": person.id, "password": person.password, "ack": true});
        client.log_in_with(person, login).done();
        client
    }

    /// Comes back by token, as a client that confirms.
    #[track_caller]
    fn resume(&self, person: &Person, token: &str) -> TestClient {
        let mut client = self.connect();
        client.resume(person, token).done();
        client
    }
}

/// A bare address as a door.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub SocketAddr);

impl Door for Address {
    fn address(&self) -> SocketAddr {
        self.0
    }
}
