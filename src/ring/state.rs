//! The state file: the ring between two runs.
//!
//! One JSON object, always replaced as a whole. Who changes it holds a lock on
//! a file beside it meanwhile and begins with what the file says then, so that
//! two runs at once do not lose each other's changes; who only reads needs no
//! lock.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::beside::{self, LOCK_TIMEOUT};
use super::sources::kind_of;
use super::upstream::{RingError, Upstream};

/// Where it is unless another place is given: beside ChatServer's data.
pub const DEFAULT_PATH: &str = "./data/ring.json";
/// The form of the file that this program writes.
const VERSION: u32 = 1;
/// Longer than any that this program writes of a ring a person could want.
const MAX_BYTES: u64 = 16 << 20;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The ring as it is to be.
    pub upstream: Upstream,
    /// The ring as nginx has it: as last imported or exported.
    pub nginx: Option<Upstream>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    upstream: Upstream,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nginx: Option<Upstream>,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What can be wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("{path}: cannot {what}: {err}; --state names another file, --state none does without", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        err: io::Error,
    },
    /// It holds something else.
    #[error("{path} is not the state of a ring ({why}) and was left as it is: move it away, or name another file with --state", path = .path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It was written by a newer program.
    #[error("{path} was written by a newer ConsistentHash (its version is {version}, {VERSION} is known here): use that one, or name another file with --state", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// Somebody else holds the lock.
    #[error("{path}: another ConsistentHash has been changing it for {LOCK_TIMEOUT:?}; try again, or end that one", path = .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
}

/// Which file this is: one that was replaced has another number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified_ns: (i64, i64),
    bytes: u64,
}

/// The state and its file.
#[derive(Debug)]
pub struct StateFile {
    /// `None`: memory only.
    path: Option<PathBuf>,
    state: State,
    stamp: Option<Stamp>,
    generation: u64,
}

impl StateFile {
    /// In memory only.
    pub fn none() -> StateFile {
        StateFile { path: None, state: State::default(), stamp: None, generation: 0 }
    }

    /// In a file, which need not exist before the first change.
    pub fn at(path: PathBuf) -> StateFile {
        // A link stays one: the file that it leads to is replaced, and locked.
        let path = match fs::read_link(&path) {
            Ok(to) => {
                let to = path.parent().map_or(to.clone(), |folder| folder.join(&to));
                to.canonicalize().unwrap_or(to)
            }
            Err(_) => path,
        };
        StateFile { path: Some(path), ..StateFile::none() }
    }

    /// The state as it is now: another process may have changed it.
    ///
    /// # Errors
    /// Where the file cannot be read or understood.
    pub fn read(&mut self) -> Result<&State, StateError> {
        let Some(path) = self.path.clone() else { return Ok(&self.state) };
        let io_error = |what, err| StateError::Io { path: path.clone(), what, err };
        // To open a FIFO would be to wait, to replace a device to lose it.
        if let Some(kind) = fs::metadata(&path).ok().and_then(|about| kind_of(about.file_type())) {
            let why = format!("it is {kind}, no regular file");
            return Err(StateError::Garbage { path, why });
        }
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if self.stamp.take().is_some() {
                    self.set(State::default());
                }
                return Ok(&self.state);
            }
            Err(e) => return Err(io_error("open it", e)),
        };
        let stamp = stamp(&file).map_err(|e| io_error("look at it", e))?;
        if self.stamp != Some(stamp) {
            let state = parse(&path, &mut file)?;
            self.set(state);
            self.stamp = Some(stamp);
        }
        Ok(&self.state)
    }

    /// Changes with every change of the state, here or by somebody else.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Changes the state by `change`; if that fails nothing is changed.
    ///
    /// # Errors
    /// Those of `change`, and where the file cannot be locked, read or written.
    pub fn change<T, E: From<StateError>>(
        &mut self,
        change: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let lock = self.lock()?;
        let mut state = self.read()?.clone();
        let result = change(&mut state)?;
        if state != self.state {
            self.stamp = self.write(&state)?;
            self.set(state);
        }
        drop(lock);
        Ok(result)
    }

    fn set(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }

    /// The lock is the file beside, since the state's own is replaced.
    fn lock(&self) -> Result<Option<File>, StateError> {
        let Some(path) = &self.path else { return Ok(None) };
        let io_error = |what, err| StateError::Io { path: path.clone(), what, err };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| io_error("make its folder", e))?;
        }
        let name = beside::with_end(path, ".lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&name);
        // To read is enough: root may have made it, for a file that is not root's.
        let lock = lock.or_else(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => File::open(&name).map_err(|_| e),
            _ => Err(e),
        });
        let lock = lock.map_err(|e| io_error("lock it", e))?;
        match beside::lock(&lock) {
            Ok(true) => Ok(Some(lock)),
            Ok(false) => Err(StateError::Busy { path: path.clone() }),
            Err(e) => Err(io_error("lock it", e)),
        }
    }

    /// Writes a new file and puts it in the place of the old one.
    fn write(&self, state: &State) -> Result<Option<Stamp>, StateError> {
        let Some(path) = &self.path else { return Ok(None) };
        let io_error = |err| StateError::Io { path: path.clone(), what: "write it", err };
        let State { upstream, nginx } = state.clone();
        let mut text = serde_json::to_vec_pretty(&Form { version: VERSION, upstream, nginx })
            .map_err(|e| io_error(e.into()))?;
        text.push(b'\n');
        let new = beside::with_end(path, ".new");
        // One that a killed run has left; nobody else is at it, with the lock held.
        let written = beside::remove(&new).and_then(|()| {
            let (file, no_owner) = beside::write_like(&new, path, &text)?;
            if let Some(e) = no_owner {
                log::info!(target: "ring", "{} has another owner now: err={e}", path.display());
            }
            let stamp = stamp(&file)?;
            fs::rename(&new, path)?;
            Ok(Some(stamp))
        });
        written.map_err(io_error)
    }
}

fn parse(path: &Path, file: &mut File) -> Result<State, StateError> {
    let garbage = |why: String| StateError::Garbage { path: path.to_owned(), why };
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|err| StateError::Io {
        path: path.to_owned(),
        what: "read it",
        err,
    })?;
    if text.len() as u64 > MAX_BYTES {
        return Err(garbage(format!("longer than {MAX_BYTES} bytes")));
    }
    // The version first: of a newer form nothing else may be understood.
    let Version { version } = serde_json::from_slice(&text).map_err(|e| garbage(e.to_string()))?;
    if version > VERSION {
        return Err(StateError::Newer { path: path.to_owned(), version });
    }
    let form: Form = serde_json::from_slice(&text).map_err(|e| garbage(e.to_string()))?;
    for upstream in [Some(&form.upstream), form.nginx.as_ref()].into_iter().flatten() {
        upstream.check().map_err(|e: RingError| garbage(e.to_string()))?;
    }
    Ok(State { upstream: form.upstream, nginx: form.nginx })
}

fn stamp(file: &File) -> io::Result<Stamp> {
    let about = file.metadata()?;
    let modified_ns = (about.mtime(), about.mtime_nsec());
    Ok(Stamp { inode: about.ino(), modified_ns, bytes: about.len() })
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
