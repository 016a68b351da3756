//! What a run has measured, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::engine::{Load, Measured};
use super::latency::Latencies;
use super::mixed::Blended;
use super::run::SLOTS_PER_SECOND;

/// One run and its figures.
#[derive(Debug)]
pub struct Report {
    /// The kind of load.
    pub mode: &'static str,
    /// How fast was sent.
    pub load: Load,
    /// What was measured.
    pub measured: Measured,
}

pub(super) const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 100.0];

impl Report {
    /// Processor time of the measured processes for each copy that came, in
    /// microseconds.
    pub fn cpu_us_per_copy(&self) -> Option<f64> {
        let used: Duration = self.measured.cpu.iter().map(|(_, used)| *used).sum();
        let copies = self.measured.received;
        let known = !self.measured.cpu.is_empty() && copies > 0;
        known.then(|| used.as_secs_f64() * 1e6 / copies as f64)
    }

    /// Copies that came in a second.
    pub fn copies_per_second(&self) -> f64 {
        self.measured.received as f64 / self.measured.time.as_secs_f64()
    }

    /// Prints one JSON object.
    pub fn print_json(&self) {
        let m = &self.measured;
        let load = match self.load {
            Load::Window(window) => json!({"window": window}),
            Load::Rate(rate) => json!({"rate": rate}),
        };
        let cpu: Vec<Value> = m
            .cpu
            .iter()
            .map(|(pid, used)| json!({"pid": pid.0, "seconds": used.as_secs_f64()}))
            .collect();
        let seconds = m.received_over_time.chunks(SLOTS_PER_SECOND as usize);
        let timeline: Vec<u64> = seconds.map(|slots| slots.iter().sum()).collect();
        let object = json!({
            "mode": self.mode,
            "load": load,
            "seconds": m.time.as_secs_f64(),
            "sent": m.sent,
            "answered": m.answered,
            "received": m.received,
            "copies_per_second": self.copies_per_second(),
            "answers_per_second": m.answered as f64 / m.time.as_secs_f64(),
            "server_cpu": cpu,
            "server_cpu_us_per_copy": self.cpu_us_per_copy(),
            "own_cpu_seconds": m.own_cpu.as_secs_f64(),
            "delivery_us": latencies(&m.delivery),
            "answer_us": latencies(&m.answer),
            "timeline": timeline,
            "books": m.books,
            "blended": m.blended.as_ref().map(Blended::json),
            "fault": m.books.fault(),
        });
        println!("{object}");
    }

    /// The load, and for how long.
    pub fn headline(&self) -> String {
        let load = match self.load {
            Load::Window(window) => format!("{window} under way for each sender"),
            Load::Rate(rate) => format!("{rate} a second"),
        };
        format!("{load}, measured for {:.1} s", self.measured.time.as_secs_f64())
    }

    /// Prints a table.
    pub fn print_table(&self) {
        let m = &self.measured;
        println!("{}: {}", self.mode, self.headline());
        println!("  copies delivered   {:>12.0} a second", self.copies_per_second());
        let answers = m.answered as f64 / m.time.as_secs_f64();
        println!("  messages answered  {answers:>12.0} a second");
        match self.cpu_us_per_copy() {
            Some(cost) => println!("  server CPU         {cost:>12.2} us for each of them"),
            None if m.cpu.is_empty() => println!("  server CPU         not known: give its --pid"),
            None => {}
        }
        let own = m.own_cpu.as_secs_f64() / m.time.as_secs_f64() * 100.0;
        println!("  CPU of ChatBench   {own:>12.0} %");
        println!(
            "  latency            {}",
            PERCENTILES.map(|p| format!("{:>9}", name(p))).join("")
        );
        for (what, latencies) in [("delivery", &m.delivery), ("answer", &m.answer)] {
            let row = PERCENTILES.map(|p| format!("{:>9}", shown(latencies.percentile(p))));
            println!("    {what:17}{}", row.join(""));
        }
        if let Some(blended) = &m.blended {
            blended.print_table();
        }
        let b = &m.books;
        println!(
            "  books, warm-up included: {} sent, {} answered, {} copies received, {} stored",
            b.sent, b.answered, b.received, b.stored
        );
        if b.repeated > 0 {
            println!("  {} copies came again, since nobody had confirmed them", b.repeated);
        }
        match b.fault() {
            Some(fault) => println!("  FAILED: {fault}"),
            None => println!("  nothing lost, doubled or out of order"),
        }
    }
}

pub(super) fn name(percentile: f64) -> String {
    match percentile {
        100.0 => "max".into(),
        other => format!("p{other}"),
    }
}

pub(super) fn shown(latency: Duration) -> String {
    match latency.as_secs_f64() {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.0} us", s * 1e6),
    }
}

pub(super) fn latencies(latencies: &Latencies) -> Value {
    let entries =
        PERCENTILES.map(|p| (name(p), json!(latencies.percentile(p).as_secs_f64() * 1e6)));
    Value::Object(entries.into_iter().collect())
}
