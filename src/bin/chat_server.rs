//! `bin/ChatServer <ip> <port> [flags]`: flags and start-up only; with
//! `--import-from` it serves nobody and imports.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cluster_chat::config::Config;
use cluster_chat::import;
use cluster_chat::server::{Server, panic};
use log::warn;

fn main() -> ExitCode {
    let config = Config::parse();
    env_logger::Builder::new().parse_filters(&config.log).format_timestamp_millis().init();
    panic::exit_on_panic();
    for (flag, service) in config.exposed_passwords(std::env::args_os()) {
        warn!(
            target: "server",
            "--{flag} holds a password that every user of this machine can read: use \
             CHAT_{}_PASSWORD or --{service}-password-file",
            service.to_uppercase()
        );
    }
    if config.import_from.is_some() {
        return match import::run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(err) => {
                eprintln!("ChatServer: {err}");
                ExitCode::from(err.exit_code())
            }
        };
    }
    let server = match Server::start(&config) {
        Ok(server) => server,
        Err(err) => {
            eprintln!("ChatServer: {err}");
            return ExitCode::from(err.exit_code());
        }
    };
    // Whoever started this server with port 0 reads its address here. That
    // nobody reads is no reason not to serve.
    writeln!(std::io::stdout(), "listening on {}", server.local_addr()).ok();
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("ChatServer: {err}");
            ExitCode::from(1)
        }
    }
}
