//! Files beside another one, that are to take its place or guard it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// A change takes milliseconds, an export as long as `nginx -t`.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The path with more at its end.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    PathBuf::from(name)
}

/// Writes a new file with the rights and the owner of `model`, if that is
/// there. Never another one's, nor what a link leads to: where there is
/// anything at `path` this fails. What cannot be written whole goes again.
///
/// The answer says why it could not get the owner, if it could not.
pub(super) fn write_like(
    path: &Path,
    model: &Path,
    bytes: &[u8],
) -> io::Result<(File, Option<io::Error>)> {
    let model = fs::metadata(model).ok();
    // Its rights first: nobody reads who could not read the other one.
    let first = if model.is_some() { 0o600 } else { 0o666 };
    let file = File::options().write(true).create_new(true).mode(first).open(path)?;
    fill(file, model.as_ref(), bytes).inspect_err(|_| {
        if let Err(e) = remove(path) {
            log::warn!(target: "ring", "{} is left behind: err={e}", path.display());
        }
    })
}

fn fill(
    mut file: File,
    model: Option<&Metadata>,
    bytes: &[u8],
) -> io::Result<(File, Option<io::Error>)> {
    let mut no_owner = None;
    if let Some(model) = model {
        let mine = file.metadata()?;
        if mine.gid() != model.gid() {
            no_owner = fchown(&file, None, Some(model.gid())).err();
        }
        if mine.uid() != model.uid() {
            no_owner = fchown(&file, Some(model.uid()), None).err().or(no_owner);
        }
        // Behind the owner, since another one would take bits away.
        file.set_permissions(Permissions::from_mode(model.mode() & 0o7777))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok((file, no_owner))
}

/// Removes it if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Waits until nobody else holds the lock on this file; whether that was in time.
pub(super) fn lock(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(e)) => return Err(e),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_RETRY),
        }
    }
}
