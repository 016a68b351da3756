//! How other threads reach a reactor: a mailbox and a doorbell.
//!
//! Thread: any; nothing here blocks.
//! Invariants:
//! - Push, then ring. The ring costs a system call only if the reactor may be
//!   asleep.
//! - The reactor says that it is asleep *before* it looks at its mailbox a last
//!   time: a push either is seen by that look or sees that word.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use log::error;
use mio::Waker;
use mio::net::TcpStream;

/// A reactor, from outside. Cheap to clone; any thread may use it.
pub struct ReactorHandle<M> {
    mailbox: Sender<Command<M>>,
    doorbell: Arc<Doorbell>,
    index: u16,
}

/// The reactor has ended; this is what it was to be given.
pub struct PostError<T>(pub T);

/// What waits in a reactor's mailbox.
pub(super) enum Command<M> {
    /// A connection that was accepted for this reactor.
    Register(TcpStream, SocketAddr),
    /// Something for the handler.
    Post(M),
    /// End, at the latest at this time.
    Shutdown(Instant),
}

impl<M> ReactorHandle<M> {
    /// A handle and the end that the reactor keeps.
    pub(super) fn new(index: u16, doorbell: Arc<Doorbell>) -> (Self, Receiver<Command<M>>) {
        let (mailbox, receiver) = unbounded();
        (Self { mailbox, doorbell, index }, receiver)
    }

    /// Gives the reactor a connection to own. The stream must be non-blocking.
    ///
    /// # Errors
    /// The reactor is gone; the stream comes back.
    pub fn register(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<(), PostError<TcpStream>> {
        self.push(Command::Register(stream, peer)).map_err(|command| match command {
            Command::Register(stream, _) => PostError(stream),
            Command::Post(_) | Command::Shutdown(_) => unreachable!("what was pushed comes back"),
        })
    }

    /// Gives the reactor's handler a message. Messages of one thread come in
    /// the order posted.
    ///
    /// # Errors
    /// The reactor is gone; the message comes back. One that is posted in the
    /// very moment in which the reactor ends may be dropped with it.
    pub fn post(&self, message: M) -> Result<(), PostError<M>> {
        self.put(message)?;
        self.doorbell.ring();
        Ok(())
    }

    /// Puts a message into the mailbox and wakes nobody.
    fn put(&self, message: M) -> Result<(), PostError<M>> {
        self.mailbox.send(Command::Post(message)).map_err(|refused| match refused.0 {
            Command::Post(message) => PostError(message),
            Command::Register(..) | Command::Shutdown(_) => {
                unreachable!("what was pushed comes back")
            }
        })
    }

    /// Gives the reactor's handler these messages, waking it once.
    ///
    /// # Errors
    /// The reactor is gone; what did not go comes back. As with
    /// [`ReactorHandle::post`], what it had not taken may be dropped.
    pub fn post_all(&self, messages: Vec<M>) -> Result<(), PostError<Vec<M>>> {
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            if let Err(PostError(refused)) = self.put(message) {
                return Err(PostError(std::iter::once(refused).chain(messages).collect()));
            }
        }
        self.doorbell.ring();
        Ok(())
    }

    /// Tells the reactor to end when all its connections have, at the latest
    /// at `deadline`. A second call can only bring the deadline forward.
    pub fn shutdown(&self, deadline: Instant) {
        if self.push(Command::Shutdown(deadline)).is_err() {
            log::debug!(target: "reactor", "reactor={} has ended already", self.index);
        }
    }

    /// Messages, connections and orders that wait for the reactor.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.mailbox.len()
    }

    /// The reactor's number, as in [`ConnId::reactor`](super::ConnId::reactor).
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    fn push(&self, command: Command<M>) -> Result<(), Command<M>> {
        self.mailbox.send(command).map_err(|refused| refused.0)?;
        self.doorbell.ring();
        Ok(())
    }
}

impl<M> Clone for ReactorHandle<M> {
    fn clone(&self) -> Self {
        Self {
            mailbox: self.mailbox.clone(),
            doorbell: Arc::clone(&self.doorbell),
            index: self.index,
        }
    }
}

impl<M> fmt::Debug for ReactorHandle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactorHandle").field("index", &self.index).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostError")
    }
}

impl<T> fmt::Display for PostError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reactor has ended")
    }
}

impl<T> std::error::Error for PostError<T> {}

/// Wakes a sleeping reactor, and only a sleeping one.
pub(super) struct Doorbell {
    /// Set by the reactor before it sleeps, taken by whoever wakes it.
    asleep: AtomicBool,
    waker: Waker,
}

impl Doorbell {
    pub(super) fn new(waker: Waker) -> Self {
        Self { asleep: AtomicBool::new(false), waker }
    }

    /// Called by the reactor when it has nothing to do: says that it is asleep,
    /// looks at its mailbox a last time, and may sleep if that is empty. What
    /// is pushed after that look rings.
    pub(super) fn may_sleep(&self, mailbox_is_empty: impl FnOnce() -> bool) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        mailbox_is_empty()
    }

    /// Called by the reactor before it drains its mailbox.
    pub(super) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Called after a push. Says whether it had to wake anybody.
    pub(super) fn ring(&self) -> bool {
        fence(Ordering::SeqCst);
        // The load keeps the flag's cache line shared while the reactor works.
        if !self.asleep.load(Ordering::SeqCst) || !self.asleep.swap(false, Ordering::SeqCst) {
            return false;
        }
        if let Err(e) = self.waker.wake() {
            error!(target: "reactor", "cannot wake a reactor: err={e}");
            self.asleep.store(true, Ordering::SeqCst);
        }
        true
    }
}
