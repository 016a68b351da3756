//! `bin/ChatClient <ip> <port>`: flags and start-up.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use cluster_chat::client::target::Target;
use cluster_chat::client::tls::{SetupError, Tls};
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
    /// Speak TLS, and only with a server whose certificate this system trusts
    // Whatever is not plainly a no means that nobody is to listen.
    #[arg(long, env = "CHAT_TLS", value_parser = FalseyValueParser::new())]
    tls: bool,
    /// PEM file with the certificates to trust instead of the system's (the CA's,
    /// or the server's own); implies --tls
    #[arg(long, value_name = "FILE", env = "CHAT_TLS_CA")]
    tls_ca: Option<OsString>,
    /// The name or IP address that the server's certificate has to be for;
    /// implies --tls [default: the host as given]
    #[arg(long, value_name = "NAME", env = "CHAT_TLS_NAME")]
    tls_name: Option<String>,
}

impl Flags {
    /// How to know the server, if it is to speak TLS.
    fn tls(&self) -> Result<Option<Tls>, SetupError> {
        let ca = self.tls_ca.as_deref().filter(|file| !file.is_empty()).map(Path::new);
        let name = self.tls_name.as_deref().filter(|name| !name.is_empty());
        if !self.tls && ca.is_none() && name.is_none() {
            return Ok(None);
        }
        Tls::new(name.unwrap_or(&self.host), ca).map(Some)
    }
}

fn main() -> ExitCode {
    // Silent unless RUST_LOG asks for more: standard error is the terminal on
    // which somebody types.
    let quiet = env_logger::Env::default().default_filter_or("off");
    env_logger::Builder::from_env(quiet).init();
    let flags = Flags::parse();
    let tls = match flags.tls() {
        Ok(tls) => tls,
        Err(e) => Flags::command().error(ErrorKind::ValueValidation, e).exit(),
    };
    let state_dir = flags.state_dir.filter(|dir| !dir.is_empty());
    let options = Options {
        target: Target { host: flags.host, port: flags.port, tls },
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
