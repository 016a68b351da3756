//! The main reactor: accepts connections and deals them to the sub-reactors,
//! and hears the signals that stop the server.
//!
//! Thread: "main".

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use log::info;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::net::acceptor::AcceptTurn;
use crate::net::{Acceptor, ReactorHandle};
use crate::service::Post;

const LISTENER: Token = Token(0);
const SIGNALS: Token = Token(1);
const EVENTS: usize = 64;
/// Signals within this time are one: timeout(1) and service managers send
/// theirs to a process and to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(200);
/// What a process that a second signal ends leaves behind.
const FORCED_EXIT_CODE: i32 = 1;

/// The listener and the signals.
pub struct MainReactor {
    poll: Poll,
    acceptor: Acceptor<Post>,
    signals: Signals,
    /// Set soon after the first signal; a further one ends the process at once.
    stopping: Arc<AtomicBool>,
}

impl MainReactor {
    /// Deals what `listener` accepts to `reactors`, and takes over SIGINT and
    /// SIGTERM.
    ///
    /// # Errors
    /// The system gives no poll, or signals cannot be heard.
    pub fn new(
        listener: TcpListener,
        reactors: Vec<ReactorHandle<Post>>,
    ) -> io::Result<MainReactor> {
        let poll = Poll::new()?;
        let mut acceptor = Acceptor::new(listener, reactors);
        acceptor.register(poll.registry(), LISTENER)?;
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(
                signal,
                FORCED_EXIT_CODE,
                stopping.clone(),
            )?;
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(MainReactor { poll, acceptor, signals, stopping })
    }

    /// Accepts until a signal comes.
    ///
    /// # Errors
    /// The poll failed.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut again = AcceptTurn::Done;
        loop {
            let timeout = match again {
                AcceptTurn::Again => Some(Duration::ZERO),
                AcceptTurn::Done => self
                    .acceptor
                    .next_deadline()
                    .map(|at| at.saturating_duration_since(Instant::now())),
            };
            match self.poll.poll(&mut events, timeout) {
                Err(err) if err.kind() == ErrorKind::Interrupted => events.clear(),
                other => other?,
            }
            let now = Instant::now();
            let mut ready = again == AcceptTurn::Again;
            for event in &events {
                match event.token() {
                    SIGNALS => {
                        if let Some(signal) = self.signals.pending().next() {
                            self.heed_further_signals()?;
                            let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                            info!(
                                target: "server",
                                "{name}: another one ends the server at once, and leaves its \
                                 users online until it starts again"
                            );
                            return Ok(());
                        }
                    }
                    _ => ready = true,
                }
            }
            again = match self.acceptor.on_timer(now) {
                AcceptTurn::Again => AcceptTurn::Again,
                AcceptTurn::Done if ready => self.acceptor.on_ready(now),
                AcceptTurn::Done => AcceptTurn::Done,
            };
        }
    }

    /// From a moment on a further signal ends the process at once.
    fn heed_further_signals(&self) -> io::Result<()> {
        let stopping = self.stopping.clone();
        std::thread::Builder::new().name("second-signal".into()).spawn(move || {
            std::thread::sleep(ONE_SIGNAL);
            stopping.store(true, Ordering::Release);
        })?;
        Ok(())
    }

    /// Closes the listener.
    pub fn stop_accepting(&mut self) {
        self.acceptor.stop();
    }
}
