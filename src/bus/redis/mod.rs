//! The bus of a cluster, carried by Redis publish/subscribe.
//!
//! ```text
//!  any thread ──Job──▶ queue ──▶ "bus-publisher"  ── one pipeline a turn ──▶ Redis
//!                                     │ callbacks, on_unreachable              │
//!                                     ▼                              PUBLISH   │
//!                                  BusSink ◀── on_items, on_up, on_down ── "bus-subscriber"
//! ```
//!
//! Each server hears one channel, `chat:server:<id>`, and publishes to it once
//! a second. That heartbeat's way through both connections and Redis is what
//! "up" means. A key `chat:user:<uid>` says where a user is.

mod error;
mod job;
mod link;
mod options;
mod publisher;
mod shared;
mod subscriber;
mod turn;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ::redis::{Connection, cmd};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

pub use error::{RedisError, describe_url};
pub use options::RedisOptions;

use super::{Announced, Bus, BusError, BusSink, Handed, Item, Located, Presence};
use crate::model::{ServerId, UserId};
use job::{Answer, Job};
use link::Connector;
use publisher::Publisher;
use shared::Shared;
use subscriber::Subscriber;

/// How long Redis may take to notice that a killed server's subscription is
/// gone, before its id counts as in use.
const ID_RELEASE_WAIT: Duration = Duration::from_secs(1);
/// How long a shutdown goes on sending what is queued.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long to wait for Redis to take an unsubscription.
const DEAF_LIMIT: Duration = Duration::from_secs(2);
/// How long a shutdown waits for its threads: the above and a time-out.
const JOIN_LIMIT: Duration = Duration::from_millis(3_500);

/// The bus of a cluster member. Dropping it shuts it down.
pub struct RedisBus {
    shared: Arc<Shared>,
    /// The queue's other end, until the publisher takes it.
    jobs: Mutex<Option<Receiver<Job>>>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    handles: Vec<JoinHandle<()>>,
    /// Disconnected once both threads have ended.
    ended: Receiver<()>,
    /// Disconnected once the subscriber has ended.
    deaf: Receiver<()>,
}

impl RedisBus {
    /// Tries Redis once, and checks that no other server has this id. Nothing
    /// runs yet: [`Bus::start`] starts the threads, which connect anew and
    /// never give up.
    ///
    /// Takes up to a second longer than usual if the id seems to be in use.
    ///
    /// # Errors
    ///
    /// [`RedisError`] says what to do; [`RedisError::is_retryable`] whether to
    /// try again.
    pub fn connect(options: RedisOptions) -> Result<Self, RedisError> {
        let connector = Connector::new(&options)?;
        let failed = |err: ::redis::RedisError| RedisError::from_client(&connector.address, &err);
        let mut link = connector.open().map_err(failed)?;
        if count_subscribers(&mut link, &options.server).map_err(failed)? > 0 {
            thread::sleep(ID_RELEASE_WAIT);
            if count_subscribers(&mut link, &options.server).map_err(failed)? > 0 {
                let address = connector.address.clone();
                return Err(RedisError::IdInUse { address, id: options.server });
            }
        }
        let (queue, jobs) = crossbeam_channel::bounded(options.queue_capacity.max(1));
        Ok(Self {
            shared: Arc::new(Shared::new(options.server, connector, queue)),
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(None),
        })
    }
}

impl RedisBus {
    /// Written by the thread that sends, so that the publisher only copies.
    fn send_text(
        &self,
        to: &ServerId,
        written: serde_json::Result<Vec<u8>>,
    ) -> Result<(), BusError> {
        match written {
            Ok(item) => {
                let job = Job::Send { to: to.clone(), item };
                self.shared.enqueue(job).map_err(|refused| why(&refused))
            }
            Err(err) => {
                log::error!(target: "bus", "server={to} item not sent err=\"{err}\"");
                Err(BusError::Down)
            }
        }
    }
}

impl Bus for RedisBus {
    /// # Panics
    ///
    /// If the system gives no thread: a server cannot run without its bus.
    fn start(&self, sink: Arc<dyn BusSink>) {
        let Some(jobs) = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            log::error!(target: "bus", "started twice; the second start is ignored");
            return;
        };
        let (alive, ended) = crossbeam_channel::bounded(0);
        let publisher = Publisher::new(self.shared.clone(), jobs, sink.clone());
        let subscriber = Subscriber::new(self.shared.clone(), sink);
        let (listening, deaf) = crossbeam_channel::bounded::<()>(0);
        let handles = vec![
            spawn("bus-publisher", alive.clone(), move || publisher.run()),
            spawn("bus-subscriber", alive, move || {
                subscriber.run();
                drop(listening);
            }),
        ];
        *self.threads.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Threads { handles, ended, deaf });
    }

    fn stop_listening(&self) {
        self.shared.stop_listening();
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(deaf) = threads.as_ref().map(|threads| threads.deaf.clone()) else { return };
        drop(threads);
        if deaf.recv_timeout(DEAF_LIMIT) == Err(RecvTimeoutError::Timeout) {
            log::warn!(target: "bus", "not unsubscribed in time, Redis does not answer");
        }
    }

    fn has_peers(&self) -> bool {
        true
    }

    fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    fn send(&self, to: &ServerId, item: Item<'_>) -> Result<(), BusError> {
        self.send_text(to, serde_json::to_vec(&item))
    }

    fn hand_over(&self, to: &ServerId, message: &Handed<'_>) -> Result<(), BusError> {
        self.send_text(to, message.to_json())
    }

    /// Asking for nobody is answered at once, whether Redis is there or not.
    fn locate(&self, users: Vec<UserId>, then: Located) {
        if users.is_empty() {
            then(Ok(Vec::new()));
            return;
        }
        self.enqueue_or_answer(Job::Locate { users, then: Answer::new(then) });
    }

    fn announce(&self, user: UserId, presence: Presence, then: Announced) {
        self.enqueue_or_answer(Job::Announce { user, presence, then: Answer::new(then) });
    }

    /// While Redis is away, or the queue full, this is dropped: presence is a
    /// hint, and a message sent after a stale one bounces.
    fn withdraw(&self, user: UserId, presence: Presence) {
        self.enqueue_or_answer(Job::Withdraw { user, presence });
    }

    /// Takes two seconds at most while Redis answers, and 3.5 s whatever it
    /// does: a thread that is stuck even then (a name server that does not
    /// answer) is left behind and logged. Calls neither `on_up` nor `on_down`.
    /// A second call returns at once.
    fn shutdown(&self) {
        if !self.shared.close(DRAIN_LIMIT) {
            return;
        }
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(threads) = threads else { return };
        let me = thread::current().id();
        if threads.handles.iter().any(|handle| handle.thread().id() == me) {
            // Called from a callback: this thread cannot wait for itself.
            return;
        }
        if threads.ended.recv_timeout(JOIN_LIMIT) == Err(RecvTimeoutError::Timeout) {
            log::error!(target: "bus", "a bus thread is stuck and left behind");
            return;
        }
        for handle in threads.handles {
            if handle.join().is_err() {
                log::error!(target: "bus", "a bus thread had panicked");
            }
        }
    }
}

impl RedisBus {
    /// Queues a job; one that is refused gets its answer here and now.
    fn enqueue_or_answer(&self, job: Job) {
        let Err(refused) = self.shared.enqueue(job) else { return };
        let why = why(&refused);
        match refused.into_inner() {
            Job::Locate { then, .. } => then.give(Err(why)),
            Job::Announce { then, .. } => then.give(Err(why)),
            Job::Withdraw { user, .. } => {
                log::debug!(target: "bus", "user={user} presence not withdrawn err=\"{why}\"");
            }
            Job::Send { .. } | Job::Beat => {}
        }
    }
}

impl Drop for RedisBus {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The channel that a server hears.
fn server_channel(server: &ServerId) -> String {
    format!("chat:server:{server}")
}

fn count_subscribers(link: &mut Connection, server: &ServerId) -> ::redis::RedisResult<u64> {
    let (_channel, subscribers): (String, u64) =
        cmd("PUBSUB").arg("NUMSUB").arg(server_channel(server)).query(link)?;
    Ok(subscribers)
}

fn why(refused: &TrySendError<Job>) -> BusError {
    match refused {
        TrySendError::Full(_) => BusError::Full,
        TrySendError::Disconnected(_) => BusError::Down,
    }
}

/// Starts a thread that holds `alive` for as long as it runs.
fn spawn(name: &str, alive: Sender<()>, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let run = move || {
        body();
        drop(alive);
    };
    match thread::Builder::new().name(name.to_owned()).spawn(run) {
        Ok(handle) => handle,
        Err(err) => panic!("cannot start thread {name}: {err}"),
    }
}
