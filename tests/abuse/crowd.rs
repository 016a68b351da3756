//! Thousands of connections that mean no good, on one thread: some write as
//! fast as they can, some a byte a second, some never read.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use crate::support::wire::{Wire, frame};

/// So many connections come from each address.
const PER_ADDRESS: usize = 200;
/// Bytes of one write.
const WRITE_BYTES: usize = 16 * 1024;
/// How often those that crawl send a byte.
const CRAWL_EVERY: Duration = Duration::from_secs(1);

/// What a connection does to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Asks as fast as the socket takes it, and reads the answers.
    Floods,
    /// Sends one byte a second.
    Crawls,
    /// Asks as fast as the socket takes it, and never reads.
    NeverReads,
}

/// The crowd, at work until it is dropped.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// What the crowd has done and met.
#[derive(Default)]
pub struct Counts {
    pub sent_bytes: AtomicUsize,
    pub read_bytes: AtomicUsize,
    pub closed: AtomicUsize,
}

struct Member {
    stream: mio::net::TcpStream,
    role: Role,
    /// What it sends over and over, and how far it is in that.
    text: Arc<[u8]>,
    at: usize,
    closed: bool,
}

impl Crowd {
    /// Connects so many, one role after the other in turn, each with an
    /// address for every 200 of them; and those who are logged in already,
    /// with what they are to flood.
    pub fn connect(server: SocketAddr, size: usize, logged_in: Vec<(TcpStream, String)>) -> Crowd {
        let ping: Arc<[u8]> = repeated(r#"{"msgid":15}"#);
        let mut members: Vec<Member> = (0..size)
            .map(|number| {
                let role = [Role::Floods, Role::Crawls, Role::NeverReads][number % 3];
                let stream = Wire::connect_from(address(number), server).into_stream();
                Member::new(stream, role, ping.clone())
            })
            .collect();
        for (stream, text) in logged_in {
            members.push(Member::new(stream, Role::Floods, repeated(&text)));
        }
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::new(Counts::default()));
        let thread = std::thread::spawn({
            let (stop, counts) = (stop.clone(), counts.clone());
            move || {
                step_back();
                run(members, &stop, &counts);
            }
        });
        Crowd { stop, counts, thread: Some(thread) }
    }

    /// What it has done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the crowd's thread has panicked");
        }
    }
}

/// The address of a member: 127.0.1.1, 127.0.1.2, …
fn address(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 1, (number / PER_ADDRESS + 1) as u8))
}

fn repeated(text: &str) -> Arc<[u8]> {
    let frame = frame(text.as_bytes());
    frame.repeat((WRITE_BYTES / frame.len()).max(1)).into()
}

/// Lets everybody else have the processors first: a crowd has machines of its
/// own, and what is measured is what it does to the server.
fn step_back() {
    let thread = rustix::thread::gettid();
    rustix::process::setpriority_process(Some(thread), 19).unwrap();
}

fn run(mut members: Vec<Member>, stop: &AtomicBool, counts: &Counts) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(1024);
    for (number, member) in members.iter_mut().enumerate() {
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut member.stream, Token(number), both).unwrap();
    }
    // One write for each in turn, or the first would keep the thread.
    let mut ready: VecDeque<usize> = VecDeque::new();
    let mut next_crawl = Instant::now();
    let mut scratch = vec![0; 64 * 1024];
    while !stop.load(Ordering::Relaxed) {
        let patience = if ready.is_empty() { Duration::from_millis(50) } else { Duration::ZERO };
        poll.poll(&mut events, Some(patience)).unwrap();
        for event in &events {
            let member = &mut members[event.token().0];
            if event.is_readable() && member.role != Role::NeverReads {
                member.read(&mut scratch, counts);
            }
            if event.is_writable() && member.role != Role::Crawls {
                ready.push_back(event.token().0);
            }
        }
        for _ in 0..ready.len().min(256) {
            let Some(number) = ready.pop_front() else { break };
            if members[number].write(usize::MAX, counts) {
                ready.push_back(number);
            }
        }
        if next_crawl <= Instant::now() {
            next_crawl += CRAWL_EVERY;
            for member in members.iter_mut().filter(|member| member.role == Role::Crawls) {
                member.write(1, counts);
            }
        }
    }
}

impl Member {
    fn new(stream: TcpStream, role: Role, text: Arc<[u8]>) -> Member {
        stream.set_nonblocking(true).unwrap();
        let stream = mio::net::TcpStream::from_std(stream);
        Member { stream, role, text, at: 0, closed: false }
    }

    /// Writes once; whether the socket may take more.
    fn write(&mut self, most: usize, counts: &Counts) -> bool {
        if self.closed {
            return false;
        }
        let end = self.text.len().min(self.at.saturating_add(most));
        match self.stream.write(&self.text[self.at..end]) {
            Ok(written) => {
                self.at = (self.at + written) % self.text.len();
                counts.sent_bytes.fetch_add(written, Ordering::Relaxed);
                true
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                self.close(counts);
                false
            }
        }
    }

    fn read(&mut self, scratch: &mut [u8], counts: &Counts) {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return self.close(counts),
                Ok(read) => {
                    counts.read_bytes.fetch_add(read, Ordering::Relaxed);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.close(counts),
            }
        }
    }

    fn close(&mut self, counts: &Counts) {
        if !std::mem::replace(&mut self.closed, true) {
            counts.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
