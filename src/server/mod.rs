//! The whole server: the only place that knows every part.
//!
//! ```text
//! main ─────────── main reactor: accept, signals
//! reactor-0..N-1 ─ connections, frames, memory-only handlers
//! worker-0..W-1 ── handlers that ask the database, pages of missed messages
//! password-0..P-1  logins and registrations
//! offline-0..O-1 ─ the writers of missed messages
//! claim-releaser ─ lets go of claims until committed
//! tokens ───────── ends former login tokens, renews those in use
//! claims ───────── beat, watch over other servers, audit, sweep
//! overdue ──────── stores what other servers do not report on
//! bus-subscriber, bus-publisher
//! ```

mod admission;
mod bare;
mod fair_queue;
mod feeding;
mod gateway;
mod limits;
mod lobby;
mod logins;
mod main_reactor;
mod pace;
pub mod panic;
mod peer;
mod pools;
mod requests;
mod startup;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use log::{error, info, warn};

pub use main_reactor::MainReactor;
pub use startup::StartError;

use crate::bus::Bus;
use crate::config::{Config, Database};
use crate::model::Store;
use crate::net::{BufferMemory, Reactor, ReactorConfig, ReactorHandle};
use crate::service::claims::Event;
use crate::service::inbound::Inbound;
use crate::service::throttle::TryLimits;
use crate::service::{
    Mailbox, Post, Service, Settings, claims, here, offline_writer, random_positive, releaser,
    stop, token_keeper,
};
use admission::{Admission, ConnectionLimits};
use gateway::{Gateway, GatewayOptions};
use pace::PaceLimits;
use pools::Pools;

/// How much longer than a recipient another server may take.
const HANDOVER_GRACE: Duration = Duration::from_secs(2);

/// How much longer a half-closed connection waits for its answers.
const HALF_CLOSE_GRACE: Duration = Duration::from_secs(3);

/// How long a start waits until it stands in its cluster: the first messages
/// should go to who is online elsewhere, not into the database.
const JOIN_WAIT: Duration = Duration::from_secs(3);

/// A running server.
pub struct Server {
    address: SocketAddr,
    main: MainReactor,
    service: Arc<Service>,
    bus: Arc<dyn Bus>,
    pools: Arc<Pools>,
    reactors: Vec<ReactorHandle<Post>>,
    reactor_threads: Vec<JoinHandle<()>>,
    pool_threads: Vec<JoinHandle<()>>,
    writing_threads: Vec<JoinHandle<()>>,
    watching_threads: Vec<JoinHandle<()>>,
    events: Sender<Event>,
    overdue: Sender<()>,
    stop_timeout: Duration,
}

impl Server {
    /// Starts every part and listens. Waits for the services that it needs up
    /// to `--start-timeout`.
    ///
    /// # Errors
    /// [`StartError`] says what was wrong and what to do.
    pub fn start(config: &Config) -> Result<Server, StartError> {
        config.check().map_err(StartError::Usage)?;
        let config = &config
            .with_passwords(|variable| std::env::var_os(variable))
            .map_err(StartError::Usage)?;
        let socket = startup::bind(config.address())?;
        let address = startup::local_address(&socket)?;
        let id = config.server_id.clone().unwrap_or_else(|| address.to_string());
        let deadline = Instant::now() + config.start_timeout;
        let store: Arc<dyn Store> = startup::open_store(config, deadline)?;
        let bus: Arc<dyn Bus> = startup::open_bus(config, &id, deadline)?;
        let epoch = random_positive();
        let freed = store.start_server(&id, epoch).map_err(StartError::from_store)?;
        if freed > 0 {
            info!(target: "claims", "{freed} users of a former life of this server set offline");
        }
        if config.redis.is_none() && matches!(config.database, Database::Mysql(_)) {
            warn!(
                target: "server",
                "no --redis: this must be the only server on its database, others are not reached"
            );
        }
        let settings = Settings {
            server_id: id.as_str().into(),
            max_frame: config.max_frame as usize,
            // A page must never look like a slow reader's queue.
            page_bytes: config.max_frame.min(config.max_outbound / 2) as usize,
            handover_timeout: config.ack_timeout + HANDOVER_GRACE,
            offline_queue: config.offline_queue as usize,
            tries: TryLimits {
                login_failures: config.login_failures,
                address_login_failures: config.address_login_failures,
                registrations: config.registrations,
            },
            max_offline: config.max_offline(),
            offline_age: config.offline_age(),
            limits: config.limits(),
        };
        let service = Service::new(settings, epoch, store, bus.clone());
        let server = Server::start_threads(config, address, socket, service, bus)
            .map_err(StartError::System)?;
        let reactors = server.reactors.len();
        info!(target: "server", "serving on {address} ({reactors} reactors), id {id}");
        Ok(server)
    }

    fn start_threads(
        config: &Config,
        address: SocketAddr,
        socket: socket2::Socket,
        service: Arc<Service>,
        bus: Arc<dyn Bus>,
    ) -> std::io::Result<Server> {
        let mut reactors = Vec::new();
        let mut handles = Vec::new();
        let memory = BufferMemory::new(config.max_buffers as usize);
        for number in 0..config.reactors() {
            let limits = reactor_config(config, &memory);
            let (reactor, handle) = Reactor::<Gateway>::new(number, limits)?;
            reactors.push(reactor);
            handles.push(handle);
        }
        let mailboxes = handles.iter().cloned().map(|handle| Box::new(Reach(handle)) as _);
        service.set_mailboxes(mailboxes.collect());

        let mut writing_threads = vec![
            spawn("tokens", {
                let service = service.clone();
                move || token_keeper::run(&service)
            })?,
            spawn("claim-releaser", {
                let service = service.clone();
                move || releaser::run(&service)
            })?,
        ];
        for number in 0..service.offline_writers() {
            let service = service.clone();
            let run = move || offline_writer::run(&service, number);
            writing_threads.push(spawn(&format!("offline-{number}"), run)?);
        }
        let (events, claims_events) = unbounded();
        let (overdue, overdue_stop) = bounded(1);
        let (joined, has_joined) = bounded(0);
        bus.start(Arc::new(Inbound::new(service.clone(), events.clone())));
        let watching_threads = vec![
            spawn("claims", {
                let service = service.clone();
                move || claims::run(&service, &claims_events, joined)
            })?,
            spawn("overdue", {
                let service = service.clone();
                move || stop::run_overdue(&service, &overdue_stop)
            })?,
        ];
        let (pools, pool_threads) = Pools::start(&service, config.workers, config.hash_threads())?;
        let pools = Arc::new(pools);
        let reactor_threads = spawn_reactors(config, reactors, &service, &pools)?;
        await_cluster(&has_joined);
        let main = MainReactor::new(startup::listen(socket)?, handles.clone())?;
        Ok(Server {
            address,
            main,
            service,
            bus,
            pools,
            reactors: handles,
            reactor_threads,
            pool_threads,
            writing_threads,
            watching_threads,
            events,
            overdue,
            stop_timeout: config.stop_timeout,
        })
    }

    /// Where clients connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections on this thread until SIGINT or SIGTERM, then stops.
    ///
    /// # Errors
    /// The main reactor failed, or this server's users could not be set
    /// offline; the sentence says which.
    pub fn run(mut self) -> Result<(), RunError> {
        let ran = self.main.run();
        let stopped = self.stop();
        ran.map_err(RunError::MainReactor)?;
        stopped
    }

    /// Finishes what is with the workers, stores what is unconfirmed, flushes
    /// within the deadline and sets this server's users offline.
    fn stop(mut self) -> Result<(), RunError> {
        info!(target: "server", "stopping");
        self.main.stop_accepting();
        self.service.begin_stop();
        let deadline = Instant::now() + self.stop_timeout;
        for reactor in &self.reactors {
            reactor.shutdown(deadline);
        }
        join(self.reactor_threads);
        self.pools.stop();
        join(self.pool_threads);
        self.service.finish_writing();
        join(self.writing_threads);
        let told = [self.events.send(Event::Stop).is_ok(), self.overdue.send(()).is_ok()];
        if told.contains(&false) {
            error!(target: "server", "a thread had ended before it was told to");
        }
        join(self.watching_threads);
        // Their answers come while the channel is left.
        self.service.retry_nudges();
        self.bus.stop_listening();
        self.service.flush_outcomes();
        let left = self.service.leave_cluster();
        self.bus.shutdown();
        left.map_err(|err| RunError::Leave(err.to_string()))?;
        info!(target: "server", "stopped");
        Ok(())
    }
}

/// Why a server that ran did not end as asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The main reactor's poll failed.
    #[error("the main reactor failed: {0}")]
    MainReactor(std::io::Error),
    /// The database did not take this server out of the cluster.
    #[error(
        "this server's users could not be set offline, they are until it starts again or another \
         server declares it dead: {0}"
    )]
    Leave(String),
}

/// A reactor, as the service reaches it.
struct Reach(ReactorHandle<Post>);

impl Mailbox for Reach {
    fn post(&self, post: Post) -> Result<(), Post> {
        self.0.post(post).map_err(|refused| refused.0)
    }

    fn post_all(&self, posts: Vec<Post>) -> Result<(), Vec<Post>> {
        self.0.post_all(posts).map_err(|refused| refused.0)
    }
}

fn reactor_config(config: &Config, memory: &BufferMemory) -> ReactorConfig {
    ReactorConfig {
        memory: memory.clone(),
        max_frame: config.max_frame as usize,
        max_outbound: config.max_outbound as usize,
        bare_pace: Duration::from_millis(config.bare_pace_ms.into()),
        idle_timeout: config.idle_timeout,
        frame_timeout: config.frame_timeout,
        write_timeout: config.write_timeout,
        // Long enough for what is under way to another server to be settled.
        half_close_timeout: config.ack_timeout + HANDOVER_GRACE + HALF_CLOSE_GRACE,
        trusted_proxies: config.proxy_protocol.then(|| config.trusted_proxies.clone()),
        ..ReactorConfig::default()
    }
}

fn spawn_reactors(
    config: &Config,
    reactors: Vec<Reactor<Gateway>>,
    service: &Arc<Service>,
    pools: &Arc<Pools>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    let admission = Arc::new(Admission::new(ConnectionLimits {
        all: config.max_connections,
        per_address: config.max_connections_per_address,
    }));
    // Each reactor gets the same number of connections.
    let max_anonymous = (config.max_anonymous as usize).div_ceil(reactors.len());
    for (number, reactor) in (0..).zip(reactors) {
        let options = GatewayOptions {
            login_timeout: config.login_timeout,
            ack_timeout: config.ack_timeout,
            idle_timeout: config.idle_timeout,
            admission: admission.clone(),
            pace: PaceLimits::new(config.message_rate, config.message_burst, config.message_spare),
            max_anonymous,
        };
        let gateway = Gateway::new(number, service.clone(), pools.clone(), options);
        threads.push(spawn(&format!("reactor-{number}"), move || {
            here::enter(number);
            if let Err(err) = reactor.run(gateway) {
                // Half a server is worse than none: its other half would
                // hold on to users that nobody serves.
                panic!("reactor {number} failed: {err}");
            }
        })?);
    }
    Ok(threads)
}

/// Waits until this server stands in its cluster, for a while.
fn await_cluster(has_joined: &Receiver<()>) {
    if has_joined.recv_timeout(JOIN_WAIT) == Err(RecvTimeoutError::Timeout) {
        warn!(
            target: "server",
            "not in touch with the other servers yet: until then messages to their users are \
             stored"
        );
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        if thread.join().is_err() {
            // The panic hook has ended the process before anybody gets here.
            error!(target: "server", "a thread ended by a panic");
        }
    }
}
