//! Which messages were shown, across restarts: one file for each account.
//!
//! The file is `<folder>/seen-<host>-<port>-<user>`; its lines are JSON, one
//! `[sender,"mid"]` for each message, oldest first. Lines are only ever
//! appended, a batch with one write, so that two clients of one account do not
//! tear each other's; now and then the newest are written to a new file that
//! replaces the old one. A reader takes what it understands.
//!
//! Nothing here fails: whoever cannot write goes on without, which is told
//! once, and remembers until it ends (`session::seen`).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::session::seen::{MessageKey, REMEMBERED};
use super::target::Target;

/// A file of so many messages is cut to the newest [`REMEMBERED`].
const MAX_MESSAGES: usize = 2 * REMEMBERED;
/// More is never read: longer than [`MAX_MESSAGES`] of the longest lines.
const MAX_READ_BYTES: u64 = 16 << 20;

/// The memory of the account that is logged in.
pub struct SeenFile {
    /// Where the files are; `None`: there is no place for them.
    folder: Option<PathBuf>,
    /// The part of the files' names that stands for the server.
    server: String,
    /// The account's file, while it can be written.
    path: Option<PathBuf>,
    /// How many messages it holds.
    messages: usize,
    /// Whether the person was told of a problem.
    warned: bool,
}

/// What a file holds.
struct Content {
    messages: Vec<MessageKey>,
    /// Lines that are not understood.
    damaged: usize,
}

impl SeenFile {
    /// For the accounts of one server, with the files in `folder`.
    pub fn new(folder: Option<PathBuf>, target: &Target) -> SeenFile {
        let server = format!("{}-{}", file_name_part(&target.host), target.port);
        SeenFile { folder, server, path: None, messages: 0, warned: false }
    }

    /// From here on `user`'s file is meant: what it holds, oldest first, and
    /// what the person should know.
    pub fn recall(&mut self, user: u32) -> (Vec<MessageKey>, Option<String>) {
        (self.path, self.messages) = (None, 0);
        let Some(folder) = self.folder.clone() else {
            let warning = self.warn(
                "There is no folder in which to remember the messages that were shown (no HOME; \
                 --state-dir names one): some may be shown again after a restart."
                    .to_owned(),
            );
            return (Vec::new(), warning);
        };
        let path = folder.join(format!("seen-{}-{user}", self.server));
        match prepare(&folder, &path) {
            Ok(content) => {
                self.messages = content.messages.len();
                let warning = (content.damaged > 0).then(|| {
                    format!(
                        "{} was damaged, {} of its lines could not be read: \
                         some messages may be shown again.",
                        path.display(),
                        content.damaged
                    )
                });
                self.path = Some(path);
                (content.messages, warning.and_then(|text| self.warn(text)))
            }
            Err(e) => (Vec::new(), self.give_up(&path, &e)),
        }
    }

    /// Keeps that these messages were shown; what the person should know.
    pub fn remember(&mut self, shown: &[MessageKey]) -> Option<String> {
        let path = self.path.clone()?;
        if shown.is_empty() {
            return None;
        }
        let mut written = append(&path, shown);
        self.messages += shown.len();
        if written.is_ok() && self.messages >= MAX_MESSAGES {
            written = read(&path).and_then(|content| {
                let kept = newest(content.messages);
                self.messages = kept.len();
                replace(&path, &kept)
            });
        }
        written.err().and_then(|e| self.give_up(&path, &e))
    }

    fn give_up(&mut self, path: &Path, error: &io::Error) -> Option<String> {
        self.path = None;
        self.warn(format!(
            "{} cannot be used ({error}): after a restart some messages may be shown again.",
            path.display()
        ))
    }

    /// The first warning is for the person, the others are for the log.
    fn warn(&mut self, text: String) -> Option<String> {
        log::warn!(target: "client", "{text}");
        (!std::mem::replace(&mut self.warned, true)).then_some(text)
    }
}

/// The folder for the files where none is named: `$XDG_STATE_HOME/cluster-chat`
/// or `~/.local/state/cluster-chat`.
pub fn default_folder() -> Option<PathBuf> {
    // The specification asks for relative paths to be ignored.
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    let state = state.or_else(|| home().map(|home| home.join(".local/state")));
    state.map(|state| state.join("cluster-chat"))
}

/// Makes folder and file where they are missing, reads the file, and leaves it
/// in good order: short enough, and with a whole last line.
fn prepare(folder: &Path, path: &Path) -> io::Result<Content> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut content = match read(path) {
        Ok(content) => content,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Content { messages: Vec::new(), damaged: 0 }
        }
        Err(e) => return Err(e),
    };
    if content.damaged > 0 || content.messages.len() >= MAX_MESSAGES {
        content.messages = newest(content.messages);
        replace(path, &content.messages)?;
    }
    // Whether it can be written is known before the first message.
    append(path, &[])?;
    Ok(content)
}

fn read(path: &Path) -> io::Result<Content> {
    // A pipe, for example, would be waited for until somebody writes.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    let mut file = File::open(path)?;
    let skipped = file.metadata()?.len().saturating_sub(MAX_READ_BYTES);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
    let mut content = Content { messages: Vec::new(), damaged: usize::from(skipped > 0) };
    // A last line without its end would have the next one appended to it.
    content.damaged += usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(message) => content.messages.push(message),
            Err(_) => content.damaged += 1,
        }
    }
    Ok(content)
}

fn newest(mut messages: Vec<MessageKey>) -> Vec<MessageKey> {
    messages.drain(..messages.len().saturating_sub(REMEMBERED));
    messages
}

fn append(path: &Path, messages: &[MessageKey]) -> io::Result<()> {
    // Opened each time: the file may have been replaced by another client.
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(&lines(messages)?)
}

fn replace(path: &Path, messages: &[MessageKey]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&lines(messages)?)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn lines(messages: &[MessageKey]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for message in messages {
        serde_json::to_writer(&mut bytes, message)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// A host as a part of a file's name: no two hosts share one.
fn file_name_part(host: &str) -> String {
    let mut part = String::new();
    for byte in host.to_lowercase().bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => part.push(char::from(byte)),
            _ => part.push_str(&format!("%{byte:02x}")),
        }
    }
    part
}

#[cfg(test)]
mod tests;
