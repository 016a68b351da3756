//! `bin/ConsistentHash [flags] [command]`: flags and start-up only.

#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use cluster_chat::ring::configurator::Configurator;
use cluster_chat::ring::console::Console;
use cluster_chat::ring::nginx::Nginx;
use cluster_chat::ring::script::{self, Ending};
use cluster_chat::ring::state::{DEFAULT_PATH, StateFile};
use cluster_chat::ring::{KeyForm, report, signals};

/// Configure consistent-hash balancing, and know beforehand where nginx sends
/// each client.
///
/// The ring is that of nginx's `hash … consistent`: `get` answers what nginx
/// does, and `export` writes the upstream into its configuration.
#[derive(Parser)]
#[command(name = "ConsistentHash", version, after_help = after_help(), verbatim_doc_comment)]
struct Flags {
    /// Where the ring is kept between two runs; "none": nowhere
    #[arg(long, value_name = "FILE", env = "CHAT_RING_STATE", default_value = DEFAULT_PATH)]
    state: PathBuf,
    /// What nginx hashes of a client: "addr" is $remote_addr, "addr-port" is
    /// $remote_addr:$remote_port [default: as imported, else addr]
    #[arg(long, value_enum, hide_possible_values = true)]
    key: Option<KeyForm>,
    /// How to call nginx ("sudo nginx", for instance)
    #[arg(long, value_name = "COMMAND", default_value = "nginx")]
    nginx: String,
    /// A command with its words; without one, commands are read from standard
    /// input: on a terminal with editing, history and completion (Tab), from a
    /// pipe line by line
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

fn after_help() -> String {
    let mut commands = Vec::new();
    // Writing to memory does not fail.
    report::help(&mut commands).ok();
    format!(
        "Commands:\n{}\n\
         Example: ConsistentHash add 127.0.0.1 6000 160 && ConsistentHash get 203.0.113.7 50000\n\n\
         Exit status: 0 all went well; 1 something was not done, or a line of the input was not\n\
         understood; 2 wrong usage, or a state file that is none.",
        String::from_utf8_lossy(&commands)
    )
}

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(e) if e.print().is_ok() => {
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
        Err(_) => return ExitCode::FAILURE,
    };
    if let Err(e) = signals::survive_long_files() {
        log::warn!("SIGXFSZ has no handler: err={e}");
    }
    let in_memory = flags.state.as_os_str() == "none";
    let mut state = if in_memory { StateFile::none() } else { StateFile::at(flags.state) };
    if let Err(e) = state.read() {
        script::complain(format_args!("{e}"));
        return ExitCode::from(2);
    }
    let mut configurator = Configurator::new(state, flags.key, Nginx::new(&flags.nginx));
    let ending = if flags.command.is_empty() {
        dialogue(&mut configurator)
    } else {
        script::run_words(&mut configurator, &flags.command)
    };
    match ending {
        Ending::Well => ExitCode::SUCCESS,
        Ending::Failed => ExitCode::FAILURE,
        Ending::Usage => ExitCode::from(2),
    }
}

fn dialogue(configurator: &mut Configurator) -> Ending {
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let console = if is_terminal { Console::new().ok() } else { None };
    // On a terminal that no editor works on, plain lines do.
    let Some(mut console) = console else {
        return script::run_lines(configurator, io::stdin().lock());
    };
    match console.run(configurator) {
        Ok(()) => Ending::Well,
        Err(e) => {
            script::complain(format_args!("the terminal: {e}"));
            Ending::Failed
        }
    }
}
