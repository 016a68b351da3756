//! A panic on any thread ends the process: a server that goes on without one
//! of its threads would hold on to users that nobody serves.

use std::panic::PanicHookInfo;

use log::error;

/// The exit code of a server that failed while running.
pub const EXIT_FAILED: i32 = 1;

/// Has every panic logged and the process ended with [`EXIT_FAILED`].
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        error!(target: "server", "{}", sentence(info));
        std::process::exit(EXIT_FAILED);
    }));
}

fn sentence(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed").to_owned();
    format!("a defect ended the server: thread '{name}' {info}; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const CHILD: &str = "CHAT_TEST_PANICKING_CHILD";

    /// Not a test of its own: the child process of the one below.
    #[test]
    fn panicking_child() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        env_logger::Builder::new().filter_level(log::LevelFilter::Error).init();
        exit_on_panic();
        let worker = std::thread::Builder::new().name("worker-7".into());
        let thread = worker.spawn(|| panic!("something that cannot be")).unwrap();
        thread.join().ok();
        std::process::exit(0);
    }

    #[test]
    fn a_panic_in_a_worker_ends_the_process_with_a_log_line() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server::panic::tests::panicking_child", "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(EXIT_FAILED));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(log.contains("worker-7") && log.contains("something that cannot be"), "{log}");
    }
}
