//! What a client has shown it shows once, in later runs too.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::piped::{DEADLINE, Piped, script};
use crate::support::client::TestClient;
use crate::support::door::Door;
use crate::support::server::TestServer;
use crate::support::wait::{eventually, eventually_some};

/// Ann, who has an account; Bob, who repeats what he has said; and the folder
/// in which Ann's clients remember.
struct Scene {
    server: TestServer,
    bob: TestClient,
    state_dir: TempDir,
}

const ANN: i64 = 1;

impl Scene {
    fn begin() -> Scene {
        let server = TestServer::start();
        script(server.port(), "2\nann\npw of ann\n3");
        let bob = server.enter("bob");
        Scene { server, bob, state_dir: tempfile::tempdir().unwrap() }
    }

    /// Starts a client of Ann's, logged in.
    fn ann(&self) -> Piped {
        self.ann_in(self.state_dir.path())
    }

    fn ann_in(&self, state_dir: &Path) -> Piped {
        let mut ann = self.ann_at_menu(state_dir);
        ann.go_in("ann");
        ann
    }

    /// As [`Scene::ann`], once the server has noticed that the former client
    /// is gone.
    fn ann_after_a_crash(&self) -> Piped {
        eventually_some("Ann is let in", DEADLINE, || {
            let mut ann = self.ann_at_menu(self.state_dir.path());
            ann.send("1\nann\npw of ann");
            let first_line = ann.wait_for("");
            first_line.starts_with("Welcome, ann").then_some(ann)
        })
    }

    fn ann_at_menu(&self, state_dir: &Path) -> Piped {
        Piped::spawn_in(state_dir, &["127.0.0.1", &self.server.port().to_string()])
    }

    /// Bob says this under this name.
    fn say(&mut self, msg: &str, mid: &str) {
        let chat = json!({"msgid": 6, "to": ANN, "msg": msg, "mid": mid});
        self.bob.request(chat).done();
    }

    /// Bob repeats that, and says something else; Ann sees only that, and what
    /// she has seen of the first so many times.
    fn repeat_unseen(&mut self, ann: &mut Piped, msg: &str, mid: &str, before: usize) {
        self.say(msg, mid);
        let next = format!("after {msg}");
        self.say(&next, &format!("after {mid}"));
        ann.wait_for(&format!("(bob): {next}"));
        let shown = ann.stdout.iter().filter(|line| line.ends_with(&format!("(bob): {msg}")));
        assert_eq!(shown.count(), before, "{:#?}", ann.stdout);
    }

    /// The one file in the folder.
    fn file(&self) -> PathBuf {
        let mut files = fs::read_dir(self.state_dir.path()).unwrap();
        let file = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        file
    }
}

#[test]
fn a_message_that_is_repeated_after_a_restart_is_not_shown_again() {
    let mut scene = Scene::begin();
    let mut ann = scene.ann();
    scene.say("hello", "m1");
    ann.wait_for("(bob): hello");
    assert_eq!(ann.finish().code, Some(0));
    let mut ann = scene.ann();
    scene.repeat_unseen(&mut ann, "hello", "m1", 0);
    let ann = ann.finish();
    assert_eq!((ann.code, ann.err()), (Some(0), String::new()));
}

#[test]
fn a_client_that_was_killed_remembers_what_it_has_shown() {
    let mut scene = Scene::begin();
    for round in 0..5 {
        let mut ann = scene.ann_after_a_crash();
        let (msg, mid) = (format!("hello {round}"), format!("m{round}"));
        scene.say(&msg, &mid);
        ann.wait_for(&format!("(bob): {msg}"));
        let remembered = || fs::read_to_string(scene.file()).unwrap().contains(&mid);
        eventually("what is shown is remembered", DEADLINE, remembered);
        // Perhaps before it was confirmed: then it comes again.
        ann.kill();
        let mut ann = scene.ann_after_a_crash();
        scene.repeat_unseen(&mut ann, &msg, &mid, 0);
        assert_eq!(ann.finish().code, Some(0));
    }
}

#[test]
fn a_damaged_memory_is_told_once_and_what_can_be_read_of_it_still_counts() {
    let mut scene = Scene::begin();
    let mut ann = scene.ann();
    scene.say("hello", "m1");
    ann.wait_for("(bob): hello");
    assert_eq!(ann.finish().code, Some(0));
    let mut bytes = fs::read(scene.file()).unwrap();
    bytes.extend_from_slice(b"\xff\0garbage\n[2,\"cut");
    fs::write(scene.file(), bytes).unwrap();
    let mut ann = scene.ann();
    scene.repeat_unseen(&mut ann, "hello", "m1", 0);
    let ann = ann.finish();
    assert_eq!((ann.code, ann.stderr.len()), (Some(0), 1), "{}", ann.err());
    assert!(ann.err().contains("was damaged"), "{}", ann.err());
    assert_eq!(scene.ann().finish().err(), "");
}

#[test]
fn where_nothing_can_be_written_messages_come_all_the_same_and_once_while_the_client_runs() {
    let mut scene = Scene::begin();
    // A file stands where the folder should be.
    let in_the_way = scene.state_dir.path().join("file");
    fs::write(&in_the_way, "").unwrap();
    let mut ann = scene.ann_in(&in_the_way);
    scene.say("hello", "m1");
    ann.wait_for("(bob): hello");
    scene.repeat_unseen(&mut ann, "hello", "m1", 1);
    let ann = ann.finish();
    assert_eq!((ann.code, ann.stderr.len()), (Some(0), 1), "{}", ann.err());
    assert!(ann.err().contains("cannot be used"), "{}", ann.err());
}

#[test]
fn without_a_state_dir_the_memory_is_in_the_home_folder() {
    let scene = Scene::begin();
    let home = tempfile::tempdir().unwrap();
    let finished = scene.ann_in(&home.path().join("named")).finish();
    assert_eq!(finished.err(), "");
    assert!(home.path().join("named").is_dir());
    for (variable, below) in [("XDG_STATE_HOME", ""), ("HOME", ".local/state")] {
        let mut ann = Piped::spawn_with(|command| {
            command.args(["127.0.0.1", &scene.server.port().to_string()]);
            command.env_remove("CHAT_STATE_DIR").env_remove("XDG_STATE_HOME");
            command.env(variable, home.path());
        });
        ann.go_in("ann");
        assert_eq!(ann.finish().err(), "");
        let folder = home.path().join(below).join("cluster-chat");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "{variable}");
    }
}
