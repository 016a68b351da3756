//! One run's clock and figures: what is measured begins after the warm-up.

use std::time::{Duration, Instant};

use super::BenchError;
use super::engine::{Load, Measured, Plan};
use super::process::{Meter, Pid};

/// How long answers and copies may take after the last message.
const PATIENCE: Duration = Duration::from_secs(10);
/// The poll's clock is as coarse as this: before a message is due the thread
/// goes round instead of sleeping.
const POLL_GRAIN: Duration = Duration::from_millis(2);

/// How finely the time is divided for what happens over it.
pub(super) const SLOTS_PER_SECOND: u32 = 10;

/// One run's clock and figures.
pub(super) struct Run {
    pub begun: Instant,
    pub now: Instant,
    measured_from: Instant,
    pub end: Instant,
    is_measuring: bool,
    is_measured: bool,
    /// Flows whose window may have room.
    pub ready: Vec<usize>,
    pub next_due: Instant,
    pub next_flow: usize,
    pub scheduled: u64,
    is_open_loop: bool,
    /// Of each process, and of this one.
    meters: Vec<(Pid, Meter)>,
    own: Option<Meter>,
    sent_before: u64,
    pub measured: Measured,
}

impl Run {
    pub fn new(plan: &Plan, flows: usize) -> Run {
        let begun = Instant::now();
        let measured_from = begun + plan.warm_up;
        Run {
            begun,
            now: begun,
            measured_from,
            end: measured_from + plan.time,
            is_measuring: false,
            is_measured: false,
            ready: (0..flows).collect(),
            next_due: begun,
            next_flow: 0,
            scheduled: 0,
            is_open_loop: matches!(plan.load, Load::Rate(_)),
            meters: Vec::new(),
            own: None,
            sent_before: 0,
            measured: Measured::default(),
        }
    }

    /// Whether nothing is to be waited for any more.
    pub fn is_over(&self, is_settled: impl FnOnce() -> bool) -> bool {
        self.is_measured && (is_settled() || self.now >= self.end + PATIENCE)
    }

    /// How long the poll may sleep.
    pub fn patience(&self) -> Duration {
        if self.now >= self.end || !self.is_open_loop {
            return POLL_GRAIN;
        }
        self.next_due.saturating_duration_since(Instant::now()).saturating_sub(POLL_GRAIN)
    }

    pub fn progress(&self, plan: &Plan) -> f64 {
        let all = (plan.warm_up + plan.time).as_secs_f64();
        ((self.now - self.begun).as_secs_f64() / all).min(1.0)
    }

    /// Begins and ends the measured time.
    pub fn measure(&mut self, plan: &Plan, me: Pid, sent: u64) -> Result<(), BenchError> {
        if !self.is_measuring && !self.is_measured && self.now >= self.measured_from {
            self.is_measuring = true;
            self.measured_from = self.now;
            let meter = |pid: &Pid| Ok((*pid, Meter::start(&[*pid])?));
            self.meters = plan.pids.iter().map(meter).collect::<Result<_, BenchError>>()?;
            self.own = Some(Meter::start(&[me])?);
            self.sent_before = sent;
        }
        if self.is_measuring && self.now >= self.end {
            self.is_measuring = false;
            self.is_measured = true;
            self.measured.time = self.now - self.measured_from;
            self.measured.sent = sent - self.sent_before;
            for (pid, meter) in &self.meters {
                self.measured.cpu.extend(meter.used()?.map(|used| (*pid, used)));
            }
            let own = self.own.as_ref().map(Meter::used).transpose()?;
            self.measured.own_cpu = own.flatten().unwrap_or_default();
        }
        Ok(())
    }

    pub fn received(&mut self, sent_at: Option<Instant>) {
        if !self.is_measuring {
            return;
        }
        self.measured.received += 1;
        count_in(&mut self.measured.received_over_time, self.now - self.measured_from);
        if let Some(sent_at) = sent_at {
            self.measured.delivery.record(self.now.saturating_duration_since(sent_at));
        }
    }

    pub fn answered(&mut self, sent_at: Option<Instant>) {
        if !self.is_measuring {
            return;
        }
        self.measured.answered += 1;
        count_in(&mut self.measured.answered_over_time, self.now - self.measured_from);
        if let Some(sent_at) = sent_at {
            self.measured.answer.record(self.now.saturating_duration_since(sent_at));
        }
    }
}

/// Counts one in the slot of that time.
fn count_in(slots: &mut Vec<u64>, since: Duration) {
    let slot = (since.as_millis() * u128::from(SLOTS_PER_SECOND) / 1000) as usize;
    if slots.len() <= slot {
        slots.resize(slot + 1, 0);
    }
    slots[slot] += 1;
}
