//! The interactive client: `ChatClient <ip> <port>`.
//!
//! ```text
//!  tty or pipe ──lines──▶ front ──Ask──▶ network thread ◀──frames── reader thread
//!   (input)                 ▲            Core, socket                (one per connection)
//!                           └──Answer──────┤
//!                                          └──Line──▶ Printer ──▶ above the prompt, or stdout
//! ```
//!
//! [`session`] holds the rules and does no I/O. It knows of `protocol` and of
//! nothing else in this crate.

mod backoff;
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
pub mod session;
mod text;
mod tty;
mod tty_printer;
mod view;
mod wire;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use self::front::{Ended, Front};
use self::network::{ConnectError, Network, Target};
use self::pipe::PipeInput;
use self::printer::PlainPrinter;
use self::session::Core;
use self::tty::TtyInput;

/// Runs the client until the person leaves; whether all went well, which for
/// a script means: every login succeeded, every line was understood and
/// everything sent was answered.
///
/// # Errors
/// Where the server is not reachable at the start.
pub fn run(target: Target) -> Result<bool, ConnectError> {
    let core = Core::new(Box::new(random_mid), Instant::now());
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
            let network = Network::start(target, core, printer.clone())?;
            input.complete_from(Arc::clone(network.view()));
            let ended = Front::new(&mut input, &network, &*printer, true).run();
            printer.finish();
            ended
        }
        None => {
            let printer = Arc::new(PlainPrinter);
            let network = Network::start(target, core, printer.clone())?;
            let mut input = PipeInput::new(is_terminal);
            Front::new(&mut input, &network, &*printer, is_terminal).run()
        }
    };
    Ok(ended == Ended::Well)
}

/// 128 random bits in hexadecimal.
fn random_mid() -> Option<String> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Some(bytes.iter().map(|b| format!("{b:02x}")).collect()),
        Err(e) => {
            log::error!(target: "client", "no random numbers: err={e}");
            None
        }
    }
}
