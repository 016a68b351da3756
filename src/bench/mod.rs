//! The load generator, `bin/ChatBench`: real connections, kept books, and the
//! cost of the server read from the kernel.
//!
//! ```text
//! options ─▶ modes ─▶ people (register, log in) ─▶ engine (one thread) ─▶ report
//!                                                    │ dialect, books, latency
//!                          floor: the least server ◀─┘
//! ```
//!
//! Thread: one for the load; some more while people log in.

pub mod books;
pub mod dialect;
pub mod engine;
pub mod floor;
pub mod latency;
pub mod link;
pub mod mixed;
pub mod modes;
mod offline;
pub mod options;
pub mod people;
pub mod plot;
pub mod process;
pub mod report;
mod run;

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
