//! The memory on disk: what it keeps, and what it survives.

use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn target(host: &str, port: u16) -> Target {
    Target { host: host.to_owned(), port, tls: None }
}

fn open(folder: &Path) -> SeenFile {
    SeenFile::new(Some(folder.to_owned()), &target("chat.example", 6000))
}

fn path(folder: &Path) -> PathBuf {
    folder.join("seen-chat.example-6000-1")
}

fn key(mid: impl ToString) -> MessageKey {
    (2, mid.to_string())
}

fn keys(range: std::ops::Range<usize>) -> Vec<MessageKey> {
    range.map(key).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_was_shown_is_known_after_a_restart_whatever_the_mid_holds() {
    let folder = folder();
    let state = folder.path().join("made/on/the/way");
    let mut seen = open(&state);
    assert_eq!(seen.recall(1), (vec![], None));
    let shown =
        vec![key("plain"), key("li\nne \"quoted\" \\ \0 é 你"), (i32::MAX as u32, "x".into())];
    assert_eq!(seen.remember(&shown[..1]), None);
    assert_eq!(seen.remember(&shown[1..]), None);
    assert_eq!(open(&state).recall(1), (shown, None));
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&state.join("seen-chat.example-6000-1")), 0o600);
}

#[test]
fn accounts_and_servers_do_not_mix() {
    let folder = folder();
    let servers =
        [("a", 1), ("a", 2), ("b", 1), ("a-1", 1), ("::1", 1), ("%3a%3a1", 1), ("../a", 1)];
    let mut users = Vec::new();
    for (host, port) in servers {
        for user in [1, 2] {
            let mut seen = SeenFile::new(Some(folder.path().to_owned()), &target(host, port));
            assert_eq!(seen.recall(user), (vec![], None), "{host} {port} {user}");
            seen.remember(&[key(format!("{host} {port} {user}"))]);
            users.push((host, port, user));
        }
    }
    for (host, port, user) in users {
        let mut seen = SeenFile::new(Some(folder.path().to_owned()), &target(host, port));
        assert_eq!(seen.recall(user).0, [key(format!("{host} {port} {user}"))]);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), servers.len() * 2);
}

#[test]
fn a_long_file_is_cut_to_the_newest_while_it_is_written_and_when_it_is_read() {
    let folder = folder();
    let mut seen = open(folder.path());
    seen.recall(1);
    for batch in keys(0..MAX_MESSAGES + 100).chunks(50) {
        assert_eq!(seen.remember(batch), None);
    }
    let kept = open(folder.path()).recall(1).0;
    assert!((10_000..MAX_MESSAGES).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last(), Some(&key(MAX_MESSAGES + 99)));
    let first: usize = kept[0].1.parse().unwrap();
    assert_eq!(kept, keys(first..MAX_MESSAGES + 100));
    assert_eq!(mode(&path(folder.path())), 0o600);

    // As a client of another kind may have left it.
    fs::write(path(folder.path()), lines(&keys(0..MAX_MESSAGES + 5)).unwrap()).unwrap();
    let (kept, warning) = open(folder.path()).recall(1);
    assert_eq!((kept.len(), warning), (REMEMBERED, None));
    assert_eq!(read(&path(folder.path())).unwrap().messages, kept);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left lying about");
}

#[test]
fn a_damaged_file_gives_what_can_be_read_with_one_warning_and_is_mended() {
    let whole = lines(&keys(0..3)).unwrap();
    let random: Vec<u8> =
        (0..50_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (damaged, readable) in [
        (whole[..whole.len() - 3].to_vec(), 2),
        (whole[..whole.len() - 1].to_vec(), 3),
        ([&b"garbage\n[1]\n{}\n[\"a\",2]\n"[..], &whole].concat(), 3),
        ([&b"\xff\xfe\0\0\n"[..], &whole, b"\0\0\0"].concat(), 3),
        (random, 0),
    ] {
        let folder = folder();
        fs::write(path(folder.path()), &damaged).unwrap();
        let mut seen = open(folder.path());
        let (known, warning) = seen.recall(1);
        assert_eq!(known, keys(0..readable));
        assert!(warning.unwrap().contains("was damaged"));
        assert_eq!(seen.remember(&[key("new")]), None);
        let (known, warning) = open(folder.path()).recall(1);
        assert_eq!((known.len(), warning), (readable + 1, None));
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told_once_and_then_left_alone() {
    let folder = folder();
    // A folder in the file's place, a file in the folder's, a loop of links,
    // and a pipe that nobody writes to would all stop a client that insists.
    fs::create_dir(path(folder.path())).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    symlink("loop", folder.path().join("loop")).unwrap();
    let in_the_way = folder.path().to_owned();
    let pipe = folder.path().join("with_pipe");
    fs::create_dir(&pipe).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path(&pipe)).status().unwrap();
    assert!(made.success());
    for folder in [in_the_way.clone(), in_the_way.join("file"), in_the_way.join("loop"), pipe] {
        let mut seen = open(&folder);
        let (known, warning) = seen.recall(1);
        assert_eq!(known, []);
        assert!(warning.unwrap().contains("cannot be used"), "{folder:?}");
        assert_eq!(seen.remember(&[key("x")]), None);
        assert_eq!(seen.recall(1), (vec![], None), "it is told once");
    }
    let mut nowhere = SeenFile::new(None, &target("a", 1));
    assert!(nowhere.recall(1).1.unwrap().contains("--state-dir"));
    assert_eq!(nowhere.remember(&[key("x")]), None);
}

#[test]
fn a_file_that_can_no_longer_be_written_is_told_when_that_happens() {
    let folder = folder();
    let mut seen = open(folder.path());
    assert_eq!(seen.recall(1).1, None);
    fs::remove_file(path(folder.path())).unwrap();
    fs::create_dir(path(folder.path())).unwrap();
    assert!(seen.remember(&[key("x")]).unwrap().contains("cannot be used"));
    assert_eq!(seen.remember(&[key("y")]), None);
}

#[test]
fn two_clients_of_one_account_do_not_tear_each_others_lines() {
    let folder = folder();
    let clients = 4;
    std::thread::scope(|scope| {
        for client in 0..clients {
            let folder = folder.path();
            scope.spawn(move || {
                let mut seen = open(folder);
                seen.recall(1);
                for i in 0..500 {
                    let batch = [key(format!("{client} {i} a")), key(format!("{client} {i} b"))];
                    assert_eq!(seen.remember(&batch), None);
                }
            });
        }
    });
    let (known, warning) = open(folder.path()).recall(1);
    assert_eq!((known.len(), warning), (clients * 1_000, None));
}

#[test]
fn an_endless_file_is_read_from_its_end_only() {
    let folder = folder();
    let file = File::create(path(folder.path())).unwrap();
    file.set_len(MAX_READ_BYTES * 1_000).unwrap();
    append(&path(folder.path()), &[key("0")]).unwrap();
    // The first line is what the hole before it makes of it.
    append(&path(folder.path()), &keys(1..3)).unwrap();
    let (known, warning) = open(folder.path()).recall(1);
    assert_eq!(known, keys(1..3));
    assert!(warning.is_some());
}
