//! Signals that would end the program wait while a file is half replaced.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
use signal_hook::{flag, low_level};

/// What the handlers know; they stay once they are there.
struct Handlers {
    /// Whether signals do what they always do.
    free: Arc<AtomicBool>,
    /// The last one that came while they did not; 0: none.
    came: Arc<AtomicUsize>,
}

static HANDLERS: OnceLock<Result<Handlers, String>> = OnceLock::new();

/// While this lives SIGINT, SIGTERM, SIGHUP and SIGQUIT wait; then they take
/// effect.
pub(super) struct Held {
    handlers: &'static Handlers,
}

impl Held {
    pub(super) fn new() -> io::Result<Held> {
        let handlers = HANDLERS.get_or_init(|| Handlers::register().map_err(|e| e.to_string()));
        let handlers = handlers.as_ref().map_err(|e| io::Error::other(e.as_str()))?;
        handlers.free.store(false, Ordering::SeqCst);
        Ok(Held { handlers })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.handlers.free.store(true, Ordering::SeqCst);
        let came = self.handlers.came.swap(0, Ordering::SeqCst);
        let Some(signal) = i32::try_from(came).ok().filter(|signal| *signal != 0) else { return };
        if let Err(e) = low_level::emulate_default_handler(signal) {
            log::warn!(target: "ring", "signal {signal} has no effect: err={e}");
        }
    }
}

impl Handlers {
    fn register() -> io::Result<Handlers> {
        let free = Arc::new(AtomicBool::new(true));
        let came = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            if is_ignored(signal) {
                continue;
            }
            let number = usize::try_from(signal).map_err(io::Error::other)?;
            flag::register_conditional_default(signal, Arc::clone(&free))?;
            flag::register_usize(signal, Arc::clone(&came), number)?;
        }
        Ok(Handlers { free, came })
    }
}

/// A file that may grow no longer (`ulimit -f`) is an error of who writes it
/// from here on, like a disk that is full, instead of the program's end.
///
/// # Errors
/// Where the system does not take the handler.
pub fn survive_long_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// As nohup leaves SIGHUP, and a shell SIGINT in the background; it stays so.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
