//! The upstreams of a configuration, wherever its `include`s keep them.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::conf::{self, Directive, SyntaxError};
use super::{glob, text};

/// Longer than any configuration.
const MAX_BYTES: u64 = 4 << 20;
/// More than any configuration has; files that include each other all the time
/// would be followed for ever.
const MAX_FILES: usize = 10_000;
/// Includes within includes.
const MAX_DEPTH: usize = 16;

/// A directive and the file that it stands in.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The directive.
    pub directive: Directive,
}

/// Why the upstreams of a file cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("cannot read {path}: {err}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        err: io::Error,
    },
    /// It is something else than a file.
    #[error("{path} is {kind}, no regular file: it is neither read nor replaced", path = .path.display())]
    Kind {
        /// What was to be a file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// It is no configuration.
    #[error("{path}, {err}", path = .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        err: SyntaxError,
    },
    /// Files that include each other.
    #[error("{file}, line {line}: include within include, {MAX_DEPTH} deep", file = .file.display())]
    Depth {
        /// The file.
        file: PathBuf,
        /// The line of the `include`.
        line: usize,
    },
    /// A pattern in the name of a folder, say.
    #[error("{file}, line {line}: cannot follow include {pattern:?}: {why}", file = .file.display())]
    Include {
        /// The file.
        file: PathBuf,
        /// The line of the `include`.
        line: usize,
        /// What is included.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What a file holds.
///
/// # Errors
/// Where it cannot be read, or is much too long.
pub fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let error = |err| SourceError::Read { path: path.to_owned(), err };
    check_kind(path)?;
    let mut text = Vec::new();
    let file = File::open(path).map_err(error)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(error)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(error(io::Error::other(format!("longer than {MAX_BYTES} bytes"))));
    }
    Ok(text)
}

/// Refuses whatever is no regular file, links followed: a FIFO would be waited
/// for until somebody writes, and a device must not be replaced by a text.
///
/// # Errors
/// Where it is one, or cannot be looked at.
pub fn check_kind(path: &Path) -> Result<(), SourceError> {
    let about =
        fs::metadata(path).map_err(|err| SourceError::Read { path: path.to_owned(), err })?;
    match kind_of(about.file_type()) {
        None => Ok(()),
        Some(kind) => Err(SourceError::Kind { path: path.to_owned(), kind }),
    }
}

/// What it is, if not a regular file.
pub(super) fn kind_of(found: FileType) -> Option<&'static str> {
    match () {
        () if found.is_file() => None,
        () if found.is_dir() => Some("a folder"),
        () if found.is_fifo() => Some("a FIFO"),
        () if found.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// What a file holds, as directives.
///
/// # Errors
/// Where it cannot be read or is no configuration.
pub fn parse(path: &Path) -> Result<Vec<Directive>, SourceError> {
    let text = text::decode(&read(path)?);
    conf::parse(&text).map_err(|err| SourceError::Syntax { path: path.to_owned(), err })
}

/// The upstreams of `stream { }` that nginx would know by this file, be it a
/// whole configuration or what another one includes inside of `stream { }`.
///
/// # Errors
/// Where a file cannot be read or followed.
pub fn upstreams(path: &Path) -> Result<Vec<Found>, SourceError> {
    in_stream(path, "upstream")
}

/// The same for the servers that clients connect to.
///
/// # Errors
/// Where a file cannot be read or followed.
pub fn listeners(path: &Path) -> Result<Vec<Found>, SourceError> {
    in_stream(path, "server")
}

fn in_stream(path: &Path, name: &str) -> Result<Vec<Found>, SourceError> {
    let mut walk = Walk::new(path);
    let mut found = Vec::new();
    for item in walk.file(path, 0)? {
        match item.directive.name() {
            "stream" => found.extend(walk.inner(&item, 0)?),
            known if known == name => found.push(item),
            _ => {}
        }
    }
    found.retain(|item| item.directive.name() == name);
    Ok(found)
}

/// The directives outside of all blocks, those of includes in their places.
///
/// # Errors
/// Where a file cannot be read or followed.
pub fn top(path: &Path) -> Result<Vec<Found>, SourceError> {
    Walk::new(path).file(path, 0)
}

/// The directives inside of a directive, those of its includes in their places.
///
/// # Errors
/// Where a file cannot be read or followed.
pub fn inner(root: &Path, found: &Found) -> Result<Vec<Found>, SourceError> {
    Walk::new(root).inner(found, 0)
}

/// Follows includes; relative ones begin in the folder of the first file.
struct Walk {
    folder: PathBuf,
    /// How many have been read.
    files: usize,
}

impl Walk {
    fn new(root: &Path) -> Walk {
        Walk { folder: root.parent().unwrap_or(Path::new("")).to_owned(), files: 0 }
    }

    fn file(&mut self, path: &Path, depth: usize) -> Result<Vec<Found>, SourceError> {
        self.expand(path, parse(path)?, depth)
    }

    fn inner(&mut self, found: &Found, depth: usize) -> Result<Vec<Found>, SourceError> {
        self.expand(&found.file, found.directive.inner().to_vec(), depth)
    }

    fn expand(
        &mut self,
        file: &Path,
        directives: Vec<Directive>,
        depth: usize,
    ) -> Result<Vec<Found>, SourceError> {
        let mut all = Vec::new();
        for directive in directives {
            if directive.name() != "include" || directive.block.is_some() {
                all.push(Found { file: file.to_owned(), directive });
                continue;
            }
            if depth == MAX_DEPTH {
                return Err(SourceError::Depth { file: file.to_owned(), line: directive.line });
            }
            let pattern = directive.arguments().join(" ");
            let files = match directive.arguments() {
                [one] => glob::matching(&self.folder.join(text::path_part(one))),
                _ => Err("it names one file or pattern, not more, not none".to_owned()),
            };
            let included = files.map_err(|why| {
                let (file, line, pattern) = (file.to_owned(), directive.line, pattern.clone());
                SourceError::Include { file, line, pattern, why }
            })?;
            for path in included {
                self.files += 1;
                if self.files > MAX_FILES {
                    let (file, line, pattern) = (file.to_owned(), directive.line, pattern);
                    let why = format!("the includes come to more than {MAX_FILES} files");
                    return Err(SourceError::Include { file, line, pattern, why });
                }
                let inner = self.file(&path, depth + 1).map_err(|err| match err {
                    SourceError::Read { path: unread, err } if unread == path => {
                        let (file, line) = (file.to_owned(), directive.line);
                        SourceError::Include {
                            file,
                            line,
                            pattern: pattern.clone(),
                            why: err.to_string(),
                        }
                    }
                    other => other,
                })?;
                all.extend(inner);
            }
        }
        Ok(all)
    }
}
