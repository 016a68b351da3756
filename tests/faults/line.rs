//! A member's connection, from the login on.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::books::{Books, End};
use crate::confirming::Confirming;
use crate::role::{Confirms, Role};
use crate::support::door::Person;
use crate::support::wire::{Incoming, Wire, frame};

/// A login is answered within three seconds, or its server does not live.
const LOGIN_DEADLINE: Duration = Duration::from_secs(5);

/// A connection is made at once, or there is nobody.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// A connection on which somebody is logged in.
pub struct Line {
    wire: Wire,
    /// Its number in the books.
    pub number: usize,
    pub last_seq: u64,
    pub confirming: Confirming,
    last_heard: Instant,
    /// Since when an answer is awaited while nothing at all has come.
    asked: Option<Instant>,
}

/// What became of an attempt to log in.
pub enum Login {
    /// In, with the answer.
    In(Box<Line>, Value),
    /// Not now.
    Not,
    /// The token is no longer valid.
    TokenRefused,
}

impl Line {
    /// Connects and logs in, by the token if there is one.
    pub fn log_in(
        books: &Books,
        me: &Person,
        role: &Role,
        address: SocketAddr,
        token: Option<&str>,
    ) -> Login {
        let Ok(stream) = connect(address, role.receive_buffer) else { return Login::Not };
        let mut line = Line {
            wire: Wire::over(stream),
            number: books.opened(me.id, address),
            last_seq: 1,
            confirming: Confirming::default(),
            last_heard: Instant::now(),
            asked: None,
        };
        let ack = role.confirms != Confirms::Not;
        let mut login = json!({"msgid": 1, "seq": 1, "id": me.id, "ack": ack});
        match token {
            Some(token) => login["token"] = json!(token),
            None => {
                login["password"] = json!(me.password);
                login["takeover"] = json!(true);
            }
        }
        if let Err(e) = line.send(&login) {
            books.ended(line.number, End::Server(e.to_string()));
            return Login::Not;
        }
        // The answer is the first thing that can come.
        let answer = match line.read(LOGIN_DEADLINE) {
            Incoming::Frame(answer) => answer,
            Incoming::Closed => {
                books.ended(line.number, End::Server("no answer to the login".into()));
                return Login::Not;
            }
            Incoming::Silence => {
                books.ended(line.number, End::Member("no answer to the login"));
                return Login::Not;
            }
        };
        match answer["errno"].as_i64() {
            Some(0) => {
                books.logged_in(line.number, if token.is_some() { "token" } else { "password" });
                return Login::In(Box::new(line), answer);
            }
            Some(1) if token.is_some() => {
                books.ended(line.number, End::Member("the token is refused"));
                return Login::TokenRefused;
            }
            Some(2 | 12 | 13) => {}
            _ => books.wrong(None, format!("{} cannot log in: {answer}", me.name)),
        }
        books.ended(line.number, End::Member("the login is refused for now"));
        Login::Not
    }

    /// Sends one request.
    pub fn send(&mut self, request: &Value) -> io::Result<()> {
        self.send_all(std::slice::from_ref(request))
    }

    /// Sends requests in one write.
    pub fn send_all(&mut self, requests: &[Value]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for request in requests {
            bytes.extend(frame(request.to_string().as_bytes()));
            // A RECV_ACK_MSG has no answer.
            if request["msgid"] != 14 {
                self.asked.get_or_insert_with(Instant::now);
            }
        }
        self.wire.try_send_bytes(&bytes)
    }

    /// What comes within this time.
    pub fn read(&mut self, time: Duration) -> Incoming {
        let incoming = self.wire.read(time);
        if matches!(incoming, Incoming::Frame(_)) {
            self.last_heard = Instant::now();
            self.asked = None;
        }
        incoming
    }

    /// For how long nothing has come.
    pub fn silence(&self) -> Duration {
        self.last_heard.elapsed()
    }

    /// For how long an answer is awaited while nothing at all comes.
    pub fn waits_for(&self) -> Duration {
        self.asked.map_or(Duration::ZERO, |asked| asked.elapsed())
    }
}

fn connect(address: SocketAddr, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(bytes) = receive_buffer {
        // Before the connection: its window is agreed upon with it.
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect_timeout(&address.into(), CONNECT_DEADLINE)?;
    Ok(socket.into())
}
