//! Commands of a person at a terminal: a line editor with history and
//! completion.

use std::io::{self, Write};

use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext,
    EventHandler, Helper, KeyEvent, Movement, RepeatCount,
};

use super::ServerName;
use super::command::{self, Command, USAGES};
use super::configurator::Configurator;

const PROMPT: &str = "ring> ";

/// The line editor.
pub struct Console {
    editor: Editor<Words, MemHistory>,
}

impl Console {
    /// # Errors
    /// Where standard input or output is no terminal.
    pub fn new() -> Result<Console, ReadlineError> {
        let config =
            Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
        let history = MemHistory::with_config(&config);
        let mut editor = Editor::with_history(config, history)?;
        editor.set_helper(Some(Words { servers: Vec::new(), files: FilenameCompleter::new() }));
        let clearing = EventHandler::Conditional(Box::new(Clearing));
        editor.bind_sequence(KeyEvent::ctrl('C'), clearing);
        Ok(Console { editor })
    }

    /// Leads the dialogue until `quit`, Ctrl+D, or Ctrl+C on an empty line.
    ///
    /// # Errors
    /// Where the terminal cannot be read or written any more.
    pub fn run(&mut self, configurator: &mut Configurator) -> io::Result<()> {
        println_to(&mut io::stdout(), "help lists the commands, Ctrl+D leaves.")?;
        loop {
            if let (Some(helper), Ok(servers)) = (self.editor.helper_mut(), configurator.servers())
            {
                helper.servers = servers;
            }
            let line = match self.editor.readline(PROMPT) {
                Ok(line) => line,
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
                Err(e) => return Err(io::Error::other(e)),
            };
            // What was pasted at once are as many commands as lines.
            for line in line.split(['\r', '\n']) {
                if !obey(configurator, line)? {
                    return Ok(());
                }
            }
        }
    }
}

/// Carries out a line; whether there may be more.
fn obey(configurator: &mut Configurator, line: &str) -> io::Result<bool> {
    let mut out = io::BufWriter::new(io::stdout());
    match command::parse_line(line) {
        Ok(None) => {}
        Ok(Some(Command::Quit)) => return Ok(false),
        Ok(Some(command)) => match configurator.run(&command, &mut out) {
            Ok(notes) => notes.iter().try_for_each(|note| println_to(&mut out, note))?,
            Err(problem) => println_to(&mut out, &problem.to_string())?,
        },
        Err(e) => println_to(&mut out, &e.to_string())?,
    }
    out.flush()?;
    configurator.release();
    Ok(true)
}

fn println_to(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{text}")
}

/// Ctrl+C clears a line; only on an empty one it means to leave.
struct Clearing;

impl ConditionalEventHandler for Clearing {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeLine))
    }
}

/// The line editor's helper: what can be completed.
struct Words {
    servers: Vec<ServerName>,
    files: FilenameCompleter,
}

impl Helper for Words {}

impl Hinter for Words {
    type Hint = String;
}

impl Validator for Words {}

impl Highlighter for Words {}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..pos];
        let first = typed.split_whitespace().next().unwrap_or_default();
        let takes_file = ["import", "export"].iter().any(|word| first.eq_ignore_ascii_case(word));
        let last = typed.rsplit(char::is_whitespace).next().unwrap_or_default();
        if takes_file && last.len() < typed.trim_start().len() && !last.starts_with("--") {
            return self.files.complete_path(line, pos);
        }
        Ok(complete(typed, &self.servers))
    }
}

/// Where the completed word begins, and what it may become.
fn complete(typed: &str, servers: &[ServerName]) -> (usize, Vec<Pair>) {
    let begin = typed.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    let (last, before) = (&typed[begin..], &typed[..begin]);
    let mut before: Vec<String> = before.split_whitespace().map(str::to_ascii_lowercase).collect();
    if before.first().is_some_and(|word| word == "moved") && before.len() > 1 {
        before.remove(0);
    }
    let words: Vec<&str> = before.iter().map(String::as_str).collect();
    let candidates: Vec<String> = match words[..] {
        [] => USAGES.iter().map(|usage| usage.word.to_owned()).chain(["quit".to_owned()]).collect(),
        ["moved"] => vec!["add".to_owned(), "del".to_owned()],
        ["add" | "del" | "getvirnum" | "down" | "up"] => {
            let mut hosts: Vec<String> = split(servers).map(|(host, _)| host).collect();
            hosts.sort();
            hosts.dedup();
            hosts
        }
        ["add" | "del" | "getvirnum" | "down" | "up", host] => {
            split(servers).filter(|(known, _)| known == host).map(|(_, port)| port).collect()
        }
        ["add", _, _] => vec!["160".to_owned()],
        ["export", ..] => {
            ["--reload", "--conf", "--upstream", "--force"].map(str::to_owned).to_vec()
        }
        ["import", ..] => vec!["--upstream".to_owned()],
        _ => Vec::new(),
    };
    let fits = |word: &String| {
        word.get(..last.len()).is_some_and(|start| start.eq_ignore_ascii_case(last))
    };
    let pair = |word: String| Pair { display: word.clone(), replacement: word + " " };
    (begin, candidates.into_iter().filter(fits).map(pair).collect())
}

/// Hosts and ports as the commands take them.
fn split(servers: &[ServerName]) -> impl Iterator<Item = (String, String)> {
    servers.iter().map(|name| {
        let text = name.as_str();
        let parts = if text.contains('/') { None } else { text.rsplit_once(':') };
        let (host, port) = parts.unwrap_or((text, "-"));
        (host.to_ascii_lowercase(), port.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completions(typed: &str) -> (usize, Vec<String>) {
        let servers = ["127.0.0.1:6000", "127.0.0.1:6002", "[::1]:6000", "unix:/run/a"];
        let servers = servers.map(|text| ServerName::parse(text).unwrap());
        let (begin, pairs) = complete(typed, &servers);
        (begin, pairs.into_iter().map(|pair| pair.replacement).collect())
    }

    fn found(begin: usize, words: &[&str]) -> (usize, Vec<String>) {
        (begin, words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn commands_are_completed_in_any_case() {
        assert_eq!(completions("ge"), found(0, &["get ", "getVirNum "]));
        assert_eq!(completions("SHOW"), found(0, &["showTime "]));
        assert_eq!(completions("x"), found(0, &[]));
    }

    #[test]
    fn servers_are_completed_word_by_word() {
        assert_eq!(completions("del 1"), found(4, &["127.0.0.1 "]));
        assert_eq!(completions("DOWN 127.0.0.1 600"), found(15, &["6000 ", "6002 "]));
        assert_eq!(completions("moved del [::1] "), found(16, &["6000 "]));
        assert_eq!(completions("up unix:/run/a "), found(15, &["- "]));
        assert_eq!(completions("get 1").1, Vec::<String>::new(), "a client is no server");
        assert_eq!(completions("export f --r"), found(9, &["--reload "]));
    }
}
