//! The time as the server writes it into messages that have none: RFC 3339 in
//! UTC with milliseconds, as a JSON string.

use std::cell::RefCell;

use jiff::Timestamp;

/// The text of one millisecond; a thread that is busy needs it many times.
struct Written {
    millisecond: i64,
    text: String,
}

thread_local! {
    static WRITTEN: RefCell<Written> =
        const { RefCell::new(Written { millisecond: i64::MIN, text: String::new() }) };
}

/// Gives the present time's JSON text.
pub(super) fn with_now<R>(then: impl FnOnce(&str) -> R) -> R {
    with(Timestamp::now(), then)
}

fn with<R>(now: Timestamp, then: impl FnOnce(&str) -> R) -> R {
    WRITTEN.with_borrow_mut(|written| {
        let millisecond = now.as_millisecond();
        if written.millisecond != millisecond {
            *written = Written { millisecond, text: format!("\"{now:.3}\"") };
        }
        then(&written.text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_millisecond_has_its_text() {
        let text = |nanos| with(Timestamp::from_nanosecond(nanos).unwrap(), str::to_owned);
        assert_eq!(text(1_001_999_999), "\"1970-01-01T00:00:01.001Z\"");
        assert_eq!(text(1_001_000_000), "\"1970-01-01T00:00:01.001Z\"");
        assert_eq!(text(1_002_000_000), "\"1970-01-01T00:00:01.002Z\"");
    }
}
