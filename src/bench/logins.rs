//! People who log in, get their answer and leave, again and again: how many
//! logins a server manages, how long they take and what each costs it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::BenchError;
use super::crowd::{Crowd, Happening, Leaving};
use super::crowd_run::{self, CrowdOptions, Faults, GLANCE};
use super::engine::Load;
use super::latency::Latencies;
use super::modes::progress;
use super::options::{rate, seconds};
use super::people::Proof;
use super::process::{Meter, Pid};
use super::report::latencies;

/// How long those who have begun may still take after the time.
const PATIENCE: Duration = Duration::from_secs(10);
/// The poll's clock is as coarse as this: before a login is due the thread goes
/// round instead of sleeping.
const POLL_GRAIN: Duration = Duration::from_millis(2);
/// So many logins may be due and not begun.
const MOST_DUE: usize = 1 << 16;
/// After so many faults nothing is learnt any more.
const MOST_FAULTS: u64 = 100;

/// What `ChatBench login` is told.
#[derive(Debug, Clone, Args)]
pub struct LoginOptions {
    /// By password, which the server has to hash, and then log out; or by token,
    /// and then close
    #[arg(long, value_enum)]
    pub proof: ProofFlag,
    /// Closed loop: so many people are coming or going at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub window: u32,
    /// Open loop: so many logins a second begin, whatever became of the former
    /// ones; latency counts from when they should have
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "window", value_parser = rate)]
    pub rate: Option<f64>,
    /// How many people take turns, and nobody is logged in twice at once; the
    /// more, the less a server is still at somebody's former session
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub people: u32,
    /// Seconds that are measured
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub time: Duration,
    /// Seconds before that which are not
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
    /// Common flags.
    #[command(flatten)]
    pub crowd: CrowdOptions,
}

/// [`Proof`] on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProofFlag {
    /// By password.
    Password,
    /// By token.
    Token,
}

#[derive(Default)]
struct Figures {
    time: Duration,
    latencies: Latencies,
    cpu_us: Option<f64>,
    put_off: u64,
    /// Open loop: logins that were due at the end and had not begun, since
    /// everybody was on the way.
    not_begun: usize,
    fault: Option<String>,
}

/// Runs the load and reports. Whether all went well.
///
/// # Errors
/// It could not be done; the sentence says why.
pub fn run(options: &LoginOptions) -> Result<bool, BenchError> {
    let load = options.rate.map_or(Load::Window(u64::from(options.window)), Load::Rate);
    let count = options.people as usize;
    let window = options.window;
    if options.rate.is_none() && options.people < window {
        return Err(BenchError(format!(
            "{} people cannot be {window} at once: give --people {window} or more",
            options.people,
        )));
    }
    options.crowd.expect_room(if options.rate.is_none() { window as usize } else { count })?;
    let people = options.crowd.people(count)?;
    let pids = options.crowd.measured_pids();
    let figures = options.crowd.with_crowd(people, |crowd| {
        if options.proof == ProofFlag::Token {
            give_tokens(crowd, count)?;
        }
        Turns::new(crowd, options, load).run(&pids)
    })?;
    let logins = figures.latencies.count();
    let per_second = logins as f64 / figures.time.as_secs_f64();
    let proof = match options.proof {
        ProofFlag::Password => "password",
        ProofFlag::Token => "token",
    };
    let object = json!({
        "mode": "login",
        "proof": proof,
        "load": match load {
            Load::Window(window) => json!({"window": window}),
            Load::Rate(rate) => json!({"rate": rate}),
        },
        "people": count,
        "seconds": figures.time.as_secs_f64(),
        "logins": logins,
        "logins_per_second": per_second,
        "latency_us": latencies(&figures.latencies),
        "server_cpu_us_per_login": figures.cpu_us,
        "put_off": figures.put_off,
        "not_begun": figures.not_begun,
        "fault": figures.fault,
    });
    Ok(crowd_run::print(options.crowd.json, &object, || {
        let load = match load {
            Load::Window(window) => format!("{window} at once"),
            Load::Rate(rate) => format!("{rate} a second"),
        };
        let time = figures.time.as_secs_f64();
        println!("login by {proof}: {load}, {count} people in turn, measured for {time:.1} s");
        println!("  logins             {per_second:>12.1} a second");
        println!("  put off            {:>12} times", figures.put_off);
        if figures.not_begun > 0 {
            println!("  due, not begun     {:>12} at the end", figures.not_begun);
        }
        crowd_run::print_logins(figures.cpu_us, &figures.latencies);
    }))
}

/// Lets those who have no token log in once.
fn give_tokens(crowd: &mut Crowd, count: usize) -> Result<(), BenchError> {
    let without: Vec<usize> =
        (0..count).filter(|who| crowd.people()[*who].token.is_none()).collect();
    crowd_run::log_in(crowd, without.iter().copied(), Proof::Password)?;
    without.iter().for_each(|who| crowd.leave(*who, Leaving::Close));
    let begun = Instant::now();
    let mut left = 0;
    while left < without.len() {
        let happened = crowd.turn(GLANCE)?;
        left += happened.iter().filter(|(_, what)| matches!(what, Happening::Left)).count();
        if begun.elapsed() > PATIENCE {
            return Err(BenchError("the server does not close what its clients close".into()));
        }
    }
    Ok(())
}

/// Who is free, and who is on the way.
struct Turns<'a> {
    crowd: &'a mut Crowd,
    load: Load,
    proof: Proof,
    leaving: Leaving,
    warm_up: Duration,
    time: Duration,
    /// Who has been away for longest is in front.
    free: VecDeque<usize>,
    under_way: u64,
    /// Open loop: when logins should have begun that have not.
    due: VecDeque<Instant>,
    scheduled: u64,
    faults: Faults,
    figures: Figures,
    is_measuring: bool,
}

impl<'a> Turns<'a> {
    fn new(crowd: &'a mut Crowd, options: &LoginOptions, load: Load) -> Turns<'a> {
        let (proof, leaving) = match options.proof {
            ProofFlag::Password => (Proof::Password, Leaving::LogOut),
            ProofFlag::Token => (Proof::Token, Leaving::Close),
        };
        Turns {
            crowd,
            load,
            proof,
            leaving,
            warm_up: options.warm_up,
            time: options.time,
            free: (0..options.people as usize).collect(),
            under_way: 0,
            due: VecDeque::new(),
            scheduled: 0,
            faults: Faults::default(),
            figures: Figures::default(),
            is_measuring: false,
        }
    }

    fn run(mut self, pids: &[Pid]) -> Result<Figures, BenchError> {
        let stale_before = self.crowd.tally.stale_tokens;
        let begun = Instant::now();
        let measured_from = begun + self.warm_up;
        self.go_on(begun, measured_from)?;
        let meter = Meter::start(pids)?;
        let put_off_before = self.crowd.tally.put_off;
        let from = Instant::now();
        self.is_measuring = true;
        self.go_on(begun, measured_from + self.time)?;
        self.is_measuring = false;
        self.figures.time = from.elapsed();
        let logins = self.figures.latencies.count();
        self.figures.cpu_us = crowd_run::cpu_us_each(&meter, logins as f64)?;
        self.figures.put_off = self.crowd.tally.put_off - put_off_before;
        self.figures.not_begun = self.due.len();
        self.let_finish()?;
        let stale = self.crowd.tally.stale_tokens - stale_before;
        self.faults.note_many(stale, || {
            format!("{stale} tokens were not valid any more (they are now: run it again)")
        });
        if logins == 0 {
            self.faults.note(|| "nobody got in within the measured time".to_owned());
        }
        self.figures.fault = self.faults.sentence();
        Ok(self.figures)
    }

    /// Goes on until then.
    fn go_on(&mut self, begun: Instant, until: Instant) -> Result<(), BenchError> {
        let bar = progress("logging in", (self.warm_up + self.time).as_secs());
        while Instant::now() < until && self.faults.count() < MOST_FAULTS {
            self.begin_due(begun)?;
            let left = until.saturating_duration_since(Instant::now()).min(GLANCE);
            self.turn(left.min(self.until_next(begun)))?;
            bar.set_position(begun.elapsed().as_secs());
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Has those begin whose turn it is.
    fn begin_due(&mut self, begun: Instant) -> Result<(), BenchError> {
        let now = Instant::now();
        match self.load {
            Load::Window(window) => {
                while self.under_way < window
                    && let Some(who) = self.free.pop_front()
                {
                    self.begin(who, Instant::now())?;
                }
            }
            Load::Rate(rate) => {
                while self.next_due(begun, rate) <= now {
                    self.due.push_back(self.next_due(begun, rate));
                    self.scheduled += 1;
                }
                while !self.free.is_empty()
                    && let Some(intended) = self.due.pop_front()
                    && let Some(who) = self.free.pop_front()
                {
                    self.begin(who, intended)?;
                }
                if self.due.len() > MOST_DUE {
                    return Err(BenchError(format!(
                        "{MOST_DUE} logins are due and everybody is on the way: lower the rate, \
                         or give more --people"
                    )));
                }
            }
        }
        Ok(())
    }

    fn next_due(&self, begun: Instant, rate: f64) -> Instant {
        begun + Duration::from_secs_f64(self.scheduled as f64 / rate)
    }

    /// How long the poll may sleep.
    fn until_next(&self, begun: Instant) -> Duration {
        match self.load {
            Load::Window(_) => GLANCE,
            Load::Rate(rate) => {
                let next = self.next_due(begun, rate).saturating_duration_since(Instant::now());
                next.saturating_sub(POLL_GRAIN)
            }
        }
    }

    fn begin(&mut self, who: usize, intended: Instant) -> Result<(), BenchError> {
        self.under_way += 1;
        self.crowd.log_in(who, self.proof, intended)
    }

    fn turn(&mut self, patience: Duration) -> Result<(), BenchError> {
        for (who, happening) in self.crowd.turn(patience)? {
            match happening {
                Happening::LoggedIn(took) => {
                    if self.is_measuring {
                        self.figures.latencies.record(took);
                    }
                    self.crowd.leave(who, self.leaving);
                    continue;
                }
                Happening::Left => {}
                Happening::Broken(error) | Happening::Ended(error) => {
                    self.faults.note(|| crowd_run::why_broken(&error));
                }
                Happening::Refused(why) => {
                    self.faults.note(|| format!("the server refused a login: {why}"));
                }
            }
            self.under_way -= 1;
            self.free.push_back(who);
        }
        Ok(())
    }

    /// Waits for those who are on the way, but not for those who were told to
    /// wait.
    fn let_finish(&mut self) -> Result<(), BenchError> {
        let begun = Instant::now();
        while self.under_way > self.crowd.waiting() {
            if begun.elapsed() > PATIENCE {
                let missing = self.under_way - self.crowd.waiting();
                self.faults.note_many(missing, || format!("{missing} logins had no answer"));
                break;
            }
            self.turn(GLANCE)?;
        }
        Ok(())
    }
}
