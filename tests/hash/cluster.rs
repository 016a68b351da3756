//! A whole cluster by consistent hash, as `scripts/cluster.sh` brings it up.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::support::client::TestClient;
use crate::support::door::{Address, Door, Person};
use crate::support::process;
use crate::support::server::{ServerPlan, TestServer};
use crate::support::services;
use crate::support::wait::{SOON, eventually};
use crate::tool::{Run, Tool};
use crate::upstreams::sources;

/// So many pairs of people chat …
const PAIRS: usize = 8;
/// … and say so much before a change and after it.
const TEXTS: usize = 20;

/// A checkout of its own, with the programs under test in bin/, and the cluster
/// that its `cluster.sh` runs in run/.
struct Cluster {
    root: TempDir,
    ports: [u16; 5],
    /// Takes the cluster down once nobody holds its input open: when this value
    /// goes, or this process, in whatever way.
    guard: Child,
}

impl Cluster {
    /// Two servers behind nginx.
    #[track_caller]
    fn up() -> Cluster {
        let root = services::new_dir();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["scripts", "nginx"] {
            symlink(repository.join(folder), root.path().join(folder)).unwrap();
        }
        fs::create_dir(root.path().join("bin")).unwrap();
        for (name, program) in [
            ("ChatServer", env!("CARGO_BIN_EXE_ChatServer")),
            ("ChatClient", env!("CARGO_BIN_EXE_ChatClient")),
            ("ConsistentHash", env!("CARGO_BIN_EXE_ConsistentHash")),
        ] {
            symlink(program, root.path().join("bin").join(name)).unwrap();
        }
        let script = root.path().join("scripts/cluster.sh");
        let mut guard = Command::new("sh");
        guard.args(["-c", "cat >/dev/null; exec \"$0\" down --purge"]).arg(script);
        // Ctrl+C ends the tests, and not who cleans up after them.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().unwrap();
        let mut cluster = Cluster { root, ports: free_ports(), guard };
        loop {
            let [first, second, nginx, mariadb, redis] = cluster.ports.map(|port| port.to_string());
            let servers = format!("{first},{second}");
            let options = ["--balance", "hash", "--servers", &servers, "--port", &nginx];
            let services = ["--mariadb-port", &mariadb, "--redis-port", &redis];
            let run = cluster.sh(&[&["up"], &options[..], &services[..]].concat());
            if run.code == Some(0) {
                return cluster;
            }
            // Somebody may have taken a port meanwhile: then others.
            assert!(run.err.contains("is in use"), "{run:?}");
            cluster.sh(&["down", "--purge"]);
            cluster.ports = free_ports();
        }
    }

    /// `cluster.sh` with these words.
    fn sh(&self, words: &[&str]) -> Run {
        self.shell("exec ./scripts/cluster.sh \"$@\"", words)
    }

    /// A line of a shell, as if typed in the checkout.
    fn shell(&self, line: &str, words: &[&str]) -> Run {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CHAT_") || name.starts_with("CLUSTER_") {
                command.env_remove(&*name);
            }
        }
        command.args(["-c", line, "bash"]).args(words).current_dir(self.root.path());
        // The servers get it: these people talk without a pause.
        command.env("CHAT_MESSAGE_RATE", "0").stdin(Stdio::null());
        Run::of(command.output().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// All that runs, by what lies in the folder.
    fn processes(&self) -> Vec<u32> {
        let folders = fs::read_dir(self.path("run")).unwrap();
        let pids = folders.filter_map(|f| fs::read_to_string(f.unwrap().path().join("pid")).ok());
        pids.map(|pid| pid.trim().parse().unwrap()).collect()
    }

    fn nginx(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[2]).into()
    }

    /// One more ChatServer of this cluster, of which nginx knows nothing.
    #[track_caller]
    fn another_server(&self) -> TestServer {
        let [_, _, _, mariadb, redis] = self.ports;
        ServerPlan::new()
            .flag("--database", format!("mysql://root@127.0.0.1:{mariadb}/chat"))
            .flag("--redis", format!("redis://127.0.0.1:{redis}"))
            .flag("--message-rate", 0)
            .start()
    }

    /// Somebody who comes in through nginx from this address.
    #[track_caller]
    fn login(&self, person: &Person, from: Ipv4Addr) -> TestClient {
        let mut client = TestClient::connect_from(from.into(), self.nginx());
        client.log_in(person).done();
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        if let Err(e) = self.guard.wait() {
            eprintln!("the cluster in {} may be left behind: {e}", self.root.path().display());
        }
    }
}

/// Ports where nobody listens, from below those that the kernel gives to
/// outgoing connections and to "port 0".
fn free_ports() -> [u16; 5] {
    let begin = RandomState::new().hash_one("ports") % 12_000;
    let candidates = (0..).map(|i| u16::try_from(20_000 + (begin + i * 7) % 12_000).unwrap());
    // Held until there are five, so that they differ.
    let listeners: Vec<TcpListener> = candidates
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(5)
        .collect();
    [0, 1, 2, 3, 4].map(|i| listeners[i].local_addr().unwrap().port())
}

/// Two people who chat until they are told to stop; both connections then.
fn chat_on(mut pair: [TestClient; 2], said: &AtomicUsize, stop: &AtomicBool) -> [TestClient; 2] {
    while !stop.load(Ordering::SeqCst) {
        let text = format!("{} of pair {}", said.load(Ordering::SeqCst), pair[0].local_port());
        let [speaker, listener] = &mut pair;
        assert_eq!(speaker.tell(listener, &text), "delivered");
        assert_eq!(listener.next_text(), text);
        pair.reverse();
        said.fetch_add(1, Ordering::SeqCst);
    }
    pair
}

#[test]
fn a_cluster_by_hash_gets_a_third_server_under_load_and_nobody_is_dropped() {
    let cluster = Cluster::up();
    let conf = cluster.path("run/nginx.conf").display().to_string();
    let tool = Tool::new();
    tool.answer(&format!("import {conf}"));
    let get = |source: Ipv4Addr| tool.answer(&format!("get {source} 1")).trim_end().to_owned();

    // Each pair is of two servers, since that is how the hash has it.
    let [first, second] = [0, 1].map(|i| format!("127.0.0.1:{}", cluster.ports[i]));
    let (here, there): (Vec<Ipv4Addr>, Vec<Ipv4Addr>) =
        sources(80).into_iter().partition(|source| get(*source) == first);
    assert!(there.iter().all(|source| get(*source) == second));
    let door = Address(cluster.nginx());
    let enter = |from: Ipv4Addr| cluster.login(&door.register(&format!("from {from}")), from);
    let pairs: Vec<[TestClient; 2]> =
        here.iter().zip(&there).take(PAIRS).map(|(a, b)| [enter(*a), enter(*b)]).collect();
    assert_eq!(pairs.len(), PAIRS);

    let counts: Vec<AtomicUsize> = pairs.iter().map(|_| AtomicUsize::new(0)).collect();
    let stop = AtomicBool::new(false);
    let all_say = |texts: usize| {
        let goal: Vec<usize> = counts.iter().map(|c| c.load(Ordering::SeqCst) + texts).collect();
        eventually("every pair chats", 2 * SOON, || {
            counts.iter().zip(&goal).all(|(count, goal)| count.load(Ordering::SeqCst) >= *goal)
        });
    };
    thread::scope(|scope| {
        let chatting: Vec<_> = pairs
            .into_iter()
            .zip(&counts)
            .map(|(pair, said)| scope.spawn(|| chat_on(pair, said, &stop)))
            .collect();
        all_say(TEXTS);
        let third = cluster.another_server();
        tool.answer(&format!("add 127.0.0.1 {} 160", third.port()));
        let said = tool.answer(&format!("export {conf} --reload"));
        assert!(said.contains("has 3 servers now"), "{said}");
        // Once more, to wait until no worker of before takes connections.
        let reload = cluster.shell("./scripts/services.sh reload run/nginx", &[]);
        assert_eq!(reload.code, Some(0), "{reload:?}");
        // Whom the new ring sends there gets there, and is heard by the others.
        let theirs = format!("127.0.0.1:{}", third.port());
        let newcomer = sources(400).into_iter().skip(80).find(|s| get(*s) == theirs).unwrap();
        let person = door.register("newcomer");
        let mut newcomer = cluster.login(&person, newcomer);
        all_say(TEXTS);
        stop.store(true, Ordering::SeqCst);
        let mut stayed: Vec<TestClient> =
            chatting.into_iter().flat_map(|pair| pair.join().unwrap()).collect();
        for (number, old) in stayed.iter_mut().enumerate() {
            assert_eq!(newcomer.tell(old, &format!("hello {number}")), "delivered");
            assert_eq!(old.next_text(), format!("hello {number}"));
        }
        // It was the third server's: it goes with that, and nobody else does.
        drop(third);
        newcomer.expect_closed();
        assert!(stayed.iter_mut().all(TestClient::is_open));
    });
}

#[test]
fn a_cluster_by_hash_keeps_what_was_exported_and_goes_down_as_a_whole() {
    let cluster = Cluster::up();
    // What `up` says can be typed as it stands.
    let again = cluster.sh(&["up"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let (_, hint) = again.out.split_once("Which server an address gets:\n").unwrap();
    let said = cluster.shell(hint.trim(), &[]);
    let asked = said.out.lines().last().unwrap_or_default().to_owned();
    let servers = [0, 1].map(|i| format!("127.0.0.1:{}", cluster.ports[i]));
    assert!(servers.contains(&asked), "{said:?}");

    // A third one stays where it is until `up` is called with other servers.
    let conf = cluster.path("run/nginx.conf");
    let export = "set -e; ConsistentHash() { ./bin/ConsistentHash --state ring.json \"$@\"; }
        ConsistentHash import run/nginx.conf; ConsistentHash add 127.0.0.1 1 160
        ConsistentHash export run/nginx.conf --reload";
    let run = cluster.shell(export, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let exported = fs::read_to_string(&conf).unwrap();
    assert!(exported.contains("server 127.0.0.1:1 "), "{exported}");
    assert_eq!(cluster.sh(&["up"]).code, Some(0));
    assert_eq!(fs::read_to_string(&conf).unwrap(), exported);
    let status = cluster.sh(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");

    let processes = cluster.processes();
    assert_eq!(processes.len(), 5, "two servers, nginx, MariaDB, Redis");
    assert!(processes.iter().all(|pid| process::runs(*pid)));
    assert_eq!(cluster.sh(&["down"]).code, Some(0));
    assert!(!processes.iter().any(|pid| process::runs(*pid)));
    assert_eq!(cluster.sh(&["status"]).code, Some(1));
    assert_eq!(cluster.sh(&["down", "--purge"]).code, Some(0));
    assert!(!cluster.path("run").exists());
}
