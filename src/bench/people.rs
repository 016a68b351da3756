//! The people of a run: registered, logged in and kept in a file, so that the
//! next run need not pay for their passwords again.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::BenchError;
use super::floor;
use super::link::Link;

/// Threads that register and log in: more than any server hashes at once.
pub(super) const HANDS: usize = 8;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is repeated that the server asks to wait with.
const MOST_TRIES: u32 = 100;
/// Where the server gives no time itself.
const PAUSE: Duration = Duration::from_millis(200);

/// One account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    /// The server's number for it.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// Its newest token, if it has logged in.
    #[serde(default)]
    pub token: Option<String>,
}

/// Who somebody logs in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A hash for the server.
    Password,
    /// A look into its database; by password where there is no token (any
    /// more).
    Token,
}

/// A connection that waits for each answer.
pub struct Talk {
    stream: TcpStream,
}

impl Talk {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn to(server: SocketAddr) -> Result<Talk, BenchError> {
        let open = || {
            let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = open().map_err(|e: std::io::Error| {
            BenchError(format!("no server at {server}: {e}; start one, or give its address"))
        })?;
        Ok(Talk { stream })
    }

    /// Asks, and waits for the answer; pushes before it are passed over.
    ///
    /// # Errors
    /// The connection broke, or what came is no frame of the protocol.
    pub fn ask(&mut self, request: &Value) -> Result<Value, BenchError> {
        self.tell(request)?;
        loop {
            let reply = self.hear()?;
            if reply.get("errno").is_some() {
                return Ok(reply);
            }
        }
    }

    /// Sends a request and waits for nothing.
    ///
    /// # Errors
    /// The connection broke.
    pub fn tell(&mut self, request: &Value) -> Result<(), BenchError> {
        let text = request.to_string();
        let mut frame = (text.len() as u32).to_be_bytes().to_vec();
        frame.extend_from_slice(text.as_bytes());
        self.stream.write_all(&frame).map_err(BenchError::connection)
    }

    /// The next frame, whatever it is.
    ///
    /// # Errors
    /// The connection broke, or what came is no frame of the protocol.
    pub fn hear(&mut self) -> Result<Value, BenchError> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).map_err(BenchError::connection)?;
        let mut payload = vec![0; u32::from_be_bytes(head) as usize];
        self.stream.read_exact(&mut payload).map_err(BenchError::connection)?;
        serde_json::from_slice(&payload)
            .map_err(|e| BenchError(format!("the server's answer is no JSON: {e}")))
    }

    /// Asks again for as long as the server asks to wait. The answer has errno
    /// 0.
    ///
    /// # Errors
    /// It refused for good.
    pub fn insist(&mut self, request: &Value) -> Result<Value, BenchError> {
        for _ in 0..MOST_TRIES {
            let reply = self.ask(request)?;
            match reply["errno"].as_u64() {
                Some(0) => return Ok(reply),
                Some(12 | 13) => {
                    let hint = reply["retry_after"].as_u64().map(Duration::from_secs);
                    std::thread::sleep(hint.unwrap_or(PAUSE));
                }
                _ => return Err(refused(request, &reply)),
            }
        }
        Err(BenchError(format!("the server was too busy for msgid {} for long", request["msgid"])))
    }

    /// The connection, for an event loop.
    ///
    /// # Errors
    /// The system does not let it be used without blocking.
    pub fn into_link(self) -> Result<Link, BenchError> {
        Link::new(self.stream).map_err(BenchError::system)
    }
}

fn refused(request: &Value, reply: &Value) -> BenchError {
    BenchError(format!("the server refused msgid {}: {reply}", request["msgid"]))
}

/// Reads people from a file of an earlier run. No file, no people.
///
/// # Errors
/// There is one that cannot be read.
pub fn read(path: &Path) -> Result<Vec<Person>, BenchError> {
    match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(BenchError(format!("{} cannot be read: {e}", path.display()))),
        Ok(text) => serde_json::from_slice(&text).map_err(|e| {
            BenchError(format!("{} does not hold accounts ({e}): remove it", path.display()))
        }),
    }
}

/// Keeps people for the next run.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, people: &[Person]) -> Result<(), BenchError> {
    let text = serde_json::to_vec(people).expect("accounts are plain text");
    fs::write(path, text)
        .map_err(|e| BenchError(format!("{} cannot be written: {e}", path.display())))
}

/// Registers people until there are so many.
///
/// # Errors
/// A registration was refused for good, or the connection broke.
pub fn register(
    server: SocketAddr,
    people: &mut Vec<Person>,
    count: usize,
    done: &(dyn Fn() + Sync),
) -> Result<(), BenchError> {
    // Names are unique on the server, and other runs have been there.
    let run = random();
    let new = in_parallel(count.saturating_sub(people.len()), |number| {
        let (name, password) = (format!("bench {run:08x} {number}"), format!("{:016x}", random()));
        let request = json!({"msgid": 4, "name": name, "password": password});
        let reply = Talk::to(server)?.insist(&request)?;
        let id = reply["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id.ok_or_else(|| BenchError(format!("a registration gave no id: {reply}")))?;
        done();
        Ok(Person { id, name, password, token: None })
    })?;
    people.extend(new);
    Ok(())
}

/// Logs people in, each at its server, and keeps their new tokens. The
/// connections are in the people's order.
///
/// # Errors
/// A login was refused for good, or a connection broke.
pub fn log_in(
    people: &mut [Person],
    server_of: &(dyn Fn(usize) -> SocketAddr + Sync),
    proof: Proof,
    ack: bool,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<Talk>, BenchError> {
    let logged_in = in_parallel(people.len(), |number| {
        let (talk, reply) = enter(&people[number], server_of(number), proof, ack)?;
        done();
        Ok((talk, reply["token"].as_str().map(str::to_owned)))
    })?;
    let mut talks = Vec::new();
    for (person, (talk, token)) in people.iter_mut().zip(logged_in) {
        person.token = token;
        talks.push(talk);
    }
    Ok(talks)
}

/// Logs one in; the connection and the answer.
///
/// # Errors
/// The login was refused for good, or the connection broke.
pub(super) fn enter(
    person: &Person,
    server: SocketAddr,
    proof: Proof,
    ack: bool,
) -> Result<(Talk, Value), BenchError> {
    let mut talk = Talk::to(server)?;
    let by_password = json!({"msgid": 1, "id": person.id, "password": person.password,
        "ack": ack, "takeover": true});
    let reply = match (&person.token, proof) {
        (Some(token), Proof::Token) => {
            let by_token = json!({"msgid": 1, "id": person.id, "token": token, "ack": ack});
            let reply = talk.ask(&by_token)?;
            match reply["errno"].as_u64() {
                Some(0) => reply,
                // Not valid any more.
                Some(1) => talk.insist(&by_password)?,
                _ => talk.insist(&by_token)?,
            }
        }
        _ => talk.insist(&by_password)?,
    };
    Ok((talk, reply))
}

/// Connections to the floor, for users 1, 2, …
///
/// # Errors
/// It is not there.
pub fn greet_floor(server: SocketAddr, count: usize) -> Result<Vec<Link>, BenchError> {
    (1..=count)
        .map(|user| {
            let mut link = Talk::to(server)?.into_link()?;
            link.queue(|out| out.extend_from_slice(&floor::hello(user as u32)));
            link.flush().map_err(BenchError::connection)?;
            Ok(link)
        })
        .collect()
}

/// Does something so many times, on some threads; the results are in order.
pub(super) fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, BenchError> + Sync,
) -> Result<Vec<T>, BenchError> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..HANDS.min(count) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let result = work(number);
                    let failed = result.is_err();
                    results.lock().expect("no panic under it").push((number, result));
                    if failed {
                        // The others stop as well.
                        next.store(count, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no panic under it");
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

pub(super) fn random() -> u64 {
    getrandom::u64().expect("the operating system gives random numbers")
}
