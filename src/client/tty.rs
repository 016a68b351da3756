//! A person at a terminal: a line editor with history and completion.

use std::io;
use std::sync::Arc;

use rustyline::error::ReadlineError;
use rustyline::history::{History, MemHistory};
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Editor, Event, EventContext,
    EventHandler, KeyCode, KeyEvent, Movement, Prompt, RepeatCount,
};

use super::complete::LineHelper;
use super::front::{Input, Question, Typed};
use super::hidden::HiddenLine;
use super::tty_printer::TtyPrinter;
use super::view::View;

/// So many lines can be called back.
const HISTORY: usize = 1_000;

/// The line editor.
pub struct TtyInput {
    editor: Editor<LineHelper, MemHistory>,
    printer: Arc<TtyPrinter>,
    hidden: Arc<HiddenLine>,
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
            .build();
        // What was said stays in memory: no history file.
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        editor.set_helper(Some(LineHelper { command: false, view: Arc::default() }));
        let hidden = Arc::new(HiddenLine::default());
        let printer = Arc::new(TtyPrinter::new(io::stdout()));
        let keys = Keys { hidden: Arc::clone(&hidden), printer: Arc::clone(&printer) };
        editor.bind_sequence(Event::Any, EventHandler::Conditional(Box::new(keys)));
        Arc::clone(&printer).start(editor.create_external_printer()?).map_err(io_error)?;
        let mut input = TtyInput { editor, printer: Arc::clone(&printer), hidden };
        input.measure();
        Ok((input, printer))
    }

    /// Looks how wide the terminal is: windows change between two lines.
    fn measure(&mut self) {
        let columns = self.editor.dimensions().map(|(columns, _)| usize::from(columns));
        self.printer.set_columns(columns);
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
        let (Question::Plain(text) | Question::Password(text) | Question::Command(text)) = question;
        let is_command = matches!(question, Question::Command(_));
        if let Some(helper) = self.editor.helper_mut() {
            helper.command = is_command;
        }
        if matches!(question, Question::Password(_)) {
            self.hidden.begin();
        }
        self.measure();
        self.printer.begin();
        let prompt = StartingPrompt { text, printer: &self.printer };
        let line = self.editor.readline(&prompt);
        self.printer.end();
        let hidden = self.hidden.end();
        match line {
            Ok(line) => {
                let line = hidden.unwrap_or(line);
                // A pasted text is one line, whatever ends it holds.
                let line = line.trim_end_matches(['\r', '\n']).to_owned();
                if is_command
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

/// What the keys do differently from the editor's own.
struct Keys {
    hidden: Arc<HiddenLine>,
    printer: Arc<TtyPrinter>,
}

impl Keys {
    /// Whether a key may end the line.
    fn may_end_line(key: KeyEvent) -> bool {
        key.0 == KeyCode::Enter || ['C', 'D', 'J', 'M'].map(KeyEvent::ctrl).contains(&key)
    }
}

impl ConditionalEventHandler for Keys {
    fn handle(
        &self,
        event: &Event,
        _count: RepeatCount,
        _positive: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let key = *event.get(0)?;
        if Keys::may_end_line(key) {
            self.printer.pause();
        }
        self.hidden.press(key).or_else(|| {
            // Ctrl+C clears a line; only on an empty one it means to leave.
            let clears = key == KeyEvent::ctrl('C') && !context.line().is_empty();
            clears.then_some(Cmd::Kill(Movement::WholeLine))
        })
    }
}

fn io_error(error: io::Error) -> ReadlineError {
    ReadlineError::Io(error)
}
