//! A new text beside the file that it is for: shown to nginx, then put into the
//! file's place, in one step.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::export::ExportError;
use super::nginx::{Nginx, NginxError};

/// Where a part of a configuration is included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// Outside of all blocks.
    Top,
    /// In `stream { }`.
    Stream,
}

/// The new text beside the file that it is for. What is beside goes with the
/// value.
pub(super) struct Staged {
    file: PathBuf,
    /// The new text.
    pub(super) new: PathBuf,
    /// What the file said, under another name, while nginx is asked.
    before: PathBuf,
    /// A configuration around it.
    around: PathBuf,
    pid: PathBuf,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

impl Staged {
    pub(super) fn write(file: &Path, text: &str) -> Result<Staged, ExportError> {
        // Hidden, so that no `include *` finds them, and in the same folder,
        // so that relative includes lead to the same files.
        let beside = |end: &str| {
            let mut name = OsString::from(".");
            name.push(file.file_name().unwrap_or_default());
            name.push(format!(".{}.{end}", std::process::id()));
            file.with_file_name(name)
        };
        let (new, before, around) = (beside("new"), beside("before"), beside("check"));
        let (pid, file) = (beside("pid"), file.to_owned());
        let notes = left_behind(&file);
        let mut staged = Staged { file, new, before, around, pid, notes };
        staged.write_new(text).map_err(|err| staged.error("write", &staged.new, err))?;
        Ok(staged)
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

    fn write_new(&mut self, text: &str) -> io::Result<()> {
        let mut new = File::create(&self.new)?;
        // Its rights first: nobody reads who could not read the old one.
        if let Ok(old) = fs::metadata(&self.file) {
            new.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
            let mine = new.metadata()?;
            if (mine.uid(), mine.gid()) != (old.uid(), old.gid())
                && let Err(e) = chown(&self.new, Some(old.uid()), Some(old.gid()))
            {
                self.notes.push(format!("{} now belongs to you: {e}.", self.file.display()));
            }
        }
        new.write_all(text.as_bytes())?;
        new.sync_all()
    }

    /// Whether nginx would take it, with nothing around it.
    pub(super) fn check_alone(&self, nginx: &Nginx, context: Context) -> Result<(), ExportError> {
        let load = nginx.built_with().map_err(|err| self.refused(err))?.load_stream;
        let include = format!("include \"{}\";", self.new.display());
        let include = match context {
            Context::Top => include,
            Context::Stream => format!("stream {{ {include} }}"),
        };
        let pid = self.pid.display();
        let text = format!("{load}pid \"{pid}\";\nerror_log stderr;\nevents {{}}\n{include}\n");
        fs::write(&self.around, text).map_err(|err| self.error("write", &self.around, err))?;
        let refused = nginx.test(&self.around).map_err(|err| self.refused(err));
        refused.map_err(|err| match err {
            ExportError::Refused { file, err: NginxError::Says(said) } => {
                let advice = "it was asked about this file alone; if the file needs what stands around it, name the configuration that includes it with --conf";
                ExportError::Refused { file, err: NginxError::Says(format!("{said}\n{advice}")) }
            }
            other => other,
        })
    }

    pub(super) fn built_in_conf(&self, nginx: &Nginx) -> Result<PathBuf, ExportError> {
        Ok(nginx.built_with().map_err(|err| self.refused(err))?.conf)
    }

    /// The new text takes the file's place.
    pub(super) fn commit(&self) -> Result<(), ExportError> {
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
        let existed = self.file.exists();
        if existed {
            // A link keeps its owner; not every file system has them.
            fs::hard_link(&self.file, &self.before)
                .or_else(|_| fs::copy(&self.file, &self.before).map(drop))
                .map_err(|err| self.error("keep a copy of", &self.file, err))?;
        }
        self.commit()?;
        let Err(refused) = self.check_included(nginx, conf) else { return Ok(()) };
        if existed {
            fs::rename(&self.before, &self.file).map_err(|err| {
                // The only copy: it stays, and is named.
                let before = std::mem::take(&mut self.before);
                self.error("bring back, as it was before,", &before, err)
            })?;
        } else {
            fs::remove_file(&self.file).map_err(|err| self.error("remove", &self.file, err))?;
        }
        Err(refused)
    }

    /// Whether nginx takes `conf` as it is, and the file with it.
    pub(super) fn check_included(&self, nginx: &Nginx, conf: &Path) -> Result<(), ExportError> {
        let files = nginx.files(conf).map_err(|err| self.refused(err))?;
        if files.iter().any(|path| self.is(path)) {
            return Ok(());
        }
        Err(ExportError::NotIncluded { file: self.file.clone(), conf: conf.to_owned() })
    }

    /// Whether a path that nginx names leads to the file.
    fn is(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| path == self.file)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for path in [&self.new, &self.before, &self.around, &self.pid] {
            if path.as_os_str().is_empty() {
                continue;
            }
            match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    log::warn!(target: "ring", "{} is left behind: err={e}", path.display());
                }
                _ => {}
            }
        }
    }
}

/// A word on each copy that an export which was killed has left of the file.
fn left_behind(file: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str()))
    else {
        return Vec::new();
    };
    let is_copy = |entry: &fs::DirEntry| {
        let found = entry.file_name();
        let rest = found.to_str().and_then(|found| found.strip_prefix(&format!(".{name}.")));
        let pid = rest.and_then(|rest| rest.strip_suffix(".before"));
        pid.is_some_and(|pid| pid.parse::<u32>().is_ok())
    };
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let word = |entry: fs::DirEntry| {
        let (copy, file) = (entry.path(), file.display());
        format!(
            "{}: an earlier export was killed and has left this, what {file} said before it; \
             remove it once {file} is as you want it.",
            copy.display()
        )
    };
    entries.filter(is_copy).map(word).collect()
}
