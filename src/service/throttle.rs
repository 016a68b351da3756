//! Who has tried too often: wrong passwords for an account, wrong passwords of
//! an address, registrations of an address, lines of the audit log.
//!
//! Thread: any. Each table has a lock of its own, a leaf, held for a few
//! instructions.
//! Invariants: what a stranger does from one address never keeps another
//! address out. Whether an account exists makes no difference here.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use log::info;

use super::rate::{Bucket, Fading, Rate, Table};
use super::registry::NEVER_POISONED;
use crate::protocol::request::Account;

/// The most addresses, or pairs of address and account, that are remembered.
const MOST_ENTRIES: usize = 65_536;
/// The first pause after too many wrong passwords, doubled with each further
/// one up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Wrong passwords are forgotten when the last one is so long ago.
const FORGET_AFTER: Duration = Duration::from_secs(900);
/// One of an address's wrong passwords is forgiven after each of these.
const FORGIVE_EVERY: Duration = Duration::from_secs(6);
/// An address's registrations come back within this.
const REGISTRATIONS_WITHIN: Duration = Duration::from_secs(3600);
/// Lines of the audit log that one address may cause at once.
const AUDIT_BURST: u32 = 100;
const AUDIT_EVERY: Duration = Duration::from_secs(1);

/// Limits on tries, 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub struct TryLimits {
    /// Wrong passwords for one account from one address before each further
    /// try has to wait.
    pub login_failures: u32,
    /// Wrong passwords from one address, whatever the account; one comes back
    /// every 6 s.
    pub address_login_failures: u32,
    /// Registrations from one address within an hour.
    pub registrations: u32,
}

/// Where somebody comes from, as far as limits go: an IPv4 address, or the 64
/// bits of an IPv6 address that a site is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// An IPv4 address, also one that is mapped into IPv6.
    V4(u32),
    /// The network part of an IPv6 address.
    V6(u64),
}

impl Source {
    /// Where this address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address.to_bits()),
            IpAddr::V6(address) => Source::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// What is remembered of those who try.
pub struct Throttle {
    limits: TryLimits,
    hasher: RandomState,
    logins: Mutex<Table<(Source, u64), Failures>>,
    addresses: Mutex<Table<Source, Bucket>>,
    registrations: Mutex<Table<Source, Bucket>>,
    audit: Mutex<Table<Source, Bucket>>,
}

/// Wrong passwords for one account from one address.
#[derive(Debug, Default)]
struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Fading for Failures {
    fn fades_at(&self) -> Option<Instant> {
        self.last.map(|at| at + FORGET_AFTER)
    }
}

impl Failures {
    fn look(&self, free: u32, now: Instant) -> Result<(), Duration> {
        let Some(last) = self.last.filter(|_| self.count >= free) else { return Ok(()) };
        let doublings = (self.count - free).min(16);
        let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
        match (last + pause).checked_duration_since(now) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    fn charge(&mut self, now: Instant) {
        if self.last.is_some_and(|at| at + FORGET_AFTER <= now) {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = Some(now);
    }
}

impl Throttle {
    /// Nobody has tried anything yet.
    #[must_use]
    pub fn new(limits: TryLimits) -> Throttle {
        Throttle {
            limits,
            hasher: RandomState::new(),
            logins: Mutex::new(Table::new(MOST_ENTRIES)),
            addresses: Mutex::new(Table::new(MOST_ENTRIES)),
            registrations: Mutex::new(Table::new(MOST_ENTRIES)),
            audit: Mutex::new(Table::new(MOST_ENTRIES)),
        }
    }

    /// Whether a password may be tried now.
    ///
    /// # Errors
    /// There were too many wrong ones; how long to wait.
    pub fn may_log_in(
        &self,
        address: IpAddr,
        account: &Account<'_>,
        now: Instant,
    ) -> Result<(), Duration> {
        let source = Source::of(address);
        if let Some(rate) = self.address_rate() {
            let addresses = self.addresses.lock().expect(NEVER_POISONED);
            if let Some(bucket) = addresses.get(&source) {
                bucket.look(&rate, now)?;
            }
        }
        if self.limits.login_failures == 0 {
            return Ok(());
        }
        let logins = self.logins.lock().expect(NEVER_POISONED);
        match logins.get(&(source, self.hasher.hash_one(account))) {
            Some(failures) => failures.look(self.limits.login_failures, now),
            None => Ok(()),
        }
    }

    /// A password was wrong, or its account does not exist.
    pub fn login_failed(&self, address: IpAddr, account: &Account<'_>, now: Instant) {
        let source = Source::of(address);
        if let Some(rate) = self.address_rate() {
            let mut addresses = self.addresses.lock().expect(NEVER_POISONED);
            addresses.entry(source, now).charge(&rate, now);
        }
        if self.limits.login_failures > 0 {
            let key = (source, self.hasher.hash_one(account));
            self.logins.lock().expect(NEVER_POISONED).entry(key, now).charge(now);
        }
    }

    /// A password was right: what was wrong before is forgotten.
    pub fn logged_in(&self, address: IpAddr, account: &Account<'_>) {
        let key = (Source::of(address), self.hasher.hash_one(account));
        self.logins.lock().expect(NEVER_POISONED).remove(&key);
    }

    /// Whether an account may be registered now.
    ///
    /// # Errors
    /// There were too many; how long to wait.
    pub fn may_register(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(rate) = self.registration_rate() else { return Ok(()) };
        let registrations = self.registrations.lock().expect(NEVER_POISONED);
        match registrations.get(&Source::of(address)) {
            Some(bucket) => bucket.look(&rate, now),
            None => Ok(()),
        }
    }

    /// A registration was tried, and the database asked for it.
    pub fn registered(&self, address: IpAddr, now: Instant) {
        if let Some(rate) = self.registration_rate() {
            let mut registrations = self.registrations.lock().expect(NEVER_POISONED);
            registrations.entry(Source::of(address), now).charge(&rate, now);
        }
    }

    /// Writes a line to the audit log, unless this address has caused too
    /// many.
    pub fn audit(&self, address: IpAddr, line: std::fmt::Arguments<'_>) {
        let Some(rate) = Rate::new(AUDIT_BURST, AUDIT_EVERY) else { return };
        let now = Instant::now();
        let granted = {
            let mut audit = self.audit.lock().expect(NEVER_POISONED);
            audit.entry(Source::of(address), now).take(&rate, now)
        };
        if granted.is_ok() {
            info!(target: "audit", "{line}");
        }
    }

    fn address_rate(&self) -> Option<Rate> {
        Rate::new(self.limits.address_login_failures, FORGIVE_EVERY)
    }

    fn registration_rate(&self) -> Option<Rate> {
        let most = self.limits.registrations;
        Rate::new(most, REGISTRATIONS_WITHIN / most.max(1))
    }
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
