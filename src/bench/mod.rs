//! The load generator, `bin/ChatBench`: real connections, kept books, and the
//! cost of the server read from the kernel.
//!
//! ```text
//! options ─▶ modes ─▶ people (register, log in) ─▶ engine (one thread) ─▶ report
//!              │                                     │ dialect, books, latency
//!              │           floor: the least server ◀─┘
//!              ├─▶ idle, logins, storm: who comes and goes ─▶ crowd (one thread)
//!              └─▶ mixed: both at once, with a loop of its own
//! ```
//!
//! Thread: one for the load; some more while people log in.

mod answer;
pub mod books;
pub mod crowd;
pub mod crowd_run;
pub mod dialect;
pub mod engine;
pub mod floor;
pub mod idle;
pub mod latency;
pub mod link;
pub mod logins;
pub mod mixed;
pub mod modes;
mod offline;
pub mod options;
mod pauses;
pub mod people;
pub mod plot;
pub mod process;
pub mod report;
mod run;
pub mod seed;
pub mod storm;

/// Why a run could not be made: a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BenchError(pub String);

impl BenchError {
    fn system(error: std::io::Error) -> BenchError {
        BenchError(format!("the system refused: {error} (too few descriptors? see ulimit -n)"))
    }

    fn connection(error: std::io::Error) -> BenchError {
        BenchError(format!(
            "a connection to the server broke: {error}; its log says why (limits? start it with \
             --message-rate 0)"
        ))
    }
}
