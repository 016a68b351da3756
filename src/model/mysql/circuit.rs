//! A circuit breaker: after a time-out calls fail at once for a short while,
//! so that a database that has stopped answering does not eat up the workers,
//! each waiting for the same nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{info, warn};

/// How long calls fail at once after a time-out, before one may try again.
pub(super) const BACK_OFF: Duration = Duration::from_millis(500);

/// Shared by all callers of one store. A leaf lock, held for a few
/// instructions only.
pub(super) struct Circuit {
    back_off: Duration,
    state: Mutex<State>,
}

enum State {
    /// Calls go through.
    Closed,
    /// Calls fail until then; after that one probe goes through.
    Open { until: Instant },
    /// The probe is on its way, everybody else still fails.
    Probing,
}

/// How a call that was let through ended, as far as the circuit is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The database answered something, or refused the connection at once.
    Answered,
    /// It did not answer in time.
    TimedOut,
}

/// The right to make one call; [`Permit::settle`] it. One that is dropped
/// unsettled (a panic) counts as timed out.
pub(super) struct Permit<'a> {
    circuit: &'a Circuit,
    probe: bool,
    settled: bool,
}

impl Circuit {
    pub(super) fn new(back_off: Duration) -> Circuit {
        Circuit { back_off, state: Mutex::new(State::Closed) }
    }

    /// Asks for a call; `None`: fail at once.
    pub(super) fn enter(&self) -> Option<Permit<'_>> {
        let mut state = self.lock();
        let probe = match *state {
            State::Closed => false,
            State::Open { until } if Instant::now() >= until => true,
            State::Open { .. } | State::Probing => return None,
        };
        if probe {
            *state = State::Probing;
        }
        Some(Permit { circuit: self, probe, settled: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under this lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Reports how the call ended. Only the probe closes an open circuit: a
    /// call that began before the trouble proves nothing by its late success.
    pub(super) fn settle(mut self, verdict: Verdict) {
        self.apply(verdict);
    }

    fn apply(&mut self, verdict: Verdict) {
        self.settled = true;
        // Logged without the lock: a log that is slow to write holds up nobody.
        match verdict {
            Verdict::TimedOut => {
                if self.open() {
                    warn!(target: "store", "the database does not answer; calls fail at once");
                }
            }
            Verdict::Answered if self.probe => {
                *self.circuit.lock() = State::Closed;
                info!(target: "store", "the database answers again");
            }
            Verdict::Answered => {}
        }
    }

    /// Opens the circuit, unless another call probes it; true if it was closed.
    fn open(&self) -> bool {
        let mut state = self.circuit.lock();
        let was_closed = matches!(*state, State::Closed);
        if self.probe || !matches!(*state, State::Probing) {
            *state = State::Open { until: Instant::now() + self.circuit.back_off };
        }
        was_closed
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.apply(Verdict::TimedOut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_makes_the_next_calls_fail_at_once() {
        let circuit = Circuit::new(Duration::from_secs(3600));
        circuit.enter().unwrap().settle(Verdict::TimedOut);
        assert!(circuit.enter().is_none());
    }

    #[test]
    fn an_answer_of_any_kind_leaves_it_closed() {
        let circuit = Circuit::new(Duration::from_secs(3600));
        circuit.enter().unwrap().settle(Verdict::Answered);
        assert!(circuit.enter().is_some());
    }

    #[test]
    fn one_probe_goes_through_after_the_back_off_and_closes_it() {
        let circuit = Circuit::new(Duration::ZERO);
        circuit.enter().unwrap().settle(Verdict::TimedOut);
        let probe = circuit.enter().expect("the back-off is over");
        assert!(circuit.enter().is_none(), "a second probe beside the first");
        probe.settle(Verdict::Answered);
        assert!(circuit.enter().is_some_and(|permit| !permit.probe));
    }

    #[test]
    fn a_call_from_before_the_trouble_does_not_close_it() {
        let circuit = Circuit::new(Duration::from_secs(3600));
        let (early, late) = (circuit.enter().unwrap(), circuit.enter().unwrap());
        late.settle(Verdict::TimedOut);
        early.settle(Verdict::Answered);
        assert!(circuit.enter().is_none());
    }

    #[test]
    fn a_panic_in_the_probe_does_not_lock_everybody_out() {
        let circuit = Circuit::new(Duration::ZERO);
        circuit.enter().unwrap().settle(Verdict::TimedOut);
        drop(circuit.enter().expect("the probe"));
        assert!(circuit.enter().is_some(), "the next probe");
    }
}
