//! A new text beside the file that it is for: shown to nginx, then put into the
//! file's place, in one step.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::beside;
use super::export::ExportError;
use super::nginx::{Nginx, NginxError};
use super::text;

/// Where a part of a configuration is included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of all blocks.
    Top,
    /// In `stream { }`.
    Stream,
}

/// The turn of an export: while it lives no other one works in that folder.
pub(super) struct Turn {
    /// `None` where the system cannot lock a folder.
    _lock: Option<File>,
}

impl Turn {
    pub(super) fn wait(file: &Path) -> Result<Turn, ExportError> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        // The folder's own lock: the file is replaced, and one beside it would stay.
        let locked = File::open(folder).and_then(|lock| Ok((beside::lock(&lock)?, lock)));
        match locked {
            Ok((true, lock)) => Ok(Turn { _lock: Some(lock) }),
            Ok((false, _)) => Err(ExportError::Busy { folder: folder.to_owned() }),
            Err(e) => {
                log::warn!(target: "ring", "{} cannot be locked: err={e}", folder.display());
                Ok(Turn { _lock: None })
            }
        }
    }
}

/// The new text beside the file that it is for. What is beside goes with the
/// value.
pub(super) struct Staged {
    file: PathBuf,
    /// What the file said when it was read.
    old: Option<Vec<u8>>,
    /// The new text.
    pub(super) new: PathBuf,
    /// What the file said, under another name, while nginx is asked.
    before: PathBuf,
    /// A configuration around it.
    around: PathBuf,
    pid: PathBuf,
    /// Those of them that this run has made.
    made: Vec<PathBuf>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// How the names beside a file end.
const ENDS: [&str; 4] = ["new", "before", "check", "pid"];

impl Staged {
    /// Writes `text` beside `file`, which says `old`.
    pub(super) fn write(
        file: &Path,
        old: Option<Vec<u8>>,
        text: &str,
    ) -> Result<Staged, ExportError> {
        let mut notes = left_behind(file);
        let [new, before, around, pid] = free_names(file);
        let (made, file, text) = (vec![new.clone()], file.to_owned(), text::encode(text));
        notes.extend(other_names(&file).filter(|_| old.as_ref() != Some(&text)));
        match beside::write_like(&new, &file, &text) {
            Ok((_, None)) => {}
            Ok((_, Some(e))) => notes.push(format!("{} now belongs to you: {e}.", file.display())),
            Err(err) => return Err(ExportError::Io { what: "write", path: new, err }),
        }
        Ok(Staged { file, old, new, before, around, pid, made, notes })
    }

    fn error(&self, what: &'static str, path: &Path, err: io::Error) -> ExportError {
        ExportError::Io { what, path: path.to_owned(), err }
    }

    /// nginx's words name the file that the text was in when it was asked; a
    /// person knows only the one that it is for.
    pub(super) fn refused(&self, err: NginxError) -> ExportError {
        let plain = |path: &Path| path.display().to_string();
        let err = match err {
            NginxError::Says(said) => {
                let around = format!("(the configuration around {})", self.file.display());
                let said = said.replace(&plain(&self.new), &plain(&self.file));
                NginxError::Says(said.replace(&plain(&self.around), &around))
            }
            err => return ExportError::Unasked { file: self.file.clone(), err },
        };
        ExportError::Refused { file: self.file.clone(), err }
    }

    /// Whether nginx would take it, with nothing around it.
    pub(super) fn check_alone(
        &mut self,
        nginx: &Nginx,
        context: Context,
    ) -> Result<(), ExportError> {
        let load = nginx.built_with().map_err(|err| self.refused(err))?.load_stream;
        let include = format!("include {};", quoted(&as_pattern(&self.new)));
        let include = match context {
            Context::Top => include,
            Context::Stream => format!("stream {{ {include} }}"),
        };
        let pid = quoted(&text::decode(self.pid.as_os_str().as_bytes()));
        let around = format!("{load}pid {pid};\nerror_log stderr;\nevents {{}}\n{include}\n");
        beside::write_like(&self.around, &self.new, &text::encode(&around))
            .map_err(|err| self.error("write", &self.around, err))?;
        // nginx makes the second one, also where it only tests.
        self.made.extend([self.around.clone(), self.pid.clone()]);
        let files = nginx.files(&self.around).map_err(|err| self.refused(err));
        let files = files.map_err(|err| match err {
            ExportError::Refused { file, err: NginxError::Says(said) } => {
                let advice = "it was asked about this file alone; if the file needs what stands around it, name the configuration that includes it with --conf";
                ExportError::Refused { file, err: NginxError::Says(format!("{said}\n{advice}")) }
            }
            other => other,
        })?;
        // That nothing is wrong with what it has not read would mean nothing.
        if files.iter().any(|path| leads_to(path, &self.new)) {
            return Ok(());
        }
        Err(ExportError::Unread { file: self.file.clone() })
    }

    pub(super) fn built_in_conf(&self, nginx: &Nginx) -> Result<PathBuf, ExportError> {
        Ok(nginx.built_with().map_err(|err| self.refused(err))?.conf)
    }

    /// The new text takes the file's place.
    pub(super) fn commit(&self) -> Result<(), ExportError> {
        // An editor may have been there while nginx was asked.
        let says = match fs::read(&self.file) {
            Ok(says) => Some(says),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(err) => return Err(self.error("read", &self.file, err)),
        };
        if says != self.old {
            return Err(ExportError::Meanwhile { file: self.file.clone() });
        }
        fs::rename(&self.new, &self.file).map_err(|err| self.error("replace", &self.file, err))?;
        // So that it is there after a power cut as well; it is there now.
        let folder = self.file.parent().unwrap_or(Path::new("."));
        if let Err(e) = File::open(folder).and_then(|folder| folder.sync_all()) {
            log::warn!(target: "ring", "{} is not synced: err={e}", folder.display());
        }
        Ok(())
    }

    /// The same for a part of `conf`, which can only be asked about as a whole
    /// once the new text is in its place: if nginx says no, the old one comes
    /// back.
    pub(super) fn commit_included(
        &mut self,
        nginx: &Nginx,
        conf: &Path,
    ) -> Result<(), ExportError> {
        if let Some(old) = &self.old {
            // A link keeps its owner; not every file system has them.
            fs::hard_link(&self.file, &self.before)
                .or_else(|_| beside::write_like(&self.before, &self.file, old).map(drop))
                .map_err(|err| self.error("keep a copy of", &self.file, err))?;
            self.made.push(self.before.clone());
        }
        self.commit()?;
        let Err(refused) = self.check_included(nginx, conf) else { return Ok(()) };
        if self.old.is_some() {
            fs::rename(&self.before, &self.file).map_err(|err| {
                // The only copy: it stays, and is named.
                self.made.retain(|made| *made != self.before);
                self.error("bring back, as it was before,", &self.before, err)
            })?;
        } else {
            fs::remove_file(&self.file).map_err(|err| self.error("remove", &self.file, err))?;
        }
        Err(refused)
    }

    /// Whether nginx takes `conf` as it is, and the file with it.
    pub(super) fn check_included(&self, nginx: &Nginx, conf: &Path) -> Result<(), ExportError> {
        let files = nginx.files(conf).map_err(|err| self.refused(err))?;
        if files.iter().any(|path| leads_to(path, &self.file)) {
            return Ok(());
        }
        Err(ExportError::NotIncluded { file: self.file.clone(), conf: conf.to_owned() })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for path in &self.made {
            if let Err(e) = beside::remove(path) {
                log::warn!(target: "ring", "{} is left behind: err={e}", path.display());
            }
        }
    }
}

/// Whether a path that nginx names leads to the file.
fn leads_to(path: &Path, file: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path == file)
}

/// A path for `include`, which takes one with these characters for a pattern.
fn as_pattern(path: &Path) -> String {
    let path = text::decode(path.as_os_str().as_bytes());
    if !path.contains(['*', '?', '[']) {
        return path;
    }
    path.chars().flat_map(|c| "*?[\\".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// One word of a configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Names beside the file for each of [`ENDS`], where nothing is.
fn free_names(file: &Path) -> [PathBuf; 4] {
    // In a container every run may have the same number: what one has left that
    // was killed is not the next one's to write over and to remove.
    let process = std::process::id();
    let mut number = 0u32;
    loop {
        let tag = if number == 0 { process.to_string() } else { format!("{process}-{number}") };
        // Hidden, so that no `include *` finds them, and in the same folder, so
        // that relative includes lead to the same files.
        let names = ENDS.map(|end| {
            let mut name = OsString::from(".");
            name.push(file.file_name().unwrap_or_default());
            name.push(format!(".{tag}.{end}"));
            file.with_file_name(name)
        });
        if names.iter().all(|name| name.symlink_metadata().is_err()) {
            return names;
        }
        number += 1;
    }
}

/// A word on each file beside it that an export which was killed has left.
/// None is removed: a person's own could be called so.
fn left_behind(file: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let word = |entry: fs::DirEntry| {
        let (path, found) = (entry.path(), entry.file_name());
        let rest = found.to_str()?.strip_prefix(&format!(".{name}."))?;
        let (tag, end) = rest.split_once('.')?;
        let is_ours = tag.split('-').all(|number| number.parse::<u32>().is_ok());
        let (left, file) = (path.display(), file.display());
        match end {
            "before" if is_ours => Some(format!(
                "{left}: an earlier export was killed and has left this, what {file} said before \
                 it; remove it once {file} is as you want it."
            )),
            end if is_ours && ENDS.contains(&end) => {
                Some(format!("{left}: an earlier export was killed and has left this; remove it."))
            }
            _ => None,
        }
    };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(word).collect()
}

/// A word on other names of the file, which keep what it says now.
fn other_names(file: &Path) -> Option<String> {
    let names = fs::metadata(file).map_or(1, |about| about.nlink());
    let others =
        super::report::number(names.checked_sub(1).filter(|others| *others > 0)?, "other name");
    Some(format!("{} has {others} (hard links), where the old text stays.", file.display()))
}
