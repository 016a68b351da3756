//! Rule 6 and the rest of what an acceptor does.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::support::{Client, Rig, SOON, Script};
use crate::net::{AcceptTurn, Acceptor, ReactorHandle};

/// A listener, its acceptor and a loop for them that the test turns by hand.
struct Door<M> {
    acceptor: Acceptor<M>,
    poll: Poll,
    events: Events,
    address: std::net::SocketAddr,
}

impl<M> Door<M> {
    fn open(handles: Vec<ReactorHandle<M>>) -> Self {
        let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut acceptor = Acceptor::new(listener, handles);
        let poll = Poll::new().unwrap();
        acceptor.register(poll.registry(), Token(5)).unwrap();
        Self { acceptor, poll, events: Events::with_capacity(8), address }
    }

    fn knock(&self) -> Client {
        Client::new(std::net::TcpStream::connect(self.address).unwrap())
    }

    /// Waits for the listener's event.
    fn wait(&mut self) {
        self.poll.poll(&mut self.events, Some(SOON)).unwrap();
        assert!(self.events.iter().any(|event| event.token() == Token(5)));
    }
}

#[test]
fn connections_are_dealt_in_turn() {
    let rigs: Vec<Rig> = (0..3).map(|_| Rig::start(Script::echo())).collect();
    let mut door = Door::open(rigs.iter().map(|rig| rig.handle.clone()).collect());
    let mut clients: Vec<Client> = (0..9).map(|_| door.knock()).collect();
    door.wait();
    assert_eq!(door.acceptor.on_ready(Instant::now()), AcceptTurn::Done);
    for client in &mut clients {
        client.send(b"hello");
        assert_eq!(client.receive(), b"hello");
    }
    for rig in &rigs {
        assert_eq!(rig.run(|io| io.connections().len()), 3);
    }
}

#[test]
fn a_reactor_that_has_ended_is_passed_over() {
    let mut dead = Rig::start(Script::echo());
    let alive = Rig::start(Script::echo());
    dead.handle.shutdown(Instant::now());
    dead.join();
    let mut door = Door::open(vec![dead.handle.clone(), alive.handle.clone()]);
    let mut clients: Vec<Client> = (0..4).map(|_| door.knock()).collect();
    door.wait();
    assert_eq!(door.acceptor.on_ready(Instant::now()), AcceptTurn::Done);
    for client in &mut clients {
        client.send(b"hello");
        assert_eq!(client.receive(), b"hello");
    }
}

#[test]
fn a_crowd_is_accepted_within_a_budget_per_turn() {
    let rig = Rig::start(Script::echo());
    let mut door = Door::open(vec![rig.handle.clone()]);
    let clients: Vec<Client> = (0..100).map(|_| door.knock()).collect();
    door.wait();
    // The event will not come again, so the acceptor asks for another turn.
    assert_eq!(door.acceptor.on_ready(Instant::now()), AcceptTurn::Again);
    assert_eq!(door.acceptor.on_ready(Instant::now()), AcceptTurn::Done);
    assert_eq!(rig.run(|io| io.connections().len()), clients.len());
}

#[test]
fn a_stopped_acceptor_refuses_everybody() {
    let rig = Rig::start(Script::echo());
    let mut door = Door::open(vec![rig.handle.clone()]);
    door.acceptor.stop();
    assert!(std::net::TcpStream::connect(door.address).is_err());
    assert_eq!(door.acceptor.on_ready(Instant::now()), AcceptTurn::Done);
    assert_eq!(door.acceptor.next_deadline(), None);
}

const CHILD: &str = "CLUSTER_CHAT_TEST_IS_THE_EMFILE_CHILD";

#[test]
fn emfile_stops_accepting_refuses_the_one_in_hand_and_recovers() {
    if std::env::var_os(CHILD).is_some() {
        return without_descriptors();
    }
    // The limit is the process's, so a process of its own has it.
    let name = "net::tests::acceptor::emfile_stops_accepting_refuses_the_one_in_hand_and_recovers";
    let child = Command::new("sh")
        .arg("-c")
        .arg("ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture --test-threads 1")
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned();
    let complained = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(child.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "the child ran nothing: {said}");
}

/// Counts what the acceptor says.
struct Ear;

static HEARD: AtomicUsize = AtomicUsize::new(0);

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        if record.target() == "acceptor" {
            HEARD.fetch_add(1, Ordering::SeqCst);
        }
    }
    fn flush(&self) {}
}

fn without_descriptors() {
    log::set_logger(&Ear).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let rig = Rig::start(Script::echo());
    let mut door = Door::open(vec![rig.handle.clone()]);
    let mut clients: Vec<Client> = (0..3).map(|_| door.knock()).collect();
    let mut hogs = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hogs.push(file);
    }

    // The one in hand is refused, the others wait, and it is said once.
    door.wait();
    let mut now = Instant::now();
    assert_eq!(door.acceptor.on_ready(now), AcceptTurn::Done);
    assert!(clients.remove(0).is_cut_off());
    assert_eq!(HEARD.load(Ordering::SeqCst), 1);
    // The client's own descriptor is free now: not what is tested here.
    hogs.push(File::open("/dev/null").unwrap());

    // It rests until its timer, whatever the listener says.
    let first = door.acceptor.next_deadline().unwrap();
    let first_rest = first - now;
    assert!(first_rest > Duration::ZERO && first_rest < Duration::from_secs(1));
    assert_eq!(door.acceptor.on_ready(now), AcceptTurn::Done);
    assert_eq!(door.acceptor.on_timer(now), AcceptTurn::Done);
    assert_eq!(door.acceptor.next_deadline(), Some(first));

    // Still nothing free: the next one is refused, it rests longer, says nothing.
    now = first;
    assert_eq!(door.acceptor.on_timer(now), AcceptTurn::Done);
    assert!(clients.remove(0).is_cut_off());
    let second = door.acceptor.next_deadline().unwrap();
    assert!(second - now > first_rest);
    assert_eq!(HEARD.load(Ordering::SeqCst), 1);

    // Descriptors come back: the one that waited is served, and the episode ends.
    hogs.clear();
    assert_eq!(door.acceptor.on_timer(second), AcceptTurn::Done);
    assert_eq!(door.acceptor.next_deadline(), None);
    let mut patient = clients.remove(0);
    patient.send(b"at last");
    assert_eq!(patient.receive(), b"at last");
    assert_eq!(HEARD.load(Ordering::SeqCst), 2);

    // The spare is back too: the next episode can refuse again.
    let mut next = door.knock();
    while let Ok(file) = File::open("/dev/null") {
        hogs.push(file);
    }
    assert_eq!(door.acceptor.on_ready(second), AcceptTurn::Done);
    assert!(next.is_cut_off());
    drop(hogs);
}
