//! How long things took, in a histogram of high dynamic range.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Durations from a microsecond to a minute, three digits each.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        let longest = Duration::from_secs(60).as_nanos() as u64;
        Latencies(Histogram::new_with_bounds(100, longest, 3).expect("the bounds are in order"))
    }
}

impl Latencies {
    /// Counts one. More than a minute counts as a minute.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that so many percent (0 to 100) stay within.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }
}
