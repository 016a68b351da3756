//! Where net meets the chat service: one per sub-reactor. It gives frames to
//! the service, requests that may block to the pools, and carries out what
//! comes back.
//!
//! Thread: its reactor's.
//! Invariants: whoever has a session's feed ends the session, once: here at
//! the connection's end or log-out, or when a login comes back to a
//! connection that is gone.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;

use super::admission::Admission;
use super::bare::{self, LastPush};
use super::lobby::Lobby;
use super::pace::PaceLimits;
use super::peer::{Peer, conn_id};
use super::pools::Pools;
use crate::moment::Moment;
use crate::net::{CloseReason, CodecError, ConnId, Flow, Handler, Io, Table};
use crate::protocol::{Errno, Refusal, reply};
use crate::serial::{FREE_BITS, Serial};
use crate::service::{Answer, Change, Effects, Post, Service, here};

/// How long to wait before a page that could not be read is tried again.
pub(super) const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// One reactor's side of the service.
pub(super) struct Gateway {
    /// The reactor's number.
    reactor: u16,
    pub(super) service: Arc<Service>,
    pub(super) pools: Arc<Pools>,
    pub(super) login_timeout: Duration,
    pub(super) ack_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) peers: Table<Peer>,
    pub(super) admission: Arc<Admission>,
    pub(super) pace: PaceLimits,
    pub(super) lobby: Lobby,
    pub(super) stopping: bool,
    /// When this turn began.
    pub(super) turn: Moment,
    /// Where answers are written before they are sent.
    text: Vec<u8>,
    /// What was told on this thread and is being done.
    told: VecDeque<Post>,
    pub(super) last_push: LastPush,
}

/// What a gateway is told at start.
pub(super) struct GatewayOptions {
    /// `--login-timeout`.
    pub login_timeout: Duration,
    /// `--ack-timeout`.
    pub ack_timeout: Duration,
    /// `--idle-timeout`.
    pub idle_timeout: Duration,
    /// Shared by all reactors.
    pub admission: Arc<Admission>,
    /// How fast a connection may ask.
    pub pace: PaceLimits,
    /// This reactor's share of `--max-anonymous`.
    pub max_anonymous: usize,
}

/// What a timer of a connection is for; packed into its key with the serial.
#[derive(Clone, Copy)]
pub(super) enum Timer {
    Login = 0,
    ReadAgain = 1,
    Confirm = 2,
    Request = 3,
    Takeover = 4,
    Pause = 5,
}

/// How many bits of a timer's key say what it is for.
const TIMER_BITS: u32 = 3;
const _: () = assert!(TIMER_BITS <= FREE_BITS);

impl Gateway {
    pub fn new(
        reactor: u16,
        service: Arc<Service>,
        pools: Arc<Pools>,
        options: GatewayOptions,
    ) -> Gateway {
        let GatewayOptions { login_timeout, ack_timeout, idle_timeout, .. } = options;
        let GatewayOptions { admission, pace, max_anonymous, .. } = options;
        Gateway {
            reactor,
            service,
            pools,
            login_timeout,
            ack_timeout,
            idle_timeout,
            peers: Table::default(),
            admission,
            pace,
            lobby: Lobby::new(max_anonymous),
            stopping: false,
            turn: Instant::now().into(),
            text: Vec::new(),
            told: VecDeque::new(),
            last_push: LastPush::default(),
        }
    }

    /// Carries out what a handler wants done, and says whether the next frame
    /// may come.
    pub(super) fn apply(&mut self, io: &mut Io<'_>, conn: ConnId, effects: Effects) -> Flow {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return Flow::Continue };
        peer.awaiting += effects.awaiting;
        self.pace.charge_copies(&mut peer.pace, effects.copies, io.now());
        let mut end = None;
        for reply in &effects.replies {
            end = match peer.is_bare() {
                true => bare::reply(io, conn, reply),
                false => io.send(conn, reply),
            };
        }
        match effects.change {
            Change::None => Flow::Continue,
            Change::LoggedIn(login) => {
                self.logged_in(io, conn, *login, end);
                Flow::Continue
            }
            Change::Acknowledged(count) => {
                self.acknowledged(io, conn, count);
                Flow::Continue
            }
            // Set aside before: see `done`.
            Change::TakingOver(_) => Flow::Pause,
            Change::LogOut(reply) => {
                self.log_out(io, conn, reply);
                Flow::Pause
            }
        }
    }

    /// Once everything asked for is answered, a connection that is half-closed
    /// or whose server stops is finished.
    pub(super) fn finish_if_answered(&self, io: &mut Io<'_>, conn: ConnId) {
        let Some(peer) = self.peers.get(conn.serial) else { return };
        if peer.is_answered() {
            if self.stopping {
                io.finish(conn, CloseReason::Shutdown);
            } else if peer.half_closed {
                io.finish(conn, CloseReason::PeerClosed);
            }
        }
    }
}

impl Handler for Gateway {
    type Message = Post;

    fn on_turn_begin(&mut self, io: &mut Io<'_>) {
        here::begin_turn(io.now());
        self.turn = io.now().into();
    }

    fn on_open(&mut self, io: &mut Io<'_>, conn: ConnId, peer: SocketAddr) {
        debug!(target: "gateway", "conn={conn} peer={peer} opened");
        let Some(welcome) = self.admit(io, conn, peer) else { return };
        self.peers.insert(conn.serial, Peer { welcome, ..Peer::new(peer, io.now()) });
        self.watch_login(io, conn);
        self.waits(io, conn);
        self.finish_if_answered(io, conn);
    }

    fn on_frame(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8]) -> Flow {
        let flow = self.request(io, conn, payload);
        self.take_posts(io);
        flow
    }

    fn on_violation(&mut self, io: &mut Io<'_>, conn: ConnId, error: &CodecError) {
        if io.speaks_bare(conn) {
            debug!(target: "gateway", "conn={conn} broke its framing: {error}");
            return;
        }
        let refusal = Refusal::new(Errno::TooLarge, format!("{error}; the connection is closed"));
        if io.send(conn, &reply::error(None, &refusal)).is_none() {
            debug!(target: "gateway", "conn={conn} the violation could not be answered");
        }
    }

    fn on_written(&mut self, io: &mut Io<'_>, conn: ConnId, offset: u64) {
        self.taken(conn, offset);
        self.end_drained(conn);
        self.catch_up(io, conn);
    }

    fn on_half_close(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some(peer) = self.peers.get_mut(conn.serial) {
            peer.half_closed = true;
        }
        self.finish_if_answered(io, conn);
    }

    fn on_close(&mut self, _io: &mut Io<'_>, conn: ConnId, reason: &CloseReason) {
        let Some(peer) = self.peers.remove(conn.serial) else { return };
        self.admission.leave(peer.address.ip());
        self.lobby.leave(conn.serial);
        debug!(target: "gateway", "conn={conn} ended: {reason}");
        self.end_login(conn, peer);
    }

    fn on_message(&mut self, io: &mut Io<'_>, post: Post) {
        self.post(io, post);
        self.take_posts(io);
    }

    fn on_timer(&mut self, io: &mut Io<'_>, key: u64) {
        let Some((timer, conn)) = self.timer(key) else { return };
        match timer {
            Timer::ReadAgain => self.catch_up(io, conn),
            Timer::Confirm => self.confirmation_due(io, conn),
            Timer::Request => self.request_due(io, conn),
            Timer::Takeover => self.takeover_due(io, conn),
            Timer::Pause => self.pause_over(io, conn),
            Timer::Login => self.login_due(io, conn),
        }
        self.take_posts(io);
    }

    fn on_turn_end(&mut self, io: &mut Io<'_>) {
        self.take_posts(io);
        self.last_push.forget();
        self.service.flush_outcomes();
    }

    fn on_shutdown(&mut self, io: &mut Io<'_>) {
        self.stopping = true;
        let reactor = self.reactor;
        let serials = self.peers.serials();
        let all: Vec<ConnId> = serials.map(|serial| ConnId { reactor, serial }).collect();
        for conn in all {
            self.finish_if_answered(io, conn);
        }
    }
}

impl Gateway {
    /// Takes what was told on this thread.
    fn take_posts(&mut self, io: &mut Io<'_>) {
        loop {
            here::take(&mut self.told);
            if self.told.is_empty() {
                return;
            }
            while let Some(post) = self.told.pop_front() {
                self.post(io, post);
            }
        }
    }

    fn post(&mut self, io: &mut Io<'_>, post: Post) {
        match post {
            Post::Done { session, effects } => self.done(io, session, *effects),
            Post::Deliver { session, copy, way } => self.deliver(io, conn_id(session), copy, way),
            Post::Settled { session, answer } => self.settled(io, conn_id(session), answer),
            Post::Nudged { login } => self.nudged(io, login),
            Post::Page { login, nudges, page } => self.page(io, login, nudges, *page),
            Post::Deleted { login } => self.deleted(io, login),
            Post::LoggedOut { login } => self.logged_out(io, login),
            Post::FormerEnded { login } => self.former_ended(io, login),
            Post::Close { login, reason, successor } => {
                self.close_login(io, login, reason, successor.map(|boxed| *boxed));
            }
        }
    }

    /// A message of this connection is settled.
    fn settled(&mut self, io: &mut Io<'_>, conn: ConnId, answer: Answer) {
        let Some(peer) = self.peers.get_mut(conn.serial) else { return };
        peer.awaiting -= 1;
        let (is_anonymous, may_end) = (peer.feed.is_none(), peer.half_closed || self.stopping);
        let is_bare = peer.is_bare();
        self.text.clear();
        answer.write(&mut self.text);
        if let Answer::Done { copy, .. } = answer {
            copy.message.put_by();
        }
        if is_bare {
            bare::reply(io, conn, &self.text);
        } else if io.send(conn, &self.text).is_none() {
            debug!(target: "gateway", "conn={conn} closing, a settlement is not sent");
        }
        if is_anonymous {
            self.waits(io, conn);
        }
        if may_end {
            self.finish_if_answered(io, conn);
        }
    }

    fn timer(&self, key: u64) -> Option<(Timer, ConnId)> {
        let timer = match key & ((1 << TIMER_BITS) - 1) {
            0 => Timer::Login,
            1 => Timer::ReadAgain,
            2 => Timer::Confirm,
            3 => Timer::Request,
            4 => Timer::Takeover,
            _ => Timer::Pause,
        };
        let serial = Serial::from_number(key >> TIMER_BITS)?;
        Some((timer, ConnId { reactor: self.reactor, serial }))
    }
}

pub(super) fn timer_key(conn: ConnId, timer: Timer) -> u64 {
    conn.serial.number() << TIMER_BITS | timer as u64
}
