//! When a member tells the server how much it has handled.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::role::Confirms;

const EVERY_MESSAGES: usize = 32;
const EVERY: Duration = Duration::from_millis(200);

/// The confirmations of one login.
#[derive(Debug, Default)]
pub struct Confirming {
    confirmed: u64,
    /// When each of those that are not confirmed was handled, oldest first.
    handled: VecDeque<Instant>,
}

impl Confirming {
    /// A message 6 or 10 has been handled, were it only to be dropped.
    pub fn handled(&mut self, now: Instant) {
        self.handled.push_back(now);
    }

    /// The `count` to be sent now.
    pub fn due(&mut self, how: Confirms, now: Instant) -> Option<u64> {
        let oldest = *self.handled.front()?;
        let ready = match how {
            Confirms::Not => 0,
            Confirms::Promptly => {
                let is_time = self.handled.len() >= EVERY_MESSAGES || now >= oldest + EVERY;
                if is_time { self.handled.len() } else { 0 }
            }
            Confirms::After(delay) => {
                self.handled.iter().take_while(|at| now >= **at + delay).count()
            }
        };
        self.handled.drain(..ready);
        self.confirmed += ready as u64;
        (ready > 0).then_some(self.confirmed)
    }
}
