//! The files that an `include` stands for.
//!
//! Source: glob(7), which nginx asks: `*`, `?` and `[…]` in any part of a path.
//! Names are bytes, as in the C locale in which nginx runs.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The paths that fit, sorted as nginx takes them. A plain name is one file,
/// there or not.
///
/// # Errors
/// Where a folder cannot be looked into, or nobody knows what it means.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    if !is_pattern(pattern.as_os_str().as_bytes()) {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let part = component.as_os_str();
        if !matches!(component, Component::Normal(_)) || !is_pattern(part.as_bytes()) {
            let plain = OsString::from_vec(without_backslashes(part.as_bytes()));
            found.iter_mut().for_each(|path| path.push(&plain));
            continue;
        }
        let pieces = pieces(part.as_bytes())?;
        let mut deeper = Vec::new();
        for folder in &found {
            deeper.extend(entries(folder, &pieces)?);
        }
        found = deeper;
    }
    // A part without a pattern behind one with it may lead nowhere.
    found.retain(|path| path.symlink_metadata().is_ok());
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}

/// What of a folder fits.
fn entries(folder: &Path, pieces: &[Piece]) -> Result<Vec<PathBuf>, String> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match fs::read_dir(here) {
        Ok(entries) => entries,
        // To nginx a pattern that fits nothing is nothing.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(format!("{}: {e}", here.display())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| e.to_string())?.file_name();
        let hidden = name.as_bytes().starts_with(b".");
        if (!hidden || pieces.first() == Some(&Piece::Byte(b'.'))) && fits(pieces, name.as_bytes())
        {
            found.push(folder.join(name));
        }
    }
    Ok(found)
}

fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// Each `\x` is an x.
fn without_backslashes(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut bytes) = (Vec::new(), text.iter());
    while let Some(&byte) = bytes.next() {
        let meant = if byte == b'\\' { bytes.next().copied().unwrap_or(byte) } else { byte };
        plain.push(meant);
    }
    plain
}

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// `*`
    Any,
    /// `?`
    One,
    Byte(u8),
    /// `[…]`; from and to, and whether it is one of the others.
    Set(Vec<(u8, u8)>, bool),
}

fn pieces(mut text: &[u8]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        pieces.push(match first {
            b'*' => Piece::Any,
            b'?' => Piece::One,
            b'\\' if !rest.is_empty() => {
                text = &rest[1..];
                Piece::Byte(rest[0])
            }
            b'[' => match set(rest)? {
                Some((set, behind)) => {
                    text = behind;
                    set
                }
                // Never closed: it stands for itself.
                None => Piece::Byte(b'['),
            },
            byte => Piece::Byte(byte),
        });
    }
    Ok(pieces)
}

/// The set whose `[` is before `text`, and what follows its `]`.
fn set(text: &[u8]) -> Result<Option<(Piece, &[u8])>, String> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let (mut rest, mut ranges) = (&text[usize::from(negated)..], Vec::new());
    loop {
        match rest {
            [] => return Ok(None),
            [b']', behind @ ..] if !ranges.is_empty() => {
                return Ok(Some((Piece::Set(ranges, negated), behind)));
            }
            [b'[', b':' | b'.' | b'=', ..] | [b'\\', ..] => {
                return Err("classes and backslashes in [ ] are not understood".to_owned());
            }
            [from, b'-', to, behind @ ..] if *to != b']' => {
                ranges.push((*from, *to));
                rest = behind;
            }
            [byte, behind @ ..] => {
                ranges.push((*byte, *byte));
                rest = behind;
            }
        }
    }
}

fn fits(pieces: &[Piece], name: &[u8]) -> bool {
    // fits[i]: whether the pieces so far fit the first i bytes.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for piece in pieces {
        let mut before = fits[0];
        fits[0] &= *piece == Piece::Any;
        for (i, byte) in name.iter().enumerate() {
            let now = fits[i + 1];
            fits[i + 1] = match piece {
                Piece::Any => now || fits[i],
                Piece::One => before,
                Piece::Byte(known) => before && known == byte,
                Piece::Set(ranges, negated) => {
                    let is_in = ranges.iter().any(|(from, to)| (from..=to).contains(&byte));
                    before && is_in != *negated
                }
            };
            before = now;
        }
    }
    fits[name.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits_in(pattern: &str, name: &str) -> bool {
        fits(&pieces(pattern.as_bytes()).unwrap(), name.as_bytes())
    }

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.conf", "a.conf"),
            ("a?c*", "abc"),
            ("**", ""),
            ("a*b*", "axxb"),
            ("[a-c]?", "b1"),
            ("[!a-c]", "d"),
            ("[]x]", "]"),
            ("[a-]", "-"),
            ("a[", "a["),
            ("\\*", "*"),
        ] {
            assert!(fits_in(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf.bak"),
            ("?", ""),
            ("a*b", "ac"),
            ("ab", "a"),
            ("", "a"),
            ("[!a-c]", "b"),
            ("[a-c]", "d"),
            ("\\*", "a"),
        ] {
            assert!(!fits_in(pattern, name), "{pattern} {name}");
        }
        assert!(pieces(b"[[:alpha:]]").is_err());
    }

    #[test]
    fn any_part_of_a_path_may_be_a_pattern() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["b/x.conf", "a/y.conf", "a/x.conf", "a/.x.conf", "c.d/other", "a b/x.conf"] {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let found = |pattern: &str| -> Vec<String> {
            let found = matching(&dir.path().join(pattern)).unwrap();
            let name =
                |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
            found.iter().map(name).collect()
        };
        assert_eq!(found("?/*.conf"), ["a/x.conf", "a/y.conf", "b/x.conf"]);
        assert_eq!(found("[bc]*/x.conf"), ["b/x.conf"]);
        // As strcmp has it: a blank is before a slash.
        assert_eq!(found("*/x.conf"), ["a b/x.conf", "a/x.conf", "b/x.conf"]);
        assert_eq!(found("a/.*"), ["a/.x.conf"]);
        assert_eq!(found("no/*"), [""; 0]);
        assert_eq!(found("no"), ["no"]);
    }
}
