//! The table of goals.

use std::cell::OnceCell;

use crate::cpu::{self, PairsOf16};
use crate::figures::Finding;
use crate::latency::{self, Neighbours};
use crate::{idle, stored, storm};

/// What a goal found, or what went wrong.
pub type Outcome = Result<Finding, String>;

/// What the goals of one session share.
pub struct Session {
    /// Runs of each side.
    pub runs: u32,
    /// Two goals are read from these runs.
    pub pairs_of_16: OnceCell<PairsOf16>,
    /// And two from these.
    pub neighbours: OnceCell<Neighbours>,
}

impl Session {
    /// Nothing has been measured yet.
    pub fn new(runs: u32) -> Session {
        Session { runs, pairs_of_16: OnceCell::new(), neighbours: OnceCell::new() }
    }
}

/// What is wanted of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// It is only to be known.
    Said,
}

/// One goal.
#[derive(Clone, Copy)]
pub struct Goal {
    /// How it is chosen on the command line.
    pub name: &'static str,
    /// The load and what is compared, for people.
    pub load: &'static str,
    /// What is wanted.
    pub bound: Bound,
    /// How it is measured.
    pub measure: fn(&Session) -> Finding,
}

use Bound::{AtLeast, AtMost, Said};

/// Every goal, in the order of the table.
pub const GOALS: [Goal; 11] = [
    Goal {
        name: "pairs-1",
        load: "one-to-one, 50 pairs, 1 in flight each, no ack: server CPU per copy / floor's",
        bound: AtMost(1.3),
        measure: cpu::pairs_of_1,
    },
    Goal {
        name: "pairs-16",
        load: "one-to-one, 50 pairs, 16 in flight each, no ack: server CPU per copy / floor's",
        bound: AtMost(1.8),
        measure: cpu::pairs_of_16,
    },
    Goal {
        name: "pairs-16-ack",
        load: "the same, recipients confirm: server CPU per copy / floor's",
        bound: AtMost(2.2),
        measure: cpu::pairs_of_16_with_ack,
    },
    Goal {
        name: "group",
        load: "group of 500 online, 1 sender, 4 in flight: server CPU per copy / floor's",
        bound: AtMost(1.5),
        measure: cpu::group,
    },
    Goal {
        name: "across",
        load: "one-to-one from server to server through Redis, 16 in flight: \
               CPU of both per copy / the same on one of them",
        bound: AtMost(4.0),
        measure: cpu::across,
    },
    Goal {
        name: "idle",
        load: "15,000 idle connections, logged in: bytes of resident memory for each",
        bound: AtMost(800.0),
        measure: idle::idle,
    },
    Goal {
        name: "logins",
        load: "p99 at a quarter of the maximum rate beside 10 password logins a second / without",
        bound: AtMost(3.0),
        measure: latency::logins,
    },
    Goal {
        name: "flood",
        load: "4 reactors: others' p99 beside one flooding connection / without",
        bound: AtMost(1.5),
        measure: latency::flood,
    },
    Goal {
        name: "slow-reader",
        load: "4 reactors: others' p99 beside one that never reads / without",
        bound: AtMost(1.5),
        measure: latency::slow_reader,
    },
    Goal {
        name: "offline",
        load: "messages to people who are offline, 100 senders, 1 in flight each, MariaDB: \
               stored per second / rows per second of one connection's bare inserts of 128",
        bound: AtLeast(0.5),
        measure: stored::offline,
    },
    Goal {
        name: "storm",
        load: "everybody comes back by token at once, MariaDB: logins per second / \
               the same statements per second in a bare loop",
        bound: Said,
        measure: storm::storm,
    },
];

impl Goal {
    /// Whether there was no fault and the bound holds.
    pub fn is_met(&self, outcome: &Outcome) -> bool {
        let Ok(Finding { figure, .. }) = outcome else { return false };
        match self.bound {
            AtMost(bound) => *figure <= bound,
            AtLeast(bound) => *figure >= bound,
            Said => figure.is_finite(),
        }
    }

    /// What was found, in one line.
    pub fn shown(&self, outcome: &Outcome) -> String {
        match outcome {
            Ok(finding) => finding.shown.clone(),
            Err(fault) => format!("FAULT: {}", fault.replace('\n', " ")),
        }
    }

    /// A row of the markdown table.
    pub fn row(&self, outcome: &Outcome) -> String {
        let goal = match self.bound {
            AtMost(bound) => format!("≤ {bound}"),
            AtLeast(bound) => format!("≥ {bound}"),
            Said => "said".to_owned(),
        };
        let met = match (self.bound, self.is_met(outcome)) {
            (Said, true) => "–",
            (_, true) => "yes",
            (_, false) => "**no**",
        };
        let shown = self.shown(outcome).replace('|', "\\|");
        format!("| {} | {} | {shown} | {goal} | {met} |", self.name, self.load)
    }
}
