//! Threads that log people in while the loop goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use mio::Waker;
use serde_json::Value;

use crate::bench::BenchError;
use crate::bench::people::{Person, Proof, Talk, enter};

/// More than come back within one login's time, unless the server is slow.
const HANDS: usize = 8;

/// Somebody to log in.
struct Job {
    member: usize,
    person: Person,
    proof: Proof,
}

/// What became of it.
pub(super) struct Entered {
    pub member: usize,
    pub proof: Proof,
    pub took: Duration,
    pub result: Result<(Talk, Value), BenchError>,
}

/// The threads; they end with the value.
pub(super) struct Hands {
    jobs: Option<Sender<Job>>,
    entered: Receiver<Entered>,
    threads: Vec<JoinHandle<()>>,
}

impl Hands {
    /// Starts them; `waker` tells the loop that somebody has come.
    pub fn start(server: SocketAddr, waker: Waker) -> Hands {
        let (jobs, to_do) = unbounded::<Job>();
        let (done, entered) = unbounded();
        let waker = Arc::new(waker);
        let hand = |_| {
            let (to_do, done, waker) = (to_do.clone(), done.clone(), waker.clone());
            std::thread::spawn(move || {
                for Job { member, person, proof } in to_do {
                    let begun = Instant::now();
                    let result = enter(&person, server, proof, true);
                    let entered = Entered { member, proof, took: begun.elapsed(), result };
                    // The loop has ended, or polls no more.
                    if done.send(entered).is_err() || waker.wake().is_err() {
                        return;
                    }
                }
            })
        };
        let threads = (0..HANDS).map(hand).collect();
        Hands { jobs: Some(jobs), entered, threads }
    }

    /// Has somebody logged in.
    pub fn log_in(&self, member: usize, person: Person, proof: Proof) {
        if let Some(jobs) = &self.jobs {
            jobs.send(Job { member, person, proof }).expect("the hands live as long as this");
        }
    }

    /// The next one who has come, if there is one.
    pub fn next(&self) -> Option<Entered> {
        self.entered.try_recv().ok()
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("ChatBench: a thread that logs people in has panicked");
            }
        }
    }
}
