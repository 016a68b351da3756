//! The time as the server writes it into messages that have none: RFC 3339 in
//! UTC with milliseconds, as a JSON string.

use std::cell::RefCell;
use std::time::Instant;

use jiff::Timestamp;

use super::here;

/// The text of one millisecond; a thread that is busy needs it many times.
struct Written {
    millisecond: i64,
    text: String,
    /// The reactor's turn in which it was written.
    turn: Option<Instant>,
}

thread_local! {
    static WRITTEN: RefCell<Written> =
        const { RefCell::new(Written { millisecond: i64::MIN, text: String::new(), turn: None }) };
}

/// Gives the present time's JSON text; on a reactor, that of its turn.
pub(super) fn with_now<R>(then: impl FnOnce(&str) -> R) -> R {
    WRITTEN.with_borrow_mut(|written| {
        let turn = here::turn();
        if turn.is_none() || written.turn != turn {
            written.turn = turn;
            written.update(Timestamp::now());
        }
        then(&written.text)
    })
}

impl Written {
    fn update(&mut self, now: Timestamp) {
        let millisecond = now.as_millisecond();
        if self.millisecond != millisecond {
            self.millisecond = millisecond;
            self.text = format!("\"{now:.3}\"");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_millisecond_has_its_text() {
        let mut written = Written { millisecond: i64::MIN, text: String::new(), turn: None };
        let mut text = |nanos| {
            written.update(Timestamp::from_nanosecond(nanos).unwrap());
            written.text.clone()
        };
        assert_eq!(text(1_001_999_999), "\"1970-01-01T00:00:01.001Z\"");
        assert_eq!(text(1_001_000_000), "\"1970-01-01T00:00:01.001Z\"");
        assert_eq!(text(1_002_000_000), "\"1970-01-01T00:00:01.002Z\"");
    }
}
