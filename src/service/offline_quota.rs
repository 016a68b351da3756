//! How many missed messages, and how much text, may wait for one recipient.
//! Pure state of the offline writer.
//!
//! The table is not measured for every copy. This server counts what it lets in
//! itself, and looks at the table when that is a sixteenth of the limit since
//! the last look: so a recipient has at most that much more than the limit for
//! each server, and with small limits not one. Who was found full is looked at
//! again after a moment; what is deleted by way of this server makes room at
//! once.
//!
//! Looks at long lists take time that all senders wait for: a transaction has
//! so much of them. Beyond that who was full stays so, and for others copies go
//! in until a later transaction looks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::{OfflineSize, UserId};

/// The share of the limit that is let in without a look.
const LOOKS_PER_LIMIT: u32 = 16;
/// How long a look that found no room holds.
const FULL_FOR: Duration = Duration::from_secs(1);
/// So many recipients are remembered; beyond that all are forgotten, which
/// lets in up to a sixteenth of the limit more for each.
const MOST_RECIPIENTS: usize = 65_536;
/// The looks of one transaction go no further once they have passed so many
/// rows, a KiB of text counted as one: some 100 ms.
const LOOKED_AT: u64 = 100_000;

/// Who may be given how much more.
pub(super) struct Quota {
    limit: OfflineSize,
    step: OfflineSize,
    recipients: HashMap<UserId, Room>,
    /// What was let into the present transaction, which no look sees.
    pending: HashMap<UserId, OfflineSize>,
    /// How much more the looks of the present transaction allow.
    found: HashMap<UserId, OfflineSize>,
    /// How much the looks of the present transaction may still pass.
    looks_left: u64,
}

struct Room {
    /// What may go in before the next look.
    unlooked: OfflineSize,
    /// The last look found too little: no other one before this.
    full_until: Option<Instant>,
}

impl Quota {
    /// `limit`: what may wait for one recipient.
    pub(super) fn new(limit: OfflineSize) -> Quota {
        let step = OfflineSize {
            rows: (limit.rows / LOOKS_PER_LIMIT).max(1),
            bytes: (limit.bytes / u64::from(LOOKS_PER_LIMIT)).max(1),
        };
        Quota {
            limit,
            step,
            recipients: HashMap::new(),
            pending: HashMap::new(),
            found: HashMap::new(),
            looks_left: LOOKED_AT,
        }
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
        self.found.clear();
        self.looks_left = LOOKED_AT;
    }

    /// Whether one more copy of so many bytes for this recipient may go into
    /// the transaction. `look` measures what is in the table, as far as the
    /// limit; `None`: it cannot, and neither will the transaction succeed.
    pub(super) fn admit(
        &mut self,
        to: UserId,
        bytes: u64,
        now: Instant,
        look: impl FnOnce(OfflineSize) -> Option<OfflineSize>,
    ) -> bool {
        if self.limit == OfflineSize::MAX {
            return true;
        }
        if self.recipients.len() >= MOST_RECIPIENTS && !self.recipients.contains_key(&to) {
            self.recipients.clear();
        }
        let need = OfflineSize { rows: 1, bytes };
        let fresh = Room { unlooked: before_first_look(self.step, to), full_until: None };
        let room = self.recipients.entry(to).or_insert(fresh);
        let pending = self.pending.entry(to).or_default();
        if !room.unlooked.holds(need) && !self.found.contains_key(&to) {
            if room.full_until.is_some_and(|until| now < until) {
                return false;
            }
            if self.looks_left == 0 {
                let is_open = room.full_until.is_none();
                if is_open {
                    *pending = pending.plus(need);
                }
                return is_open;
            }
            let Some(size) = look(self.limit) else { return true };
            let passed = u64::from(size.rows) + size.bytes / 1024;
            self.looks_left = self.looks_left.saturating_sub(passed);
            let left = self.limit.minus(size).minus(*pending);
            self.found.insert(to, left);
            room.unlooked = left.min(self.step);
            room.full_until = (!left.holds(need)).then(|| now + FULL_FOR);
        }
        if let Some(left) = self.found.get_mut(&to) {
            if !left.holds(need) {
                return false;
            }
            *left = left.minus(need);
        }
        room.unlooked = room.unlooked.minus(need);
        *pending = pending.plus(need);
        true
    }

    /// Some of this recipient's rows were deleted: there may be room.
    pub(super) fn deleted(&mut self, to: UserId) {
        if let Some(room) = self.recipients.get_mut(&to) {
            room.full_until = None;
        }
    }
}

/// Not the same for all: the members of a group, who are sent the same, would
/// be looked at all at once.
fn before_first_look(step: OfflineSize, to: UserId) -> OfflineSize {
    // Fibonacci hashing spreads numbers that follow each other.
    let spread = u64::from(to.0.wrapping_mul(0x9E37_79B9) >> 22);
    let less = |step: u64| step / 2 * spread / 1024;
    let rows = u64::from(step.rows) - 1;
    OfflineSize {
        rows: (rows - less(rows)) as u32,
        bytes: step.bytes - 1 - less((step.bytes - 1).min(u64::MAX / 2048)),
    }
}

#[cfg(test)]
#[path = "offline_quota_tests.rs"]
mod tests;
