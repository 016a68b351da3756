//! `bin/ChatBench`: flags and start-up.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use cluster_chat::bench::modes;
use cluster_chat::bench::options::Options;

fn main() -> ExitCode {
    match modes::run(Options::parse().mode) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("ChatBench: {e}");
            ExitCode::FAILURE
        }
    }
}
