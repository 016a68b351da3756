//! One framed connection as a test sees it: requests meet their replies, while
//! pushes are kept in the order in which they came.
//!
//! What the protocol says of every reply is checked for every reply: that it
//! carries `errno`, and `errmsg` where it is not 0.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::Duration;

use serde_json::{Value, json};

use super::door::Person;
use super::wait::SOON;
use super::wire::{Incoming, Wire, frame};

/// A reply of the server to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply(Value);

impl Reply {
    /// The reply's `errno`.
    pub fn errno(&self) -> i64 {
        self.0["errno"].as_i64().expect("checked when it was read")
    }

    /// The request was done.
    #[track_caller]
    pub fn done(self) -> Value {
        assert_eq!(self.errno(), 0, "refused: {}", self.0);
        self.0
    }

    /// The request was refused for this reason.
    #[track_caller]
    pub fn refused(self, errno: i64) -> Value {
        assert_eq!(self.errno(), errno, "{}", self.0);
        self.0
    }
}

impl Deref for Reply {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.0
    }
}

/// The number of the reply to a request.
pub fn reply_number(msgid: i64) -> i64 {
    match msgid {
        1 => 2,
        4 => 5,
        other => 100 + other,
    }
}

/// A request on its way: what its reply will carry.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    seq: u64,
    msgid: i64,
}

/// A client's connection, with the person who is logged in on it.
pub struct TestClient {
    pub(super) wire: Wire,
    pub(super) person: Option<Person>,
    /// The answer to the last login.
    pub(super) welcome: Value,
    pushes: VecDeque<Value>,
    replies: VecDeque<Value>,
    last_seq: u64,
}

impl TestClient {
    /// Connects to a server or to nginx.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> TestClient {
        TestClient::over(Wire::connect(address))
    }

    /// Connects from another address of this machine, such as 127.0.0.2.
    #[track_caller]
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> TestClient {
        TestClient::over(Wire::connect_from(from, to))
    }

    /// The socket, with whoever is logged in on it.
    pub fn into_stream(self) -> std::net::TcpStream {
        self.wire.into_stream()
    }

    /// Talks over a connection that was made already.
    pub fn over(wire: Wire) -> TestClient {
        TestClient {
            wire,
            person: None,
            welcome: Value::Null,
            pushes: VecDeque::new(),
            replies: VecDeque::new(),
            last_seq: 0,
        }
    }

    // ---- requests and replies ----

    /// Sends a request and waits for its reply.
    #[track_caller]
    pub fn request(&mut self, request: Value) -> Reply {
        let pending = self.send(request);
        self.reply_to(pending)
    }

    /// Sends a request and does not wait for its reply.
    #[track_caller]
    pub fn send(&mut self, request: Value) -> Pending {
        self.send_all(vec![request]).remove(0)
    }

    /// Sends requests in one write.
    #[track_caller]
    pub fn send_all(&mut self, requests: Vec<Value>) -> Vec<Pending> {
        let mut bytes = Vec::new();
        let mut pending = Vec::new();
        for mut request in requests {
            self.last_seq += 1;
            request["seq"] = json!(self.last_seq);
            let msgid = request["msgid"].as_i64().unwrap();
            bytes.extend(frame(request.to_string().as_bytes()));
            pending.push(Pending { seq: self.last_seq, msgid });
        }
        self.wire.send_bytes(&bytes);
        pending
    }

    /// Waits for the reply to a request that was sent.
    #[track_caller]
    pub fn reply_to(&mut self, pending: Pending) -> Reply {
        self.reply_within(pending, SOON).unwrap_or_else(|| panic!("no reply to {pending:?}"))
    }

    /// Waits for a reply; `None` if it does not come in time or the server
    /// closes the connection instead.
    #[track_caller]
    pub fn reply_within(&mut self, pending: Pending, deadline: Duration) -> Option<Reply> {
        let is_it = |reply: &Value| reply["seq"].as_u64() == Some(pending.seq);
        while !self.replies.iter().any(is_it) {
            if !self.read_one(deadline) {
                return None;
            }
        }
        let at = self.replies.iter().position(is_it)?;
        let reply = self.replies.remove(at)?;
        assert_eq!(reply["msgid"], reply_number(pending.msgid), "number of the reply {reply}");
        Some(Reply(reply))
    }

    /// Sends a text as it is in a frame and returns what is answered next,
    /// whatever request that belongs to.
    #[track_caller]
    pub fn say(&mut self, text: &str) -> Reply {
        self.say_bytes(&frame(text.as_bytes()))
    }

    /// Sends bytes as they are and returns what is answered next.
    #[track_caller]
    pub fn say_bytes(&mut self, bytes: &[u8]) -> Reply {
        self.wire.send_bytes(bytes);
        self.next_reply()
    }

    /// The next reply that was not waited for by its request.
    #[track_caller]
    pub fn next_reply(&mut self) -> Reply {
        while self.replies.is_empty() {
            assert!(self.read_one(SOON), "no reply came");
        }
        Reply(self.replies.pop_front().unwrap())
    }

    /// Every reply so far that nothing has waited for.
    pub fn take_replies(&mut self) -> Vec<Reply> {
        self.replies.drain(..).map(Reply).collect()
    }

    // ---- pushes ----

    /// The next message that was pushed, in the order of arrival.
    #[track_caller]
    pub fn next_push(&mut self) -> Value {
        self.push_within(SOON).expect("a message is pushed")
    }

    /// The next push, or `None` if there is none in time.
    #[track_caller]
    pub fn push_within(&mut self, deadline: Duration) -> Option<Value> {
        while self.pushes.is_empty() {
            if !self.read_one(deadline) {
                return None;
            }
        }
        self.pushes.pop_front()
    }

    /// Nothing was pushed but what has been taken: whatever the server sent
    /// before it answers a PING_MSG has come by then.
    #[track_caller]
    pub fn expect_no_push(&mut self) {
        self.ping();
        assert!(self.pushes.is_empty(), "unexpected: {:?}", self.pushes);
    }

    /// Everything pushed so far and not yet taken.
    pub fn take_pushes(&mut self) -> Vec<Value> {
        self.pushes.drain(..).collect()
    }

    // ---- the connection ----

    /// One PING_MSG there and back: the server is alive and has answered
    /// everything before.
    #[track_caller]
    pub fn ping(&mut self) {
        self.request(json!({"msgid": 15})).done();
    }

    /// Whether the server still answers on this connection.
    pub fn is_open(&mut self) -> bool {
        if self.wire.try_send_bytes(&frame(br#"{"msgid":15,"seq":0}"#)).is_err() {
            return false;
        }
        self.reply_within(Pending { seq: 0, msgid: 15 }, SOON).is_some()
    }

    /// The server closes the connection, with no reply before.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        assert!(self.closes_within(SOON), "the server closes the connection");
        assert!(self.replies.is_empty(), "unexpected: {:?}", self.replies);
    }

    /// Reads on until the server closes; whether it does so in time.
    pub fn closes_within(&mut self, deadline: Duration) -> bool {
        loop {
            match self.wire.read(deadline) {
                Incoming::Frame(value) => self.keep(value),
                Incoming::Closed => return true,
                Incoming::Silence => return false,
            }
        }
    }

    /// The port at this end.
    pub fn local_port(&self) -> u16 {
        self.wire.local_port()
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.wire.send_bytes(bytes);
    }

    /// Sends bytes to a server that may close at any of them; whether they went.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.wire.try_send_bytes(bytes).is_ok()
    }

    /// Closes the sending side: the half-close of someone who has said all.
    pub fn finish_sending(&self) {
        self.wire.finish_sending();
    }

    /// Ends the connection with a reset, as a crashed host does.
    pub fn reset(self) {
        self.wire.reset();
    }

    /// Reads one frame and keeps it; `false` if there is none in time or the
    /// connection has ended.
    fn read_one(&mut self, deadline: Duration) -> bool {
        match self.wire.read(deadline) {
            Incoming::Frame(value) => {
                self.keep(value);
                true
            }
            Incoming::Closed | Incoming::Silence => false,
        }
    }

    /// Sorts a frame into replies and pushes.
    fn keep(&mut self, value: Value) {
        let msgid = value["msgid"].as_i64().unwrap_or_else(|| panic!("no msgid: {value}"));
        if msgid == 6 || msgid == 10 {
            self.pushes.push_back(value);
            return;
        }
        let errno = value["errno"].as_i64().unwrap_or_else(|| panic!("no errno: {value}"));
        let errmsg = value["errmsg"].as_str().unwrap_or_default();
        assert!(errno == 0 || !errmsg.is_empty(), "a refusal says why: {value}");
        self.replies.push_back(value);
    }
}
