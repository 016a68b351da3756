//! The goals: what the chat server costs, each as a ratio of one session on
//! one machine, so that the figure means something elsewhere too.
//!
//! ```text
//! ./autobuild.sh bench [NAME…] [--runs N]      cargo bench --bench goals -- …
//! main ─▶ goal (name, load, bound, how) ─▶ cpu │ latency │ idle │ stored │ storm
//!              └─▶ table (markdown)          └─▶ programs (ChatBench, floor, server)
//! ```
//!
//! Progress goes to standard error, the table to standard output. The exit
//! status says whether every goal was met and no run had a fault.

// As in the tests: what is not there ends the goal, and its row says so.
#![allow(clippy::unwrap_used)]

mod cpu;
mod figures;
mod goal;
mod idle;
mod latency;
mod machine;
mod programs;
mod stored;
mod storm;
#[macro_use]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use goal::{GOALS, Goal, Outcome, Session};

/// Measures the server against its floors, and says which goals are met.
#[derive(Debug, Parser)]
#[command(name = "goals")]
struct Options {
    /// Which goals; all if none is named
    #[arg(value_name = "NAME", value_parser = GOALS.map(|goal| goal.name))]
    names: Vec<String>,
    /// How many runs of each side, which take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    std::panic::set_hook(Box::new(|panic| eprintln!("    {panic}")));
    let begun = Instant::now();
    let session = Session::new(options.runs);
    let is_wanted =
        |goal: &&Goal| options.names.is_empty() || options.names.iter().any(|n| n == goal.name);
    let machine = machine::describe();
    let results: Vec<(&Goal, Outcome)> =
        GOALS.iter().filter(is_wanted).map(|goal| (goal, measure(goal, &session))).collect();
    println!("{machine}; runs of each side: {}\n", options.runs);
    println!("| goal | load | measured | goal | met? |\n|---|---|---|---|---|");
    for (goal, outcome) in &results {
        println!("{}", goal.row(outcome));
    }
    eprintln!("{} goals in {:.0} s", results.len(), begun.elapsed().as_secs_f64());
    match results.iter().all(|(goal, outcome)| goal.is_met(outcome)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Measures one goal; a panic on the way is a fault of this goal only.
fn measure(goal: &Goal, session: &Session) -> Outcome {
    eprintln!("==> {}: {}", goal.name, goal.load);
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (goal.measure)(session)));
    let outcome = outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    });
    eprintln!("    {} ({:.0} s)", goal.shown(&outcome), begun.elapsed().as_secs_f64());
    outcome
}
