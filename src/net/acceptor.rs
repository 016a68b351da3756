//! The listener: takes connections and deals them out to the reactors.
//!
//! Thread: the main reactor's, whose loop it is embedded in.
//! Invariants:
//! - Accepts until `WouldBlock`, within a budget per turn: the event that
//!   announced the connections comes only once.
//! - Out of descriptors it neither spins nor falls silent: a spare one is given
//!   up to take the connection in hand and close it, so that its peer learns of
//!   it; then accepting rests until a timer tries again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::{SockRef, TcpKeepalive};

use super::handle::{PostError, ReactorHandle};

/// Connections that are accepted before the rest of the main reactor has its
/// turn.
const ACCEPT_BUDGET: usize = 64;
/// Errors in a row that are passed over before accepting rests: one that stays
/// must not become a loop that does nothing else.
const ERROR_BUDGET: usize = 16;
/// How long accepting rests at first, and at most, when it cannot go on.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Silence after which the system probes a peer, and between probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// What Unix systems call too many open files, in the process and overall.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// Whether the acceptor has to be called again without waiting for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum AcceptTurn {
    /// Wait for an event, or for [`Acceptor::next_deadline`].
    Done,
    /// The budget is used up and connections may wait: do not sleep, call
    /// [`Acceptor::on_ready`] in the next turn.
    Again,
}

/// The listener and those it deals to, in turn.
pub struct Acceptor<M> {
    /// `None` once stopped.
    listener: Option<TcpListener>,
    handles: Vec<ReactorHandle<M>>,
    next: usize,
    /// Given up to refuse a connection when there are no descriptors left.
    spare: Option<File>,
    rest: Option<Rest>,
}

/// An episode in which nothing can be accepted.
struct Rest {
    since: Instant,
    until: Instant,
    length: Duration,
    refused: usize,
}

impl<M> Acceptor<M> {
    /// Deals what `listener` accepts to `handles`, in turn.
    #[must_use]
    pub fn new(listener: TcpListener, handles: Vec<ReactorHandle<M>>) -> Self {
        Self { listener: Some(listener), handles, next: 0, spare: open_spare(), rest: None }
    }

    /// Has the main reactor's poll watch the listener.
    ///
    /// # Errors
    /// The listener cannot be watched.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.listener {
            Some(listener) => registry.register(listener, token, Interest::READABLE),
            None => Ok(()),
        }
    }

    /// The listener's event came, or the last call said [`AcceptTurn::Again`].
    pub fn on_ready(&mut self, now: Instant) -> AcceptTurn {
        if self.rest.is_some() { AcceptTurn::Done } else { self.accept(now) }
    }

    /// To be called at [`next_deadline`](Self::next_deadline) or after it.
    pub fn on_timer(&mut self, now: Instant) -> AcceptTurn {
        if self.next_deadline().is_none_or(|at| at > now) {
            return AcceptTurn::Done;
        }
        if self.spare.is_none() {
            self.spare = open_spare();
        }
        self.accept(now)
    }

    /// When accepting is to be tried again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.rest.as_ref().map(|rest| rest.until)
    }

    /// Closes the listener. Connections that nobody accepted are reset.
    pub fn stop(&mut self) {
        self.listener = None;
        self.rest = None;
        self.spare = None;
    }

    fn accept(&mut self, now: Instant) -> AcceptTurn {
        let mut errors = 0;
        for _ in 0..ACCEPT_BUDGET {
            let Some(listener) = &self.listener else { return AcceptTurn::Done };
            match listener.accept() {
                Ok((stream, peer)) => {
                    errors = 0;
                    self.deal(stream, peer);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.wake_up(now);
                    return AcceptTurn::Done;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.raw_os_error(), Some(EMFILE | ENFILE)) => {
                    let refused = self.refuse_one();
                    self.lie_down(now, refused, &e);
                    return AcceptTurn::Done;
                }
                Err(e) => {
                    // This one connection came to nothing; the next may do.
                    errors += 1;
                    if errors == ERROR_BUDGET {
                        self.lie_down(now, 0, &e);
                        return AcceptTurn::Done;
                    }
                    warn!(target: "acceptor", "a connection could not be accepted: err={e}");
                }
            }
        }
        self.wake_up(now);
        AcceptTurn::Again
    }

    /// Gives the connection to the next reactor that lives.
    fn deal(&mut self, mut stream: TcpStream, peer: SocketAddr) {
        prepare(&stream, peer);
        for _ in 0..self.handles.len() {
            let handle = &self.handles[self.next];
            self.next = (self.next + 1) % self.handles.len();
            match handle.register(stream, peer) {
                Ok(()) => return,
                Err(PostError(back)) => stream = back,
            }
        }
        error!(target: "acceptor", "peer={peer} closed: no reactor is running");
    }

    /// Takes the connection in hand with the spare descriptor and closes it.
    fn refuse_one(&mut self) -> usize {
        if self.spare.take().is_none() {
            return 0;
        }
        let refused = match self.listener.as_ref().map(TcpListener::accept) {
            Some(Ok((stream, peer))) => {
                drop(stream);
                debug!(target: "acceptor", "peer={peer} refused: no descriptor is free");
                1
            }
            // Gone meanwhile, or another thread was quicker to the descriptor.
            Some(Err(_)) | None => 0,
        };
        self.spare = open_spare();
        refused
    }

    /// Rests, for longer each time, and says so once.
    fn lie_down(&mut self, now: Instant, refused: usize, error: &io::Error) {
        let rest = self.rest.get_or_insert_with(|| {
            error!(target: "acceptor", "cannot accept, trying again until it works: err={error}");
            Rest { since: now, until: now, length: FIRST_REST / 2, refused: 0 }
        });
        rest.length = (rest.length * 2).min(LONGEST_REST);
        rest.until = now + rest.length;
        rest.refused += refused;
    }

    /// The episode is over: whoever waited has been accepted.
    fn wake_up(&mut self, now: Instant) {
        if let Some(rest) = self.rest.take() {
            let seconds = now.saturating_duration_since(rest.since).as_secs_f32();
            let refused = rest.refused;
            info!(target: "acceptor", "accepting again after {seconds:.1} s, {refused} refused");
        }
    }
}

/// A small message leaves at once, and a peer that vanished is found out.
fn prepare(stream: &TcpStream, peer: SocketAddr) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    let socket = SockRef::from(stream);
    let set = socket.set_tcp_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    if let Err(e) = set {
        // It is most likely closed already, which its reactor will find.
        debug!(target: "acceptor", "peer={peer} socket options not set: err={e}");
    }
}

fn open_spare() -> Option<File> {
    match File::open("/dev/null") {
        Ok(file) => Some(file),
        Err(e) => {
            debug!(target: "acceptor", "no spare descriptor: err={e}");
            None
        }
    }
}
