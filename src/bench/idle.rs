//! Connections on which nothing happens but the heartbeat: what each costs the
//! server in memory, and in processor time.
//!
//! Memory is told by the growth of a process. One that has served as many
//! connections before need not grow: it has to be started anew for this.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::BenchError;
use super::crowd::{Crowd, Happening};
use super::crowd_run::{self, CrowdOptions, Faults, GLANCE};
use super::modes::progress;
use super::options::seconds;
use super::people::Proof;
use super::process::{Meter, Pid, memory_of};

/// Memory has settled when it has changed by no more than this…
const SETTLED_BYTES: u64 = 64 * 1024;
/// … for so long.
const SETTLED_FOR: Duration = Duration::from_secs(1);
/// It settles within this, or something else is going on there.
const SETTLE_DEADLINE: Duration = Duration::from_secs(20);
/// No connection on which somebody is logged in takes less.
const LEAST_BYTES: f64 = 256.0;

/// What `ChatBench idle` is told.
#[derive(Debug, Clone, Args)]
pub struct IdleOptions {
    /// How many connections
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// So many more are made first: what a server needs once, for the first
    /// logins, is no other connection's cost
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub baseline: u32,
    /// Seconds for which they are held and the processor time is measured
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub time: Duration,
    /// Common flags.
    #[command(flatten)]
    pub crowd: CrowdOptions,
}

struct Figures {
    memory_before: u64,
    memory_after: u64,
    cpu_us: f64,
    fault: Option<String>,
}

/// Makes the connections, measures and reports. Whether all went well.
///
/// # Errors
/// It could not be done; the sentence says why.
pub fn run(options: &IdleOptions) -> Result<bool, BenchError> {
    let (count, baseline) = (options.connections as usize, options.baseline as usize);
    let pids = options.crowd.measured_pids();
    if pids.is_empty() {
        return Err(BenchError(format!(
            "no process of this user listens at {} on this machine: its memory cannot be read. \
             Start one, or give its --pid",
            options.crowd.server
        )));
    }
    options.crowd.expect_room(baseline + count)?;
    let people = options.crowd.people(baseline + count)?;
    let figures = options.crowd.with_crowd(people, |crowd| measure(crowd, options, &pids))?;
    let bytes = figures.memory_after as f64 - figures.memory_before as f64;
    let per_connection = bytes / count as f64;
    let used_before = (per_connection < LEAST_BYTES).then(|| {
        "the server's memory has hardly grown: it has had as many connections before, start it \
         anew to measure this"
            .to_owned()
    });
    let object = json!({
        "mode": "idle",
        "connections": count,
        "baseline": baseline,
        "seconds": options.time.as_secs_f64(),
        "memory_before": figures.memory_before,
        "memory_after": figures.memory_after,
        "bytes_per_connection": per_connection,
        "server_cpu_us_per_connection_second": figures.cpu_us,
        "fault": figures.fault.or(used_before),
    });
    Ok(crowd_run::print(options.crowd.json, &object, || {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!("idle: {count} connections beside {baseline} first ones");
        println!("  memory before      {:>12.2} MiB", mib(figures.memory_before));
        println!("  memory after       {:>12.2} MiB", mib(figures.memory_after));
        println!("  each connection    {per_connection:>12.0} bytes");
        println!("  server CPU         {:>12.2} us a second for each of them", figures.cpu_us);
    }))
}

fn measure(crowd: &mut Crowd, options: &IdleOptions, pids: &[Pid]) -> Result<Figures, BenchError> {
    let (count, baseline) = (options.connections as usize, options.baseline as usize);
    let mut faults = Faults::default();
    crowd_run::log_in(crowd, 0..baseline, Proof::Token)?;
    let memory_before = settled_memory(crowd, pids, &mut faults)?;
    crowd_run::log_in(crowd, baseline..baseline + count, Proof::Token)?;
    let memory_after = settled_memory(crowd, pids, &mut faults)?;
    let meter = Meter::start(pids)?;
    let begun = Instant::now();
    let bar = progress("holding", options.time.as_secs());
    while begun.elapsed() < options.time {
        look_after(crowd, &mut faults)?;
        bar.set_position(begun.elapsed().as_secs());
    }
    bar.finish_and_clear();
    let connection_seconds = (baseline + count) as f64 * begun.elapsed().as_secs_f64();
    let cpu_us = crowd_run::cpu_us_each(&meter, connection_seconds)?.unwrap_or_default();
    Ok(Figures { memory_before, memory_after, cpu_us, fault: faults.sentence() })
}

/// Lets the connections be; none of them may end.
fn look_after(crowd: &mut Crowd, faults: &mut Faults) -> Result<(), BenchError> {
    for (_, happening) in crowd.turn(GLANCE)? {
        match happening {
            Happening::Broken(error) | Happening::Ended(error) => {
                faults.note(|| crowd_run::why_broken(&error));
            }
            Happening::Refused(why) => faults.note(|| format!("the server said {why}")),
            Happening::LoggedIn(_) | Happening::Left => {}
        }
    }
    Ok(())
}

/// The memory once it stands still.
fn settled_memory(crowd: &mut Crowd, pids: &[Pid], faults: &mut Faults) -> Result<u64, BenchError> {
    let begun = Instant::now();
    let bar = progress("settling", SETTLE_DEADLINE.as_secs());
    let (mut anchor, mut since) = (memory_of(pids)?, begun);
    while since.elapsed() < SETTLED_FOR {
        look_after(crowd, faults)?;
        let memory = memory_of(pids)?;
        if memory.abs_diff(anchor) > SETTLED_BYTES {
            (anchor, since) = (memory, Instant::now());
        }
        if begun.elapsed() > SETTLE_DEADLINE {
            faults.note(|| {
                "the server's memory does not stand still: is somebody else there?".to_owned()
            });
            break;
        }
        bar.set_position(begun.elapsed().as_secs());
    }
    bar.finish_and_clear();
    memory_of(pids)
}
