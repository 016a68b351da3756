//! Two clients of one account that take it from each other.
//!
//! A resumed session replaces another one of the same account, whose client
//! sees no more than a closed connection and would resume in turn, for ever.
//! What gives it away is that the server closes session after session within
//! seconds of its login. Then this client *asks*: it logs in without taking
//! over. Either that is granted, and there was no rival but a server in
//! trouble; or the account is in use elsewhere, and this client asks again now
//! and then, until it is free or its person wants it back. A client whose
//! person has asked for the takeover holds out longer, so that it is the other
//! one that gives in.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;

/// A session that the server closes sooner was taken over, perhaps.
const SHORT: Duration = Duration::from_secs(5);
/// So many short sessions in a row may be a coincidence: servers that are
/// restarted one after the other, for example.
const COINCIDENCE: u32 = 3;
const COINCIDENCE_AFTER_TAKEOVER: u32 = 6;
/// A session that lasts so long ends the row. Less would not do: a rival that
/// gave in comes back after the longest pause.
const LONG: Duration = Duration::from_secs(600);
/// The pauses between two questions whether the account is free.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the sessions of one account ended so far.
#[derive(Debug)]
pub struct Rivalry {
    /// So many short sessions in a row are put up with.
    tolerated: u32,
    short: u32,
    pauses: Backoff,
    logged_in: Option<Instant>,
}

impl Rivalry {
    /// For an account; `took_over`: the person asked for it to be taken over.
    pub fn new(took_over: bool) -> Rivalry {
        Rivalry {
            tolerated: if took_over { COINCIDENCE_AFTER_TAKEOVER } else { COINCIDENCE },
            short: 0,
            pauses: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            logged_in: None,
        }
    }

    /// Whether to ask before the account is taken.
    pub fn suspected(&self) -> bool {
        self.short > self.tolerated
    }

    /// A session begins; `asked`: the account was free.
    pub fn logged_in(&mut self, asked: bool, now: Instant) {
        self.logged_in = Some(now);
        if asked {
            self.calm_down();
        }
    }

    /// The connection ended; `closed`: by the server, in good order.
    pub fn ended(&mut self, closed: bool, now: Instant) {
        let Some(begun) = self.logged_in.take() else { return };
        let lasted = now.saturating_duration_since(begun);
        if lasted >= LONG {
            self.calm_down();
        }
        if closed && lasted < SHORT {
            self.short = self.short.saturating_add(1);
        }
    }

    /// The account is in use elsewhere: the pause before the next question.
    pub fn pause(&mut self, chance: f64) -> Duration {
        self.pauses.next(chance)
    }

    fn calm_down(&mut self) {
        self.short = 0;
        self.pauses.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A session of this length that the server closes; whether that is too
    /// much.
    fn session(rivalry: &mut Rivalry, length: Duration) -> bool {
        let start = Instant::now();
        rivalry.logged_in(false, start);
        rivalry.ended(true, start + length);
        rivalry.suspected()
    }

    #[test]
    fn sessions_closed_right_after_their_login_are_suspicious_in_the_end() {
        for (took_over, tolerated) in [(false, 3), (true, 6)] {
            let mut rivalry = Rivalry::new(took_over);
            for _ in 0..tolerated {
                assert!(!session(&mut rivalry, SECOND));
            }
            assert!(session(&mut rivalry, SECOND));
        }
    }

    #[test]
    fn only_a_long_session_or_a_free_account_ends_the_row() {
        let mut rivalry = Rivalry::new(false);
        while !session(&mut rivalry, SECOND) {}
        assert!(session(&mut rivalry, SECOND * 60));
        assert!(!session(&mut rivalry, LONG));
        while !session(&mut rivalry, SECOND) {}
        rivalry.logged_in(true, Instant::now());
        assert!(!rivalry.suspected());
    }

    #[test]
    fn lost_connections_and_failed_logins_are_no_quarrel() {
        let mut rivalry = Rivalry::new(false);
        for _ in 0..10 {
            let start = Instant::now();
            rivalry.logged_in(false, start);
            rivalry.ended(false, start);
            // Nobody was logged in any more.
            rivalry.ended(true, start);
            assert!(!rivalry.suspected());
        }
    }

    #[test]
    fn questions_become_rarer() {
        let mut rivalry = Rivalry::new(false);
        let pauses: Vec<u64> = (0..6).map(|_| rivalry.pause(1.0).as_secs()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }
}
