//! A client of the C++ family, as those clients behave: what one `recv` of
//! 1,024 bytes returns is one object, and fields are read without a look
//! whether they are there. Whatever would have aborted such a client, or made
//! it lose something, fails the test.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;

use serde_json::{Value, json};

pub use super::cpp_screen::{Message, Welcome};
use super::cpp_screen::{int, parse, shown, welcome};
use super::door::{Address, Door, Person, User};
use super::wait::SOON;
use super::world::Flag;

/// Their receive buffer.
const BUFFER_BYTES: usize = 1024;

/// Their connection. As theirs does, a thread of its own waits in `recv`.
pub struct CppClient {
    stream: TcpStream,
    /// Each object's text, or what would have been the client's end.
    received: Receiver<Result<String, String>>,
    /// Objects are told apart by their NULs.
    patient: Arc<AtomicBool>,
    /// So many have come.
    objects: Arc<AtomicUsize>,
    receiving: Option<JoinHandle<()>>,
    person: Option<Person>,
}

impl CppClient {
    /// Connects.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> CppClient {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        let (sender, received) = mpsc::channel();
        let patient = Arc::new(AtomicBool::new(false));
        let objects = Arc::new(AtomicUsize::new(0));
        let receiving = std::thread::spawn({
            let (patient, objects) = (patient.clone(), objects.clone());
            let stream = stream.try_clone().unwrap();
            move || receive(stream, &patient, &objects, &sender)
        });
        CppClient { stream, received, patient, objects, receiving: Some(receiving), person: None }
    }

    /// Tells objects apart by their NULs from now on, for stories about so many
    /// that a busy machine would not keep up with their pace. Where the client
    /// is not late for them it says so itself: [`CppClient::expect_each_alone`].
    #[must_use]
    pub fn patient(self) -> CppClient {
        self.patient.store(true, Ordering::Relaxed);
        self
    }

    /// `send(fd, text.c_str(), strlen(text.c_str()) + 1, 0)`.
    #[track_caller]
    pub fn send(&mut self, request: &Value) {
        self.send_bytes(format!("{request}\0").as_bytes());
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// The same to a server that may close meanwhile.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next object, as their `json::parse(buffer)` has it.
    #[track_caller]
    pub fn recv(&mut self) -> Value {
        let text = self.recv_text().expect("the server closed the connection");
        parse(&text)
    }

    /// The next object's text; `None`: the server has closed.
    #[track_caller]
    fn recv_text(&mut self) -> Option<String> {
        match self.received.recv_timeout(SOON) {
            Ok(Ok(text)) => Some(text),
            Ok(Err(end)) => panic!("{end}"),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing comes"),
        }
    }

    /// The server closes, having said nothing more.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        assert_eq!(self.recv_text(), None);
    }

    /// Every object so far has left in a segment of its own: a client that is
    /// in `recv` when they come gets one each time. The system has counted the
    /// segments as they left, however late this client was, and those that it
    /// sent again. For a connection without nginx, when nothing is under way.
    #[track_caller]
    pub fn expect_each_alone(&self) {
        let own = self.stream.local_addr().unwrap().to_string();
        let server = self.stream.peer_addr().unwrap().to_string();
        let output = Command::new("ss").args(["-tinH", "src", &server, "dst", &own]).output();
        let output = String::from_utf8(output.expect("iproute2's ss").stdout).unwrap();
        let figure = |key| output.split_whitespace().find_map(|word| word.strip_prefix(key));
        let segments = figure("data_segs_out:").unwrap_or_else(|| panic!("{output}"));
        // Those under way, and all there were.
        let again = figure("retrans:").and_then(|both| both.split('/').nth(1)).unwrap_or("0");
        let [segments, again] = [segments, again].map(|count| count.parse::<usize>().unwrap());
        assert_eq!(segments - again, self.objects.load(Ordering::SeqCst), "{output}");
    }

    /// The client sends nothing more, and still receives.
    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The texts of all messages until the server closes.
    #[track_caller]
    pub fn texts_to_the_end(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(text) = self.recv_text() {
            texts.push(shown(&parse(&text)).text);
        }
        texts
    }

    /// Ends the connection with a reset.
    pub fn reset(mut self) {
        let linger = Some(std::time::Duration::ZERO);
        socket2::SockRef::from(&self.stream).set_linger(linger).unwrap();
        // The thread gives its part of the socket up, or this would be no end.
        self.stream.shutdown(Shutdown::Read).unwrap();
        self.receiving.take().unwrap().join().unwrap();
    }

    // ---- what their menu does ----

    /// Menu 2: register. The number, or the errno.
    #[track_caller]
    pub fn register(&mut self, name: &str, password: &str) -> Result<i64, i64> {
        self.send(&json!({"msgid": 4, "name": name, "password": password}));
        let ack = self.recv();
        assert_eq!(int(&ack, "msgid"), 5, "{ack}");
        match int(&ack, "errno") {
            0 => Ok(int(&ack, "id")),
            errno => Err(errno),
        }
    }

    /// Menu 1: log in. What is shown, or the reason why not.
    #[track_caller]
    pub fn try_log_in(&mut self, person: &Person) -> Result<Welcome, String> {
        self.send(&login(person));
        let welcome = self.welcome()?;
        self.person = Some(person.clone());
        Ok(welcome)
    }

    /// The same where it has to succeed.
    #[track_caller]
    pub fn log_in(&mut self, person: &Person) -> Welcome {
        self.try_log_in(person).unwrap_or_else(|why| panic!("not logged in: {why}"))
    }

    /// Reads the answer to a login.
    #[track_caller]
    pub fn welcome(&mut self) -> Result<Welcome, String> {
        welcome(&self.recv())
    }

    /// The texts of all that comes up to this one, in the answers to logins and
    /// behind them.
    #[track_caller]
    pub fn texts_up_to(&mut self, last: &str) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != last) {
            let js = self.recv();
            match int(&js, "msgid") {
                2 => texts.extend(welcome(&js).unwrap().missed.into_iter().map(|m| m.text)),
                _ => texts.push(shown(&js).text),
            }
        }
        texts
    }

    // ---- chat ----

    /// `chat:friendid:message`.
    #[track_caller]
    pub fn chat(&mut self, to: &impl User, text: &str) {
        let Person { id, name, .. } = self.person.clone().expect("somebody is logged in");
        let time = "2026-11-21 12:00:00";
        self.send(&json!({
            "msgid": 6, "id": id, "name": name, "toid": to.id(), "msg": text, "time": time
        }));
    }

    /// `groupchat:groupid:message`.
    #[track_caller]
    pub fn chat_in(&mut self, group: i64, text: &str) {
        let Person { id, name, .. } = self.person.clone().expect("somebody is logged in");
        let time = "2026-11-21 12:00:00";
        self.send(&json!({
            "msgid": 10, "id": id, "name": name, "groupid": group, "msg": text, "time": time
        }));
    }

    /// The next message, as their receiving thread shows it.
    #[track_caller]
    pub fn next_message(&mut self) -> Message {
        shown(&self.recv())
    }

    /// The texts of the next messages.
    #[track_caller]
    pub fn next_texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next_message().text).collect()
    }

    /// Nothing has come that is not taken: all that was asked for before had no
    /// answer. A second login is refused, and told so.
    #[track_caller]
    pub fn expect_nothing_more(&mut self) {
        let person = self.person.clone().expect("somebody is logged in");
        self.send(&login(&person));
        let ack = self.recv();
        assert_eq!((int(&ack, "msgid"), int(&ack, "errno")), (2, 8), "{ack}");
    }
}

impl User for CppClient {
    #[track_caller]
    fn id(&self) -> i64 {
        self.person.as_ref().expect("somebody is logged in").id
    }
}

impl Drop for CppClient {
    fn drop(&mut self) {
        if self.receiving.is_some() && self.stream.shutdown(Shutdown::Both).is_err() {
            // The server was first.
        }
    }
}

/// Their receiving thread, until the server closes.
fn receive(
    mut stream: TcpStream,
    patient: &AtomicBool,
    count: &AtomicUsize,
    received: &Sender<Result<String, String>>,
) {
    let (mut buffer, mut partial) = ([0; BUFFER_BYTES], Vec::new());
    while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
        let bytes = &buffer[..bytes];
        partial.extend_from_slice(bytes);
        let mut objects = Vec::new();
        while let Some(end) = partial.iter().position(|byte| *byte == 0) {
            objects.push(partial.drain(..=end).collect::<Vec<u8>>());
        }
        let too_long = |object: &Vec<u8>| object.len() > BUFFER_BYTES;
        let aborts = if partial.len() >= BUFFER_BYTES || objects.iter().any(too_long) {
            Some("an object is longer than the buffer")
        } else if !patient.load(Ordering::Relaxed) && (objects.len(), partial.len()) != (1, 0) {
            Some("one recv is not one object")
        } else {
            None
        };
        if let Some(why) = aborts {
            let end = format!("{why}: {:?}", String::from_utf8_lossy(bytes));
            return drop(received.send(Err(end)));
        }
        count.fetch_add(objects.len(), Ordering::SeqCst);
        for object in objects {
            let text = String::from_utf8_lossy(&object[..object.len() - 1]).into_owned();
            if received.send(Ok(text)).is_err() {
                return;
            }
        }
    }
}

/// A pace that the tests keep up with on a busy machine, as those clients keep
/// up with the usual one: two objects in one of their reads are a fault.
pub const SLOWLY: &[Flag] = &[("--bare-pace-ms", "250")];

/// Starts a client.
#[track_caller]
pub fn cpp(door: Address) -> CppClient {
    CppClient::connect(door.address())
}

/// Registers with one client and logs in with another.
#[track_caller]
pub fn enter(door: Address, name: &str) -> (CppClient, Person) {
    let password = format!("{name}'s secret");
    let id = cpp(door).register(name, &password).unwrap();
    let person = Person { id, name: name.into(), password };
    let mut client = cpp(door);
    client.log_in(&person);
    (client, person)
}

/// A message as it should be shown.
pub fn message(from: i64, name: &str, text: &str, group: Option<i64>) -> Message {
    Message { from, name: name.into(), text: text.into(), group }
}

/// Their login.
pub fn login(person: &Person) -> Value {
    json!({"msgid": 1, "id": person.id, "password": person.password})
}
