//! `bin/ChatClient <ip> <port>`: flags and start-up.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cluster_chat::client::network::Target;
use cluster_chat::client::{self, Options, seen_file};

/// Chat with the users of a ChatServer.
///
/// On a terminal there is a menu, then a prompt with editing, history and
/// completion (Tab); `help` lists the commands.
///
/// Standard input may also be a pipe: the same lines in the same order, no
/// prompts, one line of output per event, problems on standard error.
/// Example: printf '1\n17\nsecret\nchat:2:hello\nwait:5\n' | ChatClient 127.0.0.1 8000
/// At the end of the input the client waits until everything has been
/// answered (10 s at most) and logs out.
///
/// Exit status: 0 all went well; 1 no server, a failed login or registration,
/// a line that was not understood, or something that was not sent or never
/// answered; 2 wrong usage.
#[derive(Parser)]
#[command(name = "ChatClient", version, verbatim_doc_comment)]
struct Flags {
    /// The server's IP address or host name.
    #[arg(value_name = "IP")]
    host: String,
    /// The server's TCP port.
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Where to remember which messages were shown, so that none is shown twice
    /// [default: $XDG_STATE_HOME/cluster-chat or ~/.local/state/cluster-chat]
    // An OsString may be empty: such a variable counts as unset.
    #[arg(long, value_name = "DIR", env = "CHAT_STATE_DIR", hide_env_values = true)]
    state_dir: Option<OsString>,
    /// Log in even if the account is online elsewhere, and end that session; on
    /// a terminal you are asked otherwise
    #[arg(long)]
    takeover: bool,
}

fn main() -> ExitCode {
    // Silent unless RUST_LOG asks for more: standard error is the terminal on
    // which somebody types.
    let quiet = env_logger::Env::default().default_filter_or("off");
    env_logger::Builder::from_env(quiet).init();
    let flags = Flags::parse();
    let state_dir = flags.state_dir.filter(|dir| !dir.is_empty());
    let options = Options {
        target: Target { host: flags.host, port: flags.port },
        state_dir: state_dir.map(PathBuf::from).or_else(seen_file::default_folder),
        takeover: flags.takeover,
    };
    match client::run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
