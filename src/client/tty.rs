//! A person at a terminal: a line editor with history and completion.

use std::io;
use std::sync::Arc;

use rustyline::error::ReadlineError;
use rustyline::history::{History, MemHistory};
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext,
    EventHandler, KeyEvent, Movement, Prompt, RepeatCount,
};

use super::complete::{LineHelper, Typing};
use super::front::{Input, Question, Typed};
use super::tty_printer::TtyPrinter;
use super::view::View;

/// So many lines can be called back.
const HISTORY: usize = 1_000;

/// The line editor.
pub struct TtyInput {
    editor: Editor<LineHelper, MemHistory>,
    printer: Arc<TtyPrinter>,
}

impl TtyInput {
    /// The editor and the printer that writes above its line.
    ///
    /// # Errors
    /// Where standard input or output is no terminal, or one that cannot be
    /// edited on.
    pub fn new() -> Result<(TtyInput, Arc<TtyPrinter>), ReadlineError> {
        let config = Config::builder()
            .auto_add_history(false)
            .max_history_size(HISTORY)?
            .completion_type(CompletionType::List)
            // Hiding a password is the highlighter's work, so NO_COLOR must
            // not turn it off.
            .color_mode(ColorMode::Enabled)
            .build();
        // What was said stays in memory: no history file.
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        editor.set_helper(Some(LineHelper { typing: Typing::Plain, view: Arc::default() }));
        let clear = EventHandler::Conditional(Box::new(ClearLine));
        editor.bind_sequence(Event::from(KeyEvent::ctrl('C')), clear);
        let printer = Arc::new(TtyPrinter::new());
        Arc::clone(&printer).start(editor.create_external_printer()?).map_err(io_error)?;
        Ok((TtyInput { editor, printer: Arc::clone(&printer) }, printer))
    }

    /// Completes friends and groups from here on.
    pub fn complete_from(&mut self, view: Arc<View>) {
        if let Some(helper) = self.editor.helper_mut() {
            helper.view = view;
        }
    }
}

impl Input for TtyInput {
    fn ask(&mut self, question: Question<'_>) -> Typed {
        let (typing, text) = match question {
            Question::Plain(text) => (Typing::Plain, text),
            Question::Password(text) => (Typing::Password, text),
            Question::Command(text) => (Typing::Command, text),
        };
        if let Some(helper) = self.editor.helper_mut() {
            helper.typing = typing;
        }
        self.printer.begin();
        let prompt = StartingPrompt { text, printer: &self.printer };
        let line = self.editor.readline(&prompt);
        self.printer.end();
        match line {
            Ok(line) => {
                // A pasted text is one line, whatever ends it holds.
                let line = line.trim_end_matches(['\r', '\n']).to_owned();
                if typing == Typing::Command
                    && !line.trim().is_empty()
                    && let Err(e) = self.editor.history_mut().add(&line)
                {
                    log::debug!(target: "client", "not in the history: err={e}");
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupted,
            Err(ReadlineError::Eof) => Typed::End,
            Err(e) => {
                log::error!(target: "client", "the terminal cannot be read: err={e}");
                Typed::End
            }
        }
    }
}

/// Tells the printer when the editor begins: it asks for the prompt's text as
/// the first thing after it has taken over the terminal.
struct StartingPrompt<'a> {
    text: &'a str,
    printer: &'a TtyPrinter,
}

impl Prompt for StartingPrompt<'_> {
    fn raw(&self) -> &str {
        self.printer.editing();
        self.text
    }
}

/// Ctrl+C clears a line; only on an empty one it means to leave.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _positive: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeLine))
    }
}

fn io_error(error: io::Error) -> ReadlineError {
    ReadlineError::Io(error)
}
