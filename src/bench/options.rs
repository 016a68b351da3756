//! The flags of ChatBench.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::engine::Load;
use super::idle::IdleOptions;
use super::logins::LoginOptions;
use super::seed::SeedOptions;
use super::storm::StormOptions;

/// Measures a ChatServer with real connections.
///
/// Start the server with --message-rate 0 --registrations 0: a load is a flood.
/// A run that loses, doubles or reorders anything fails with exit status 1.
#[derive(Debug, Parser)]
#[command(name = "ChatBench", version)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub mode: Mode,
}

/// A kind of load.
#[derive(Debug, Subcommand)]
pub enum Mode {
    /// One-to-one messages within pairs
    Pairs {
        /// How many pairs
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        pairs: u32,
        /// The recipients are on this other server of the cluster
        #[arg(long, value_name = "ADDRESS")]
        across: Option<SocketAddr>,
        /// The recipients are not logged in: each message is to be stored. They
        /// log in afterwards and take everything
        #[arg(long, conflicts_with_all = ["across", "floor"])]
        offline: bool,
        /// Common flags.
        #[command(flatten)]
        run: RunOptions,
    },
    /// Messages to groups
    Groups {
        /// How many groups
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        groups: u32,
        /// How many members each has
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..))]
        members: u32,
        /// How many of them send
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        senders: u32,
        /// Common flags.
        #[command(flatten)]
        run: RunOptions,
    },
    /// A realistic blend: 80 % one-to-one, 15 % group messages, 5 % other
    /// requests, while people leave and come back; the window is each person's
    Mixed {
        /// How many people, in groups of ten
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=2000))]
        people: u32,
        /// How many of them a second leave and come back, by token or, one in
        /// ten, by password
        #[arg(long, value_name = "PER_SECOND", default_value = "5", value_parser = logins)]
        logins: f64,
        /// Common flags.
        #[command(flatten)]
        run: RunOptions,
    },
    /// The least possible server for the same bytes, to compare with: a chat
    /// load with --floor goes to it
    Floor {
        /// Where it listens
        address: SocketAddr,
        /// Answer each message
        #[arg(long)]
        reply: bool,
    },
    /// Write accounts straight into a database, for loads with many people. Only
    /// for test databases: all of a run's accounts have one password, and
    /// nothing removes them
    Seed(SeedOptions),
    /// Connections on which nothing happens: what each costs a server in memory
    /// and processor time. Start it anew before: what it has had once it keeps
    Idle(IdleOptions),
    /// People who log in and leave, again and again
    Login(LoginOptions),
    /// All connections break at once, and everybody comes back by token
    Storm(StormOptions),
}

/// What every load has.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// The server
    pub server: SocketAddr,
    /// Closed loop: so many messages of each sender are under way
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub window: u64,
    /// Open loop: so many messages a second together, sent whether the former
    /// ones are answered or not
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = rate)]
    pub rate: Option<f64>,
    /// Seconds that are measured
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub time: Duration,
    /// Seconds before that which are not
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
    /// Bytes of each text
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=60_000))]
    pub bytes: u32,
    /// Recipients confirm what they get
    #[arg(long)]
    pub ack: bool,
    /// The server is a `ChatBench floor`
    #[arg(long, conflicts_with = "ack")]
    pub floor: bool,
    /// Processes whose processor time is taken; found by themselves on this
    /// machine
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Keep accounts and tokens here, and use those that are there already
    #[arg(long, value_name = "FILE")]
    pub accounts: Option<PathBuf>,
    /// Draw latency and throughput
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
    /// Print the figures as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl RunOptions {
    /// How fast is sent.
    pub fn load(&self) -> Load {
        self.rate.map_or(Load::Window(self.window), Load::Rate)
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    match seconds {
        0.0..=86_400.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give 0 to 86400 seconds".into()),
    }
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=10_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("give 0.001 to 10000000 messages a second".into()),
    }
}

fn logins(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(logins) if (0.0..=10_000.0).contains(&logins) => Ok(logins),
        _ => Err("give 0 to 10000 logins a second".into()),
    }
}
