//! All connections break at once, and everybody comes back: what an outage of
//! the network, or of a balancer, does to a server.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::BenchError;
use super::crowd::{Crowd, Happening};
use super::crowd_run::{self, CrowdOptions, Faults, GLANCE, NO_PROGRESS};
use super::latency::Latencies;
use super::modes::progress;
use super::people::Proof;
use super::process::{Meter, Pid};
use super::report::latencies;

/// So many begin to connect before what has come meanwhile is taken.
const AT_ONCE: usize = 64;

/// What `ChatBench storm` is told.
#[derive(Debug, Clone, Args)]
pub struct StormOptions {
    /// How many connections
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections: u32,
    /// Common flags.
    #[command(flatten)]
    pub crowd: CrowdOptions,
}

#[derive(Default)]
struct Figures {
    first: Duration,
    half: Duration,
    all: Duration,
    latencies: Latencies,
    cpu_us: Option<f64>,
    put_off: u64,
    broken: u64,
    fault: Option<String>,
}

/// Makes the storm and reports. Whether all went well.
///
/// # Errors
/// It could not be done; the sentence says why.
pub fn run(options: &StormOptions) -> Result<bool, BenchError> {
    let count = options.connections as usize;
    let pids = options.crowd.measured_pids();
    options.crowd.expect_room(count)?;
    let people = options.crowd.people(count)?;
    let figures = options.crowd.with_crowd(people, |crowd| measure(crowd, count, &pids))?;
    let all = figures.all.as_secs_f64();
    let is_whole = figures.latencies.count() == count as u64;
    let per_second = is_whole.then(|| count as f64 / all);
    let object = json!({
        "mode": "storm",
        "connections": count,
        "logins": figures.latencies.count(),
        "seconds_to_first": figures.first.as_secs_f64(),
        "seconds_to_half": figures.half.as_secs_f64(),
        "seconds_to_all": is_whole.then_some(all),
        "logins_per_second": per_second,
        "latency_us": latencies(&figures.latencies),
        "put_off": figures.put_off,
        "broken": figures.broken,
        "server_cpu_us_per_login": figures.cpu_us,
        "fault": figures.fault,
    });
    Ok(crowd_run::print(options.crowd.json, &object, || {
        println!("storm: {count} people come back at once");
        println!("  the first in after {:>12.3} s", figures.first.as_secs_f64());
        println!("  half of them       {:>12.3} s", figures.half.as_secs_f64());
        if let Some(per_second) = per_second {
            println!("  all of them        {all:>12.3} s");
            println!("  logins             {per_second:>12.0} a second");
        }
        println!("  put off            {:>12} times", figures.put_off);
        println!("  without an answer  {:>12} times, tried again", figures.broken);
        crowd_run::print_logins(figures.cpu_us, &figures.latencies);
    }))
}

fn measure(crowd: &mut Crowd, count: usize, pids: &[Pid]) -> Result<Figures, BenchError> {
    crowd_run::log_in(crowd, 0..count, Proof::Token)?;
    let mut figures = Figures::default();
    let mut faults = Faults::default();
    let before = crowd.tally.clone();
    let bar = progress("coming back", count as u64);
    let meter = Meter::start(pids)?;
    (0..count).for_each(|who| crowd.break_off(who));
    let begun = Instant::now();
    let (mut last, mut next, mut inside, mut given_up) = (begun, 0, 0, 0);
    while inside + given_up < count {
        let some = next..count.min(next + AT_ONCE);
        next = some.end;
        for who in some {
            crowd.log_in(who, Proof::Token, begun)?;
        }
        let patience = if next < count { Duration::ZERO } else { GLANCE };
        for (who, happening) in crowd.turn(patience)? {
            match happening {
                Happening::LoggedIn(took) => {
                    inside += 1;
                    last = Instant::now();
                    figures.came_in(inside, count, took);
                    bar.inc(1);
                }
                Happening::Broken(_) => {
                    figures.broken += 1;
                    crowd.log_in_later(who, Proof::Token, None);
                }
                Happening::Refused(why) => {
                    given_up += 1;
                    faults.note(|| format!("the server refused a login: {why}"));
                }
                Happening::Ended(error) => faults.note(|| crowd_run::why_broken(&error)),
                Happening::Left => {}
            }
        }
        if last.elapsed() > NO_PROGRESS {
            let missing = (count - inside - given_up) as u64;
            faults.note_many(missing, || format!("{missing} people did not get in any more"));
            break;
        }
    }
    bar.finish_and_clear();
    figures.cpu_us = crowd_run::cpu_us_each(&meter, inside as f64)?;
    figures.put_off = crowd.tally.put_off - before.put_off;
    let stale = crowd.tally.stale_tokens - before.stale_tokens;
    faults.note_many(stale, || format!("{stale} tokens were not valid any more"));
    figures.fault = faults.sentence();
    Ok(figures)
}

impl Figures {
    /// So many are in, one more than before.
    fn came_in(&mut self, inside: usize, of: usize, took: Duration) {
        self.latencies.record(took);
        // From the break on, like the time that each took.
        self.all = took;
        if inside == 1 {
            self.first = took;
        }
        if inside == of.div_ceil(2) {
            self.half = took;
        }
    }
}
