//! The interactive client: `ChatClient <ip> <port>`.
//!
//! ```text
//!  tty or pipe ──lines──▶ front ──Ask──▶ network thread ◀──frames── reader thread
//!   (input)                 ▲            Core, socket                (one per connection)
//!                           └──Answer──────┤
//!                                          ├──Line──▶ Printer ──▶ above the prompt, or stdout
//!                                          └──shown─▶ SeenFile
//! ```
//!
//! [`session`] holds the rules and does no I/O. It knows of `protocol` and of
//! nothing else in this crate.

pub mod command;
mod complete;
mod echo;
mod ending;
mod front;
mod hidden;
mod message;
pub mod network;
mod pipe;
pub mod printer;
mod render;
pub mod seen_file;
pub mod session;
pub mod target;
mod text;
pub mod tls;
mod transport;
mod tty;
mod tty_printer;
mod view;
mod wire;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use self::front::{Ended, Front};
use self::network::Network;
use self::pipe::PipeInput;
use self::printer::PlainPrinter;
use self::seen_file::SeenFile;
use self::session::Core;
use self::target::{ConnectError, Target};
use self::tty::TtyInput;

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the server is.
    pub target: Target,
    /// Where to remember which messages were shown; `None`: nowhere.
    pub state_dir: Option<PathBuf>,
    /// Whether the first login takes over an account that is online elsewhere.
    pub takeover: bool,
}

/// Runs the client until the person leaves; whether all went well, which for
/// a script means: every login succeeded, every line was understood, sent
/// and answered.
///
/// # Errors
/// Where the server is not reachable at the start.
pub fn run(options: Options) -> Result<bool, ConnectError> {
    let Options { target, state_dir, takeover } = options;
    let core = Core::new(Box::new(random), Instant::now());
    let seen = SeenFile::new(state_dir, &target);
    let is_terminal = std::io::stdin().is_terminal();
    let editor = match TtyInput::new() {
        Ok(editor) => Some(editor),
        Err(e) => {
            // No terminal at one end, or one that is called dumb.
            log::debug!(target: "client", "no line editor: err={e}");
            None
        }
    };
    let ended = match editor {
        Some((mut input, printer)) => {
            let network = Network::start(target, core, seen, printer.clone())?;
            input.complete_from(Arc::clone(network.view()));
            let ended = Front::new(&mut input, &network, &*printer, true, takeover).run();
            printer.finish();
            ended
        }
        None => {
            let printer = Arc::new(PlainPrinter);
            let network = Network::start(target, core, seen, printer.clone())?;
            let mut input = PipeInput::new(is_terminal);
            Front::new(&mut input, &network, &*printer, is_terminal, takeover).run()
        }
    };
    Ok(ended == Ended::Well)
}

/// 128 random bits.
fn random() -> Option<u128> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Some(u128::from_ne_bytes(bytes)),
        Err(e) => {
            log::error!(target: "client", "no random numbers: err={e}");
            None
        }
    }
}
