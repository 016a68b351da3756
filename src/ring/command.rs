//! The configurator's commands: what they are called, what they take.

use std::path::PathBuf;

use super::ServerName;
use super::client::{Client, ClientError};
use super::export::Target;
use super::sample::{DEFAULT_CLIENTS, MAX_CLIENTS};
use super::server_name::NameError;
use super::upstream::MAX_POINTS;

/// One understood line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A change of the ring.
    Change(Change),
    /// Which server a client belongs to.
    Get(Client),
    /// How many points a server has.
    GetVirNum(ServerName),
    /// Every point with its server.
    ShowTime,
    /// The share of each server, over so many made-up clients.
    Dist(u32),
    /// How many clients a change moves; `None`: what nginx does not have yet.
    Moved(Option<Change>),
    /// Marks a server as down and shows where its clients go.
    Down(ServerName),
    /// Takes that mark off.
    Up(ServerName),
    /// Takes an upstream over from a configuration.
    Import {
        /// The configuration.
        file: PathBuf,
        /// Which upstream, where it has several.
        upstream: Option<String>,
    },
    /// Writes the upstream into a configuration.
    Export {
        /// Where to.
        target: Target,
        /// Under this name instead of its own.
        upstream: Option<String>,
    },
    /// List the commands.
    Help,
    /// How one of them is written.
    HelpOn(&'static Usage),
    /// Leave.
    Quit,
}

/// A change of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A server comes, or gets another number of points.
    Add(ServerName, u32),
    /// A server goes.
    Del(ServerName),
}

/// How one command is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its first word.
    pub word: &'static str,
    /// The others.
    pub rest: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// Every command.
pub static USAGES: [Usage; 12] = [
    Usage {
        word: "add",
        rest: "host port num",
        what: "add a server with num points; one that is there gets num instead of its own (160 are a weight of 1 in nginx, 320 of 2, …)",
    },
    Usage { word: "del", rest: "host port", what: "remove a server" },
    Usage {
        word: "get",
        rest: "host port",
        what: "which server a client at this IP address and port belongs to",
    },
    Usage {
        word: "getVirNum",
        rest: "host port",
        what: "how many points a server has; -1: it is not on the ring",
    },
    Usage {
        word: "showTime",
        rest: "",
        what: "every point of the ring and its server, in ascending order",
    },
    Usage {
        word: "dist",
        rest: "[n]",
        what: "the share of each server, measured over n made-up clients (100000)",
    },
    Usage {
        word: "moved",
        rest: "[add host port num | del host port]",
        what: "how many clients such a change would move, or, without one, those changes that nginx does not have yet (since the last import or export)",
    },
    Usage {
        word: "down",
        rest: "host port",
        what: "mark a server as down and show where its clients go",
    },
    Usage { word: "up", rest: "host port", what: "take that mark off" },
    Usage {
        word: "import",
        rest: "FILE [--upstream NAME]",
        what: "begin with the upstream of an nginx configuration instead",
    },
    Usage {
        word: "export",
        rest: "FILE [--reload] [--conf MAIN] [--upstream NAME] [--force]",
        what: "write the upstream into an nginx configuration, if nginx -t agrees, and have nginx reload; MAIN: the configuration that includes FILE; --force: even where that loses servers that were written there by hand and never imported",
    },
    Usage {
        word: "help",
        rest: "[command]",
        what: "list the commands, or explain one; quit (or Ctrl+D) leaves",
    },
];

/// Why a line is no command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No command at all.
    #[error("unknown command {0:?}; help lists the commands")]
    Unknown(String),
    /// Too few words or too many.
    #[error("{word} is written so: {word} {rest}")]
    Form {
        /// The command.
        word: &'static str,
        /// What it takes.
        rest: &'static str,
    },
    /// An option that it does not have.
    #[error(
        "{word} has no option {option}; it is written so: {word} {rest}. What concerns the whole program stands before the command"
    )]
    Option {
        /// The command.
        word: &'static str,
        /// The option.
        option: String,
        /// What it takes.
        rest: &'static str,
    },
    /// An option without its value.
    #[error("{0} needs a value behind it")]
    Value(String),
    /// A server's host or port.
    #[error(transparent)]
    Server(#[from] NameError),
    /// A client's address or port.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A number of points.
    #[error(
        "{0:?} is not a number of points: give one from 1 to {MAX_POINTS}, such as 160 for a weight of 1"
    )]
    Points(String),
    /// A number of clients.
    #[error("{0:?} is not a number of clients: give one from 1 to {MAX_CLIENTS}")]
    Clients(String),
    /// A name of an upstream.
    #[error("{0:?} is not a name of an upstream: letters, digits and . _ - make one")]
    Upstream(String),
    /// A quote that is never closed.
    #[error("a quote is opened and never closed")]
    Quote,
}

impl CommandError {
    fn form(word: &str) -> CommandError {
        let usage = usage(word);
        CommandError::Form { word: usage.word, rest: usage.rest }
    }
}

/// How the command is written that is called so, which is known to be one.
fn usage(word: &str) -> &'static Usage {
    usage_of(word).unwrap_or(&USAGES[USAGES.len() - 1])
}

/// The same of any word.
fn usage_of(word: &str) -> Option<&'static Usage> {
    USAGES.iter().find(|usage| usage.word.eq_ignore_ascii_case(word))
}

/// Reads a line; `None` for an empty one or a comment (`#`).
///
/// # Errors
/// Where it is no command.
pub fn parse_line(line: &str) -> Result<Option<Command>, CommandError> {
    let words = split(line)?;
    match words.first() {
        None => Ok(None),
        Some(first) if first.starts_with('#') => Ok(None),
        Some(_) => parse(&words).map(Some),
    }
}

/// Reads the words of a command.
///
/// # Errors
/// Where they are none.
pub fn parse(words: &[String]) -> Result<Command, CommandError> {
    let [word, rest @ ..] = words else { return Err(CommandError::Unknown(String::new())) };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let known = word.to_ascii_lowercase();
    let is_command = || usage_of(word).is_some();
    match (known.as_str(), &rest[..]) {
        (_, ["--help" | "-h"]) if is_command() => Ok(Command::HelpOn(usage(word))),
        ("add" | "del", _) => Ok(Command::Change(parse_change(&known, &rest)?)),
        ("get", [host, port]) => Ok(Command::Get(Client::parse(host, port)?)),
        ("getvirnum", [host, port]) => Ok(Command::GetVirNum(ServerName::new(host, port)?)),
        ("showtime", []) => Ok(Command::ShowTime),
        ("dist", []) => Ok(Command::Dist(DEFAULT_CLIENTS)),
        ("dist", [number]) => Ok(Command::Dist(parse_clients(number)?)),
        ("moved", []) => Ok(Command::Moved(None)),
        ("moved", [change, rest @ ..]) => {
            let change = change.to_ascii_lowercase();
            let change = parse_change(&change, rest).map_err(|e| match e {
                CommandError::Unknown(_) | CommandError::Form { .. } => CommandError::form("moved"),
                other => other,
            })?;
            Ok(Command::Moved(Some(change)))
        }
        ("down", [host, port]) => Ok(Command::Down(ServerName::new(host, port)?)),
        ("up", [host, port]) => Ok(Command::Up(ServerName::new(host, port)?)),
        ("import", [_, ..]) => parse_import(&rest),
        ("export", [_, ..]) => parse_export(&rest),
        ("help" | "?", []) => Ok(Command::Help),
        ("help" | "?", [about, ..]) => match usage_of(about) {
            Some(usage) => Ok(Command::HelpOn(usage)),
            None => Err(CommandError::Unknown((*about).to_owned())),
        },
        ("quit" | "exit", []) => Ok(Command::Quit),
        _ => match (usage_of(word), rest.iter().find(|word| word.starts_with("--"))) {
            (Some(Usage { word, rest, .. }), Some(option)) => {
                Err(CommandError::Option { word, option: (*option).to_owned(), rest })
            }
            (Some(usage), None) => Err(CommandError::form(usage.word)),
            (None, _) => Err(CommandError::Unknown(word.clone())),
        },
    }
}

fn parse_change(word: &str, rest: &[&str]) -> Result<Change, CommandError> {
    match (word, rest) {
        ("add", [host, port, num]) => {
            let name = ServerName::new(host, port)?;
            let points = num.parse().ok().filter(|points| (1..=MAX_POINTS).contains(points));
            let points = points.ok_or_else(|| CommandError::Points((*num).to_owned()))?;
            Ok(Change::Add(name, points))
        }
        ("del", [host, port]) => Ok(Change::Del(ServerName::new(host, port)?)),
        ("add" | "del", _) => Err(CommandError::form(word)),
        _ => Err(CommandError::Unknown(word.to_owned())),
    }
}

fn parse_clients(text: &str) -> Result<u32, CommandError> {
    let number = text.parse().ok().filter(|number| (1..=MAX_CLIENTS).contains(number));
    number.ok_or_else(|| CommandError::Clients(text.to_owned()))
}

fn parse_import(words: &[&str]) -> Result<Command, CommandError> {
    let mut options = Options::read("import", words, &["--upstream"], &[])?;
    Ok(Command::Import { upstream: options.upstream()?, file: options.file })
}

fn parse_export(words: &[&str]) -> Result<Command, CommandError> {
    let mut options =
        Options::read("export", words, &["--upstream", "--conf"], &["--reload", "--force"])?;
    let upstream = options.upstream()?;
    let conf = options.value("--conf").map(PathBuf::from);
    let has = |name| options.flags.iter().any(|flag| flag == name);
    let (reload, force) = (has("--reload"), has("--force"));
    Ok(Command::Export { target: Target { file: options.file, conf, reload, force }, upstream })
}

/// A file, with options before and behind it.
struct Options {
    file: PathBuf,
    values: Vec<(String, String)>,
    flags: Vec<String>,
}

impl Options {
    fn read(
        word: &'static str,
        words: &[&str],
        valued: &[&str],
        plain: &[&str],
    ) -> Result<Options, CommandError> {
        let (mut files, mut values, mut flags) = (Vec::new(), Vec::new(), Vec::new());
        let mut words = words.iter();
        while let Some(&given) = words.next() {
            let (name, value) = given.split_once('=').map_or((given, None), |(n, v)| (n, Some(v)));
            if valued.contains(&name) {
                let value =
                    value.or_else(|| words.next().copied()).filter(|value| !value.is_empty());
                let value = value.ok_or_else(|| CommandError::Value(name.to_owned()))?;
                values.push((name.to_owned(), value.to_owned()));
            } else if plain.contains(&given) {
                flags.push(given.to_owned());
            } else if given.starts_with('-') {
                let rest = usage(word).rest;
                return Err(CommandError::Option { word, option: given.to_owned(), rest });
            } else {
                files.push(PathBuf::from(given));
            }
        }
        match <[PathBuf; 1]>::try_from(files) {
            Ok([file]) if !file.as_os_str().is_empty() => Ok(Options { file, values, flags }),
            _ => Err(CommandError::form(word)),
        }
    }

    /// The last one given counts.
    fn value(&mut self, name: &str) -> Option<String> {
        let position = self.values.iter().rposition(|(known, _)| known == name)?;
        Some(self.values.swap_remove(position).1)
    }

    fn upstream(&mut self) -> Result<Option<String>, CommandError> {
        let Some(name) = self.value("--upstream") else { return Ok(None) };
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if plain { Ok(Some(name)) } else { Err(CommandError::Upstream(name)) }
    }
}

/// Words as a shell has them: apart by blanks, which quotes keep together and a
/// backslash makes ordinary, as the completion of file names writes it.
fn split(line: &str) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '\\' => word.get_or_insert_default().extend(chars.next()),
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(CommandError::Quote);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
