//! The rules of chat. Knows nothing of sockets: it is given payloads of
//! sessions, and answers with [`Effects`] and with [`Post`]s to the reactor
//! that owns a session.
//!
//! ```text
//! payload ─▶ router ─▶ handler (account, friend, group, chat) ─▶ Effects
//!                              │ copies of a message
//!                              ▼
//!   delivery ─▶ registry: live here ─▶ Post::Deliver ─▶ feed ─▶ settlement
//!            ─▶ bus: on another server ─▶ handed over until its outcome comes
//!            ─▶ offline writer: committed, then `stored` and a nudge
//! ```
//!
//! Lock order: every lock here is a leaf (a registry shard, the group cache's
//! map, the lists of outcomes and nudges); none is held while another is taken or across I/O.

pub mod account;
pub mod boxed_queue;
mod chat;
pub mod claims;
pub mod delivery;
pub mod effects;
pub mod feed;
pub mod friend;
pub mod group;
pub mod group_cache;
mod hearing;
pub mod here;
pub mod inbound;
pub mod known_users;
pub mod login;
pub mod message;
pub mod nudge;
mod offline_queue;
mod offline_quota;
pub mod offline_writer;
mod offline_writers;
mod outgoing;
pub mod password;
mod posts;
pub mod rate;
pub mod registry;
pub mod releaser;
pub mod router;
pub mod session;
pub mod settlement;
pub mod slot;
pub mod stop;
pub mod takeover;
pub mod throttle;
mod time_text;
pub mod token;
pub mod token_keeper;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::time::Duration;

use log::{debug, warn};

pub use account::End;
pub use chat::TRIED_FOR;
pub use effects::{Change, Effects, Granted, LoggedIn};
pub use feed::{Ended, Feed};
pub use message::{Body, Message, MessageCopy, MessageMemory, Origin};
pub use registry::Registry;
pub use router::{Handled, Lane, Place};
pub use session::{Answer, Identity, LoginId, Mailbox, OwnClaim, Post, Session, SessionId, Way};
pub use settlement::Settled;
pub use slot::GoLive;
pub use takeover::{FORMER_TIMEOUT, Successor};

use crate::bus::Bus;
use crate::model::{Claim, Limits, OfflineSize, ServerId, Store, UserId};
use crate::protocol::{Errno, Refusal};
use group_cache::GroupCache;
use known_users::KnownUsers;
use offline_writers::OfflineWriters;
use password::Passwords;
use releaser::Releaser;
use settlement::Outcomes;
use throttle::{Throttle, TryLimits};
use token_keeper::TokenKeeper;

/// What the service is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This server's name in the cluster.
    pub server_id: ServerId,
    /// The frame limit, in bytes: how long a login answer may get through its
    /// missed messages.
    pub max_frame: usize,
    /// How much text of missed messages is read at once, in bytes.
    pub page_bytes: usize,
    /// How long a recipient's server may take to report an outcome, before
    /// the sender's server stores what it holds.
    pub handover_timeout: Duration,
    /// How many copies may wait for the offline writers.
    pub offline_queue: usize,
    /// How often logins and registrations may be tried.
    pub tries: TryLimits,
    /// How much may wait for one recipient of missed messages.
    pub max_offline: OfflineSize,
    /// How long a missed message is kept; `None`: for ever.
    pub offline_age: Option<Duration>,
    /// How many friends, groups and members there may be.
    pub limits: Limits,
}

/// One server's chat service, shared by all of its threads.
pub struct Service {
    /// Itself, for callbacks that outlive a call.
    this: Weak<Service>,
    settings: Settings,
    /// The random number of this server's present life.
    epoch: AtomicI64,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    registry: Registry,
    groups: GroupCache,
    known_users: KnownUsers,
    writers: OfflineWriters,
    releaser: Releaser,
    token_keeper: TokenKeeper,
    throttle: Throttle,
    passwords: Passwords,
    mailboxes: OnceLock<Vec<Box<dyn Mailbox>>>,
    /// The other servers that live, as the claims thread last saw them.
    peers: RwLock<Vec<ServerId>>,
    /// The next handover's number. Starts anywhere, so that what other servers
    /// report of a former life's handovers finds nothing.
    handovers: AtomicU64,
    /// Outcomes to be sent to other servers.
    outcomes: Outcomes,
    /// Users who are to be nudged on other servers, with how many copies.
    unnudged: Mutex<HashMap<UserId, u32>>,
    memory: MessageMemory,
    /// How often something may have been missed that only a sweep finds, and
    /// how much of that sweeps have seen to.
    sweeps_wanted: AtomicU64,
    sweeps_done: AtomicU64,
    /// Servers that have missed something: to be told that all is stored.
    to_resume: Mutex<HashSet<ServerId>>,
    /// Servers that this one waits for before it serves.
    unanswered: Mutex<HashSet<ServerId>>,
    /// Users for whom so much was held that the thread "overdue" routes it.
    unflushed: Mutex<Vec<UserId>>,
    /// Set while the server stops: sessions are then released in one go.
    stopping: AtomicBool,
    /// Whose sessions have ended since, for their presence.
    ended_in_stop: Mutex<Vec<(UserId, Claim)>>,
}

impl Service {
    /// A service on its store and bus. Its threads are started by
    /// [`offline_writer::run`], [`releaser::run`], [`token_keeper::run`] and
    /// [`claims::run`].
    pub fn new(
        settings: Settings,
        epoch: i64,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
    ) -> Arc<Service> {
        let writers = OfflineWriters::new(store.offline_writers(), settings.offline_queue);
        let throttle = Throttle::new(settings.tries);
        Arc::new_cyclic(|this| Service {
            this: this.clone(),
            settings,
            epoch: AtomicI64::new(epoch),
            store,
            bus,
            registry: Registry::new(),
            groups: GroupCache::new(),
            known_users: KnownUsers::new(),
            writers,
            releaser: Releaser::new(),
            token_keeper: TokenKeeper::new(),
            throttle,
            passwords: Passwords::default(),
            mailboxes: OnceLock::new(),
            peers: RwLock::new(Vec::new()),
            handovers: AtomicU64::new(random_positive().unsigned_abs()),
            outcomes: Outcomes::default(),
            unnudged: Mutex::default(),
            memory: MessageMemory::new(),
            sweeps_wanted: AtomicU64::new(0),
            sweeps_done: AtomicU64::new(0),
            to_resume: Mutex::default(),
            unanswered: Mutex::default(),
            unflushed: Mutex::default(),
            stopping: AtomicBool::new(false),
            ended_in_stop: Mutex::default(),
        })
    }

    /// How many threads are to run [`offline_writer::run`].
    pub fn offline_writers(&self) -> usize {
        self.writers.count()
    }

    fn this(&self) -> Option<Arc<Service>> {
        self.this.upgrade()
    }

    /// Says how the reactors are reached, in the order of their numbers.
    /// Called once, before the first connection.
    pub fn set_mailboxes(&self, mailboxes: Vec<Box<dyn Mailbox>>) {
        if self.mailboxes.set(mailboxes).is_err() {
            warn!(target: "service", "the reactors' mailboxes were set twice; the first stand");
        }
    }

    /// This server's present epoch.
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Who has tried too often, and the audit log.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// This server's name.
    pub fn server_id(&self) -> &ServerId {
        &self.settings.server_id
    }

    /// The users that are online here, and what waits for the database.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A fresh claim of this server.
    fn new_claim(&self) -> OwnClaim {
        OwnClaim { epoch: self.epoch(), number: random_positive() }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Posts to the reactor that owns `session`; gives the post back where
    /// that reactor has ended.
    fn post(&self, session: SessionId, post: Post) -> Result<(), Post> {
        match self.mailboxes.get().and_then(|all| all.get(usize::from(session.reactor))) {
            Some(mailbox) => mailbox.post(post),
            None => Err(post),
        }
    }

    /// Posts to the reactor that owns `session`. Where that has ended, the
    /// server stops and what is lost with the post is what its stop sees to.
    pub fn tell(&self, session: SessionId, post: Post) {
        if here::reactor() == Some(session.reactor) && matches!(post, Post::Settled { .. }) {
            here::post(post);
        } else if self.post(session, post).is_err() {
            debug!(target: "service", "conn={session} its reactor has ended, nothing to tell it");
        }
    }
}

/// A random number from 1 to 2^63 - 1.
///
/// # Panics
/// Where the operating system has no randomness: nothing safe can go on then.
pub fn random_positive() -> i64 {
    let random = getrandom::u64().expect("the operating system gives random numbers");
    ((random >> 1) as i64).max(1)
}

/// 128 random bits as 32 hexadecimal digits: a `mid` where the sender has none.
///
/// # Panics
/// As [`random_positive`].
fn random_mid() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// What a person is told when the database did not do what was asked, and no
/// rule of chat was the reason.
fn store_refusal(error: &crate::model::StoreError) -> Refusal {
    use crate::model::StoreError::*;
    match error {
        Unavailable(_) => {
            Refusal::new(Errno::Unavailable, "the database is unavailable, try again in a moment")
        }
        NoSuchUser => Refusal::new(Errno::NoSuchUser, "there is no user with this id"),
        NoSuchGroup => Refusal::new(Errno::NoSuchGroup, "there is no group with this id"),
        NameTaken => Refusal::new(Errno::WrongOrTaken, "this name is taken, choose another one"),
        AlreadyFriends => Refusal::new(Errno::NothingToDo, "you are friends already"),
        NotFriends => Refusal::new(Errno::NotRelated, "this user is not on your friend list"),
        AlreadyMember => Refusal::new(Errno::NothingToDo, "you are a member of this group already"),
        TooManyFriends => Refusal::new(
            Errno::SlowDown,
            "you have as many friends as this server allows: end a friendship to make room",
        ),
        FriendHasTooMany => Refusal::new(
            Errno::SlowDown,
            "this user has as many friends as this server allows and would have to end a friendship",
        ),
        TooManyGroups => Refusal::new(
            Errno::SlowDown,
            "you are in as many groups as this server allows: leave one to make room",
        ),
        GroupFull => Refusal::new(
            Errno::SlowDown,
            "this group has as many members as this server allows: somebody would have to leave it",
        ),
        NotMember => Refusal::new(Errno::NotRelated, "you are not a member of this group"),
        Internal(_) | Misconfigured(_) | InUse(_) => Refusal::new(
            Errno::Internal,
            "the server met an internal error; tell its operator, the log says more",
        ),
    }
}
