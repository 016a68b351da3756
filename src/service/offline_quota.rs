//! How many missed messages may wait for one recipient. Pure state of the
//! offline writer.
//!
//! The table is not counted for every copy. This server counts what it lets in
//! itself, and looks at the table when that is a sixteenth of the limit since
//! the last look: so a recipient has at most that much more than the limit for
//! each server, and with small limits not one. Who was found full is looked at
//! again after a moment; what is deleted by way of this server makes room at
//! once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::UserId;

/// The share of the limit that is let in without a look.
const LOOKS_PER_LIMIT: u32 = 16;
/// How long a look that found no room holds.
const FULL_FOR: Duration = Duration::from_secs(1);
/// So many recipients are remembered; beyond that all are forgotten, which
/// lets in up to a sixteenth of the limit more for each.
const MOST_RECIPIENTS: usize = 65_536;

/// Who may be given how many more.
pub(super) struct Quota {
    limit: u32,
    step: u32,
    recipients: HashMap<UserId, Room>,
    /// What was let into the present transaction, which no look sees.
    pending: HashMap<UserId, u32>,
    /// How many more the looks of the present transaction allow.
    found: HashMap<UserId, u32>,
}

struct Room {
    /// Copies that may go in before the next look.
    unlooked: u32,
    /// The last look found none: no other one before this.
    full_until: Option<Instant>,
}

impl Quota {
    /// `limit`: missed messages of one recipient, 0 for any number.
    pub(super) fn new(limit: u32) -> Quota {
        Quota {
            limit,
            step: (limit / LOOKS_PER_LIMIT).max(1),
            recipients: HashMap::new(),
            pending: HashMap::new(),
            found: HashMap::new(),
        }
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
        self.found.clear();
    }

    /// Whether one more copy for this recipient may go into the transaction.
    /// `look` counts the table's rows, as far as the limit; `None`: it cannot,
    /// and neither will the transaction succeed.
    pub(super) fn admit(
        &mut self,
        to: UserId,
        now: Instant,
        look: impl FnOnce(u32) -> Option<u32>,
    ) -> bool {
        if self.limit == 0 {
            return true;
        }
        if self.recipients.len() >= MOST_RECIPIENTS && !self.recipients.contains_key(&to) {
            self.recipients.clear();
        }
        let fresh = Room { unlooked: self.step - 1, full_until: None };
        let room = self.recipients.entry(to).or_insert(fresh);
        let pending = self.pending.entry(to).or_default();
        if room.unlooked == 0 && !self.found.contains_key(&to) {
            if room.full_until.is_some_and(|until| now < until) {
                return false;
            }
            let Some(rows) = look(self.limit) else { return true };
            let left = self.limit.saturating_sub(rows).saturating_sub(*pending);
            self.found.insert(to, left);
            room.unlooked = left.min(self.step);
            room.full_until = (left == 0).then(|| now + FULL_FOR);
        }
        if let Some(left) = self.found.get_mut(&to) {
            if *left == 0 {
                return false;
            }
            *left -= 1;
        }
        room.unlooked = room.unlooked.saturating_sub(1);
        *pending += 1;
        true
    }

    /// So many of this recipient's rows were deleted.
    pub(super) fn deleted(&mut self, to: UserId, rows: usize, now: Instant) {
        let Some(room) = self.recipients.get_mut(&to) else { return };
        if room.full_until.is_some_and(|until| now < until) {
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            room.unlooked = room.unlooked.saturating_add(rows).min(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: UserId = UserId(2);

    /// One transaction with so many copies for Bob, of whom the table holds
    /// `rows`: how many go in, and how many looks that takes.
    fn transaction(quota: &mut Quota, rows: u32, copies: u32, now: Instant) -> (u32, u32) {
        let mut looks = 0;
        quota.begin();
        let mut admit = || {
            quota.admit(BOB, now, |_| {
                looks += 1;
                Some(rows)
            })
        };
        let admitted = (0..copies).filter(|_| admit()).count();
        (u32::try_from(admitted).unwrap(), looks)
    }

    #[test]
    fn a_small_limit_is_kept_exactly() {
        let (mut quota, now) = (Quota::new(3), Instant::now());
        assert_eq!(transaction(&mut quota, 0, 5, now).0, 3, "all in one transaction");
        let mut quota = Quota::new(3);
        for rows in 0..3 {
            assert_eq!(transaction(&mut quota, rows, 1, now).0, 1, "row {rows}");
        }
        assert_eq!(transaction(&mut quota, 3, 1, now).0, 0);
    }

    #[test]
    fn a_large_limit_costs_few_looks_and_is_exceeded_by_a_sixteenth_at_most() {
        let (mut quota, now) = (Quota::new(1600), Instant::now());
        let (mut rows, mut looks) = (0, 0);
        for _ in 0..400 {
            let (admitted, looked) = transaction(&mut quota, rows, 10, now);
            rows += admitted;
            looks += looked;
        }
        assert!((1600..=1700).contains(&rows), "{rows} rows");
        assert!(looks <= 20, "{looks} looks");
    }

    #[test]
    fn who_is_full_is_looked_at_once_a_second_and_what_is_deleted_here_makes_room() {
        let (mut quota, now) = (Quota::new(3), Instant::now());
        assert_eq!(transaction(&mut quota, 3, 5, now), (0, 1));
        assert_eq!(transaction(&mut quota, 0, 5, now), (0, 0), "not looked at");
        quota.deleted(BOB, 2, now);
        assert_eq!(transaction(&mut quota, 1, 5, now), (2, 0));
        assert_eq!(transaction(&mut quota, 0, 5, now + FULL_FOR).0, 3, "read elsewhere");
    }

    #[test]
    fn without_a_limit_nobody_looks() {
        let mut quota = Quota::new(0);
        assert_eq!(transaction(&mut quota, 9, 1000, Instant::now()), (1000, 0));
        assert!(quota.recipients.is_empty());
    }

    #[test]
    fn a_look_that_fails_decides_nothing() {
        let mut quota = Quota::new(1);
        quota.begin();
        assert!(quota.admit(BOB, Instant::now(), |_| None));
    }

    #[test]
    fn the_memory_for_recipients_is_bounded() {
        let mut quota = Quota::new(1600);
        quota.begin();
        for id in 0..=MOST_RECIPIENTS {
            assert!(quota.admit(UserId(id as u32), Instant::now(), |_| None));
        }
        assert_eq!(quota.recipients.len(), 1);
    }
}
