//! The floor: the least that any server must do for the same bytes. It frames,
//! looks the recipient up and copies, on one thread; no JSON, no rules, no
//! books. What the chat server costs is read as a multiple of it.
//!
//! A payload begins with a head of 16 bytes, little-endian: whom it is for (a
//! user, or with the highest bit everybody else), the stream and the message's
//! number; the rest is there for its length. A connection's first frame says
//! whose it is.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::dialect::{Incoming, Number, Target};
use super::link::Link;

/// Bytes of the head.
pub(super) const HEAD_BYTES: usize = 16;
/// What is for everybody but its sender.
const EVERYBODY: u32 = 1 << 31;
/// A chat's push is longer than its request by so much: the sender's id and
/// name, and the time.
const PUSH_EXTRA: [u8; 60] = [b'x'; 60];
/// As long as a chat's answer.
const ANSWER_BYTES: usize = 80;

const LISTENER: Token = Token(usize::MAX);
/// How often the loop looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(100);

/// Appends the head of a message.
pub(super) fn write_head(out: &mut Vec<u8>, to: Target, number: Number) {
    let to = match to {
        Target::User(user) => user,
        Target::Group(group) => group | EVERYBODY,
    };
    out.extend_from_slice(&to.to_le_bytes());
    out.extend_from_slice(&number.stream.to_le_bytes());
    out.extend_from_slice(&number.message.to_le_bytes());
}

/// The payload of a connection's first frame.
pub fn hello(user: u32) -> [u8; HEAD_BYTES] {
    let mut payload = [0; HEAD_BYTES];
    payload[..4].copy_from_slice(&user.to_le_bytes());
    payload
}

/// What a payload from the floor says: an answer is addressed to nobody.
pub(super) fn read(payload: &[u8]) -> Incoming {
    let Some((to, number)) = read_head(payload) else { return Incoming::Other };
    match to {
        0 => Incoming::Answer { number, errno: 0, stored: 0 },
        _ => Incoming::Push(number),
    }
}

fn read_head(payload: &[u8]) -> Option<(u32, Number)> {
    let (to, rest) = payload.split_first_chunk::<4>()?;
    let (stream, rest) = rest.split_first_chunk::<4>()?;
    let message = rest.first_chunk::<8>()?;
    let stream = u32::from_le_bytes(*stream);
    Some((u32::from_le_bytes(*to), Number { stream, message: u64::from_le_bytes(*message) }))
}

/// The floor's server.
pub struct Floor {
    poll: Poll,
    listener: TcpListener,
    /// `None` while one is read, and where one has gone.
    links: Vec<Option<Link>>,
    users: HashMap<u32, usize>,
    dirty: Vec<usize>,
    replies: bool,
}

impl Floor {
    /// Listens; with `replies` each message is answered.
    ///
    /// # Errors
    /// The address cannot be had.
    pub fn bind(address: SocketAddr, replies: bool) -> io::Result<Floor> {
        let mut listener = TcpListener::bind(address)?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (links, users, dirty) = (Vec::new(), HashMap::new(), Vec::new());
        Ok(Floor { poll, listener, links, users, dirty, replies })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// The poll failed.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; 64 * 1024];
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                let at = event.token().0;
                if event.is_writable() {
                    self.mark_writable(at);
                }
                if event.is_readable() {
                    self.serve(at, &mut scratch);
                }
            }
            self.flush();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let mut link = Link::over(stream)?;
                    link.register(self.poll.registry(), Token(self.links.len()))?;
                    self.links.push(Some(link));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }

    fn mark_writable(&mut self, at: usize) {
        if let Some(link) = self.links.get_mut(at).and_then(Option::as_mut) {
            link.writable();
            if link.has_output() {
                self.dirty.push(at);
            }
        }
    }

    /// Reads a connection and copies what it sends. One that ends is dropped.
    fn serve(&mut self, at: usize, scratch: &mut [u8]) {
        let Some(mut link) = self.links.get_mut(at).and_then(Option::take) else { return };
        let mut answers = Vec::new();
        let mut is_first = !std::mem::replace(&mut link.is_known, true);
        let read = link.read(scratch, |payload| {
            let Some((to, number)) = read_head(payload) else { return };
            if std::mem::take(&mut is_first) {
                self.users.insert(to, at);
                return;
            }
            if to & EVERYBODY != 0 {
                for other in 0..self.links.len() {
                    self.copy(other, payload);
                }
            } else if let Some(&other) = self.users.get(&to) {
                self.copy(other, payload);
            }
            if self.replies {
                answers.push(number);
            }
        });
        for number in &answers {
            link.queue(|out| {
                let end = out.len() + ANSWER_BYTES;
                write_head(out, Target::User(0), *number);
                out.resize(end, b'x');
            });
        }
        if read.is_ok() {
            if !answers.is_empty() {
                self.dirty.push(at);
            }
            self.links[at] = Some(link);
        }
    }

    fn copy(&mut self, to: usize, payload: &[u8]) {
        let Some(link) = self.links.get_mut(to).and_then(Option::as_mut) else { return };
        if !link.has_output() {
            self.dirty.push(to);
        }
        link.queue(|out| {
            out.extend_from_slice(payload);
            out.extend_from_slice(&PUSH_EXTRA);
        });
    }

    fn flush(&mut self) {
        for at in self.dirty.drain(..) {
            let Some(link) = self.links[at].as_mut() else { continue };
            if link.flush().is_err() {
                self.links[at] = None;
            }
        }
    }
}
