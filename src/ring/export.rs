//! From an upstream to a file that nginx runs by. A file is replaced by one
//! that nginx has agreed to, in one step, or not at all.

use std::io;
use std::path::{Path, PathBuf};

use super::ServerName;
use super::beside::LOCK_TIMEOUT;
use super::conf::{self, Directive};
use super::drift::Drift;
use super::import::Unfit;
use super::nginx::{Nginx, NginxError};
use super::rewrite;
use super::sources::{self, SourceError};
use super::staged::{Context, Staged, Turn};
use super::text;
use super::upstream::Upstream;

/// Where to, and what else to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The file: a whole configuration, one that is included, or a new one.
    pub file: PathBuf,
    /// The configuration that includes it, where it is not whole itself.
    pub conf: Option<PathBuf>,
    /// Whether nginx is told to reload.
    pub reload: bool,
    /// Whether what was written there by hand meanwhile may go.
    pub force: bool,
}

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub struct Done {
    /// Whether the file said something else before.
    pub changed: bool,
    /// `worker_shutdown_timeout` of the configuration that nginx reads again.
    pub cut_off_after: Option<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Why nothing, or not everything, was done.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is nothing to balance over.
    #[error("the ring is empty: nginx needs at least one server; add host port num")]
    Empty,
    /// A number of points that is no weight.
    #[error("{server} has {}, which no weight of nginx gives (160 for each unit): take {choice}", super::report::number(u64::from(*.points), "point"), choice = choice(*.below, *.above))]
    NoWeight {
        /// The server.
        server: ServerName,
        /// Its points.
        points: u32,
        /// The multiple of 160 below.
        below: Option<u32>,
        /// The multiple of 160 above.
        above: u32,
    },
    /// The file that is there.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file has no place for the upstream.
    #[error("{file} is left as it is: it has no upstream {name} in stream {{ }}{there}", file = .file.display())]
    NoPlace {
        /// The file.
        file: PathBuf,
        /// The upstream's name.
        name: String,
        /// What there is instead.
        there: String,
    },
    /// Somebody else has been at it.
    #[error("{file} is left as it is: its upstream is not the one that was last imported or exported, and {lost}; import {file} begins with what it says now, export --force writes over it", file = .file.display())]
    Changed {
        /// The file.
        file: PathBuf,
        /// What would be lost.
        lost: String,
    },
    /// A line of the upstream.
    #[error("{file} is left as it is: line {line}: {why}", file = .file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// Why.
        why: Unfit,
    },
    /// Another export works there.
    #[error("another export has been at work in {folder} for {LOCK_TIMEOUT:?}; try again, or end that one", folder = .folder.display())]
    Busy {
        /// The folder of the file.
        folder: PathBuf,
    },
    /// Somebody has just been at it.
    #[error("{file} is left as it is: somebody has changed it while nginx was asked about the new text; try again", file = .file.display())]
    Meanwhile {
        /// The file.
        file: PathBuf,
    },
    /// nginx agreed to something else.
    #[error("{file} is left as it is: nginx has not read the new text beside it", file = .file.display())]
    Unread {
        /// The file.
        file: PathBuf,
    },
    /// The system.
    #[error("cannot {what} {path}: {err}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        err: io::Error,
    },
    /// nginx was not asked.
    #[error("{file} is left as it was, since nginx was not asked about the new text: {err}", file = .file.display())]
    Unasked {
        /// The file.
        file: PathBuf,
        /// Why.
        err: NginxError,
    },
    /// nginx does not want it.
    #[error("{file} is left as it was. The new text does not pass `nginx -t`:\n{err}", file = .file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// nginx's words.
        err: NginxError,
    },
    /// Nobody reads it.
    #[error("{file} is left as it was: {conf} does not include it; write `include {file};` into its stream {{ }}, or name the configuration that does with --conf", file = .file.display(), conf = .conf.display())]
    NotIncluded {
        /// The file.
        file: PathBuf,
        /// The configuration.
        conf: PathBuf,
    },
    /// The file stands, but nginx does not know.
    #[error("{file} is written, but nginx was not told to reload: {err}\ndoes it run by {conf}, and may you tell it?", file = .file.display(), conf = .conf.display())]
    NotReloaded {
        /// The file.
        file: PathBuf,
        /// The configuration that was named to nginx.
        conf: PathBuf,
        /// nginx's words.
        err: NginxError,
    },
}

fn choice(below: Option<u32>, above: u32) -> String {
    match below {
        Some(below) => {
            format!("{below} (weight {}) or {above} (weight {})", below / 160, above / 160)
        }
        None => format!("{above} (weight {})", above / 160),
    }
}

/// Puts `upstream` where `target` says; `known` is what nginx had when it was
/// last imported or exported.
///
/// # Errors
/// Where it could not be. But for [`ExportError::NotReloaded`] the file is as
/// it was.
pub fn export(
    upstream: &Upstream,
    known: Option<&Upstream>,
    target: &Target,
    nginx: &Nginx,
) -> Result<Done, ExportError> {
    check(upstream)?;
    // A link stays one, and what it leads to is replaced.
    let file = resolve(&target.file)?;
    let conf = target.conf.as_deref().map(resolve).transpose()?;
    let _turn = Turn::wait(&file)?;
    let Composed { old, new, kind, drift } = compose(&file, upstream, known)?;
    if !target.force && !drift.lost.is_empty() {
        return Err(ExportError::Changed { file, lost: drift.lost.join(", ") });
    }
    let changed = old.as_ref() != Some(&text::encode(&new));
    let mut staged = Staged::write(&file, old, &new)?;
    let conf = match (kind, conf) {
        (Kind::Whole, _) => {
            nginx.test(&staged.new).map_err(|err| staged.refused(err))?;
            if changed {
                staged.commit()?;
            }
            Some(file.clone())
        }
        // What it needs may stand around it: only the whole can be asked about.
        (Kind::Included(_), conf) if conf.is_some() || target.reload => {
            let conf = conf.map_or_else(|| staged.built_in_conf(nginx), Ok)?;
            if changed {
                staged.commit_included(nginx, &conf)?;
            } else {
                staged.check_included(nginx, &conf)?;
            }
            Some(conf)
        }
        (Kind::Included(context), _) => {
            staged.check_alone(nginx, context)?;
            if changed {
                staged.commit()?;
            }
            None
        }
    };
    let cut_off_after = conf.as_deref().and_then(shutdown_timeout);
    match conf {
        Some(conf) if target.reload => nginx
            .reload(&conf)
            .map_err(|err| ExportError::NotReloaded { file: file.clone(), conf, err })?,
        _ => {}
    }
    let mut notes = std::mem::take(&mut staged.notes);
    notes.extend(drift.notes(&file));
    notes.extend(down_note(upstream));
    Ok(Done { changed, cut_off_after, notes })
}

/// When nginx ends the connections of its old workers, if ever.
fn shutdown_timeout(conf: &Path) -> Option<String> {
    // nginx has just read it; what cannot be followed here has no more to say.
    let top = sources::top(conf).ok()?;
    let found = top.iter().find(|found| found.directive.name() == "worker_shutdown_timeout")?;
    Some(found.directive.arguments().join(" "))
}

fn check(upstream: &Upstream) -> Result<(), ExportError> {
    if upstream.servers.is_empty() {
        return Err(ExportError::Empty);
    }
    for server in &upstream.servers {
        if let Err((below, above)) = server.weight() {
            let (server, points) = (server.server.clone(), server.points);
            return Err(ExportError::NoWeight { server, points, below, above });
        }
    }
    Ok(())
}

fn down_note(upstream: &Upstream) -> Option<String> {
    let down: Vec<&str> =
        upstream.servers.iter().filter(|s| s.down).map(|s| s.server.as_str()).collect();
    match down.len() {
        0 => None,
        all if all == upstream.servers.len() => {
            Some("Every server is marked down: nginx lets no client in.".to_owned())
        }
        _ => {
            Some(format!("Written as down, so that no new client gets there: {}.", down.join(", ")))
        }
    }
}

/// What a file is to nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A configuration of its own.
    Whole,
    /// A part of one.
    Included(Context),
}

/// What is to happen to a file.
struct Composed {
    /// What it says now.
    old: Option<Vec<u8>>,
    /// What it is to say.
    new: String,
    kind: Kind,
    drift: Drift,
}

fn compose(
    file: &Path,
    upstream: &Upstream,
    known: Option<&Upstream>,
) -> Result<Composed, ExportError> {
    let old = if file.exists() { Some(sources::read(file)?) } else { None };
    let text = old.as_deref().map(text::decode).unwrap_or_default();
    if text.trim().is_empty() {
        let (new, kind) = (rewrite::fragment(upstream), Kind::Included(Context::Stream));
        return Ok(Composed { old, new, kind, drift: Drift::default() });
    }
    let syntax = |err| SourceError::Syntax { path: file.to_owned(), err };
    let top = conf::parse(&text).map_err(syntax)?;
    let has = |name: &str| top.iter().any(|directive| directive.name() == name);
    let kind = match () {
        () if has("events") => Kind::Whole,
        () if has("stream") => Kind::Included(Context::Top),
        () => Kind::Included(Context::Stream),
    };
    let in_stream = top.iter().filter(|d| d.name() == "stream").flat_map(Directive::inner);
    let blocks: Vec<&Directive> =
        top.iter().chain(in_stream).filter(|d| d.name() == "upstream").collect();
    let name_of = |block: &&Directive| block.arguments().join(" ");
    let Some(block) = blocks.iter().find(|block| name_of(block) == upstream.name) else {
        let names: Vec<String> = blocks.iter().map(name_of).collect();
        return Err(ExportError::NoPlace {
            file: file.to_owned(),
            name: upstream.name.clone(),
            there: elsewhere(file, &upstream.name, &names),
        });
    };
    let new = rewrite::in_place(&text, block, upstream).map_err(|refused| ExportError::Line {
        file: file.to_owned(),
        line: refused.line,
        why: refused.why,
    })?;
    let drift = Drift::of(block, known, upstream);
    Ok(Composed { old, new, kind, drift })
}

/// Where the upstream is, if not in the file itself, or what is there instead.
fn elsewhere(file: &Path, name: &str, names: &[String]) -> String {
    // A file that cannot be followed has no better advice to give.
    let included = sources::upstreams(file).unwrap_or_default();
    let is_it = |found: &&sources::Found| found.directive.arguments().join(" ") == name;
    if let Some(found) = included.iter().find(is_it) {
        let (part, file) = (found.file.display(), file.display());
        return format!("; {part}, which it includes, has: export {part} --conf {file}");
    }
    if names.is_empty() {
        return "; export into a file of its own, and include that there".to_owned();
    }
    format!("; it has: {} (--upstream NAME names one)", names.join(", "))
}

/// The path without links; of one that does not exist yet, that of its folder.
fn resolve(path: &Path) -> Result<PathBuf, ExportError> {
    let error = |err| ExportError::Io { what: "find", path: path.to_owned(), err };
    match path.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.is_symlink() => Err(error(
            io::Error::new(io::ErrorKind::NotFound, "it is a link to a file that is not there"),
        )),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().map_err(error)?;
            let name = path.file_name().ok_or(io::Error::from(io::ErrorKind::InvalidInput));
            Ok(folder.join(name.map_err(error)?))
        }
        found => {
            let found = found.map_err(error)?;
            sources::check_kind(&found)?;
            Ok(found)
        }
    }
}
