//! A server that does exactly what the test says: for what a real one does
//! only by bad luck.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};

use crate::piped::DEADLINE;

pub struct Puppet {
    pub port: u16,
    connections: Receiver<TcpStream>,
}

/// One client's connection; it is closed when this is dropped.
pub struct Line(TcpStream);

impl Puppet {
    pub fn start() -> Puppet {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, connections) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if sender.send(stream.unwrap()).is_err() {
                    return;
                }
            }
        });
        Puppet { port, connections }
    }

    /// The next connection that a client makes.
    pub fn accept(&self) -> Line {
        let stream = self.connections.recv_timeout(DEADLINE).expect("a client connects");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Line(stream)
    }

    /// The next connection, logged in with this token as the next one's; the
    /// login that the client has sent comes back.
    pub fn let_in(&self, next_token: &str) -> (Line, Value) {
        let mut line = self.accept();
        let login = line.expect(1);
        line.grant(&login, next_token, &[]);
        (line, login)
    }
}

impl Line {
    /// The next request of this kind; others are passed over.
    pub fn expect(&mut self, msgid: i64) -> Value {
        loop {
            let request = self.read();
            if request["msgid"] == msgid {
                return request;
            }
        }
    }

    pub fn read(&mut self) -> Value {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut payload).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    /// Waits for the client to close; false if it says something instead.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }

    pub fn reply(&mut self, request: &Value, msgid: i64, mut fields: Value) {
        fields["msgid"] = json!(msgid);
        fields["seq"] = request["seq"].clone();
        if fields.get("errno").is_none() {
            fields["errno"] = json!(0);
        }
        self.push(&fields);
    }

    /// Lets Ann (1) in, who missed these messages.
    pub fn grant(&mut self, login: &Value, token: &str, missed: &[Value]) {
        let missed: Vec<String> = missed.iter().map(Value::to_string).collect();
        let fields = json!({"id": 1, "name": "ann", "friends": [], "groups": [],
            "offlinemsg": missed, "token": token});
        self.reply(login, 2, fields);
    }

    pub fn push(&mut self, message: &Value) {
        let payload = message.to_string().into_bytes();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length, &payload[..]].concat()).unwrap();
    }
}
