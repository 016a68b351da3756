use super::*;
use crate::ring::ServerName;
use crate::ring::upstream::Server;

fn server(port: u16) -> Server {
    Server::new(ServerName::new("127.0.0.1", &port.to_string()).unwrap(), 160)
}

fn add(file: &mut StateFile, port: u16) {
    let added = file.change(|state| {
        state.upstream.servers.push(server(port));
        Ok::<(), StateError>(())
    });
    added.unwrap();
}

fn new_file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data").join("ring.json");
    (dir, path)
}

#[test]
fn what_was_changed_is_there_in_the_next_run() {
    let (_dir, path) = new_file();
    let mut first = StateFile::at(path.clone());
    assert_eq!(first.read().unwrap(), &State::default());
    assert!(!path.exists(), "reading makes no file");
    add(&mut first, 6000);
    assert_eq!(StateFile::at(path).read().unwrap().upstream.servers, [server(6000)]);
}

#[test]
fn two_runs_at_once_do_not_lose_each_others_changes() {
    let (_dir, path) = new_file();
    std::thread::scope(|scope| {
        for run in 0..4u16 {
            let path = &path;
            scope.spawn(move || {
                let mut file = StateFile::at(path.clone());
                (0..10).for_each(|i| add(&mut file, 6000 + 10 * run + i));
            });
        }
    });
    let mut file = StateFile::at(path);
    let mut servers = file.read().unwrap().upstream.servers.clone();
    servers.sort_by(|a, b| a.server.cmp(&b.server));
    assert_eq!(servers, (6000..6040).map(server).collect::<Vec<_>>());
}

#[test]
fn a_change_of_another_run_is_seen_before_ones_own() {
    let (_dir, path) = new_file();
    let (mut one, mut other) = (StateFile::at(path.clone()), StateFile::at(path));
    add(&mut one, 6000);
    let before = other.generation();
    assert_eq!(other.read().unwrap().upstream.servers.len(), 1);
    assert_ne!(other.generation(), before);
    add(&mut other, 6002);
    assert_eq!(one.read().unwrap().upstream.servers.len(), 2);
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let (_dir, path) = new_file();
    let mut file = StateFile::at(path.clone());
    add(&mut file, 6000);
    let before = fs::read(&path).unwrap();
    let failed = file.change(|state| {
        state.upstream.servers.clear();
        Err::<(), StateError>(StateError::Busy { path: PathBuf::new() })
    });
    assert!(failed.is_err());
    assert_eq!(file.read().unwrap().upstream.servers.len(), 1);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn garbage_is_named_and_left_as_it_is() {
    let (_dir, path) = new_file();
    fs::create_dir(path.parent().unwrap()).unwrap();
    let servers = |server: &str| {
        format!(r#"{{"version":1,"upstream":{{"name":"u","key":"addr","servers":[{server}]}}}}"#)
    };
    let twice = r#"{"server":"a:1","points":1}"#;
    for garbage in [
        String::new(),
        "{".to_owned(),
        "\0\u{ff}".to_owned(),
        "[1]".to_owned(),
        r#"{"version":1}"#.to_owned(),
        r#"{"version":1,"upstream":{},"more":1}"#.to_owned(),
        servers(r#"{"server":"a:1","points":0}"#),
        servers(r#"{"server":"a:1","points":4000000000}"#),
        servers(r#"{"server":"a:1; } evil","points":160}"#),
        servers(r#"{"server":"a:1","points":160,"fail_timeout":"1s; }"}"#),
        servers(&format!("{twice},{twice}")),
    ] {
        fs::write(&path, &garbage).unwrap();
        let mut file = StateFile::at(path.clone());
        let read = file.read().map(|_| ()).unwrap_err();
        assert!(matches!(read, StateError::Garbage { .. }), "{garbage}: {read}");
        let changed = file.change(|_| Ok::<(), StateError>(()));
        assert!(changed.is_err(), "{garbage}");
        assert_eq!(fs::read(&path).unwrap(), garbage.as_bytes());
    }
    fs::write(&path, r#"{"version":2,"whatever":1}"#).unwrap();
    let newer = StateFile::at(path).read().map(|_| ()).unwrap_err();
    assert!(matches!(newer, StateError::Newer { version: 2, .. }), "{newer}");
}
