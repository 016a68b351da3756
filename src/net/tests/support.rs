//! A reactor on a thread of its own, real sockets on loopback, and a handler
//! that writes down what happens to it and does what a test says.

use std::fmt::Debug;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::net::{
    CloseReason, CodecError, ConnId, Flow, Handler, Io, Reactor, ReactorConfig, ReactorHandle,
};

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(20);

/// What happened to the handler.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Open(ConnId),
    Frame(ConnId, Vec<u8>),
    Violation(ConnId, CodecError),
    Written(ConnId, u64),
    HalfClose(ConnId),
    Close(ConnId, CloseReason),
    Timer(u64),
    TurnEnd,
    Shutdown,
}

/// A test's errand on the reactor's thread.
pub type Errand = Box<dyn FnOnce(&mut Io<'_>) + Send>;
type OnFrame = Box<dyn FnMut(&mut Io<'_>, ConnId, &[u8]) -> Flow + Send>;

/// What the handler does besides writing down.
pub struct Script {
    pub on_frame: OnFrame,
    /// What a half-closed connection is finished for; `None`: left open.
    pub finish_half_closed: bool,
    /// Sent back to who breaks the framing.
    pub answer_to_violation: &'static [u8],
    /// Whether a shutdown finishes every connection at once.
    pub finish_at_shutdown: bool,
    /// Frames that `on_written` sends to whoever took something, one a time.
    pub backlog: Vec<Vec<u8>>,
}

impl Script {
    /// Takes frames and answers nothing.
    pub fn collect() -> Self {
        Self::frames(|_, _, _| Flow::Continue)
    }

    /// Sends every frame back.
    pub fn echo() -> Self {
        Self::frames(|io, conn, payload| {
            io.send(conn, payload);
            Flow::Continue
        })
    }

    pub fn frames(
        on_frame: impl FnMut(&mut Io<'_>, ConnId, &[u8]) -> Flow + Send + 'static,
    ) -> Self {
        Self {
            on_frame: Box::new(on_frame),
            finish_half_closed: true,
            answer_to_violation: b"too bad",
            finish_at_shutdown: true,
            backlog: Vec::new(),
        }
    }
}

/// Writes down and does what its script says.
pub struct TestHandler {
    script: Script,
    seen: Sender<Seen>,
}

impl TestHandler {
    pub fn new(script: Script) -> (Self, Receiver<Seen>) {
        let (sender, seen) = unbounded();
        (Self { script, seen: sender }, seen)
    }

    fn note(&self, seen: Seen) {
        // The test may have seen enough and gone.
        drop(self.seen.send(seen));
    }
}

impl Handler for TestHandler {
    type Message = Errand;

    fn on_open(&mut self, io: &mut Io<'_>, conn: ConnId, peer: SocketAddr) {
        assert_eq!(io.peer(conn), Some(peer));
        self.note(Seen::Open(conn));
    }

    fn on_frame(&mut self, io: &mut Io<'_>, conn: ConnId, payload: &[u8]) -> Flow {
        self.note(Seen::Frame(conn, payload.to_vec()));
        (self.script.on_frame)(io, conn, payload)
    }

    fn on_violation(&mut self, io: &mut Io<'_>, conn: ConnId, error: &CodecError) {
        self.note(Seen::Violation(conn, error.clone()));
        io.send(conn, self.script.answer_to_violation);
    }

    fn on_written(&mut self, io: &mut Io<'_>, conn: ConnId, offset: u64) {
        self.note(Seen::Written(conn, offset));
        if let Some(frame) = self.script.backlog.pop() {
            io.send(conn, &frame);
        }
    }

    fn on_half_close(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.note(Seen::HalfClose(conn));
        if self.script.finish_half_closed {
            io.finish(conn, CloseReason::PeerClosed);
        }
    }

    fn on_close(&mut self, io: &mut Io<'_>, conn: ConnId, reason: &CloseReason) {
        assert_eq!(io.send(conn, b"too late"), None);
        assert_eq!(io.peer(conn), None);
        self.note(Seen::Close(conn, reason.clone()));
    }

    fn on_message(&mut self, io: &mut Io<'_>, errand: Errand) {
        errand(io);
    }

    fn on_timer(&mut self, _: &mut Io<'_>, key: u64) {
        self.note(Seen::Timer(key));
    }

    fn on_turn_end(&mut self, _: &mut Io<'_>) {
        self.note(Seen::TurnEnd);
    }

    fn on_shutdown(&mut self, io: &mut Io<'_>) {
        self.note(Seen::Shutdown);
        if self.script.finish_at_shutdown {
            for conn in io.connections() {
                io.finish(conn, CloseReason::Shutdown);
            }
        }
    }
}

/// One reactor that runs, and what its handler has seen.
pub struct Rig {
    pub handle: ReactorHandle<Errand>,
    pub seen: Receiver<Seen>,
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    pub fn start(script: Script) -> Self {
        Self::with(script, |_| {})
    }

    pub fn with(script: Script, configure: impl FnOnce(&mut ReactorConfig)) -> Self {
        let mut config = ReactorConfig::default();
        configure(&mut config);
        let (reactor, handle) = Reactor::<TestHandler>::new(7, config).unwrap();
        let (handler, seen) = TestHandler::new(script);
        let thread = std::thread::spawn(move || drop(reactor.run(handler).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { handle, seen, listener, thread: Some(thread) }
    }

    /// A connection, open on both sides.
    pub fn connect(&self) -> (Client, ConnId) {
        let client = self.connect_raw();
        let conn = self.opened();
        (client, conn)
    }

    pub fn opened(&self) -> ConnId {
        self.wait_for(|seen| match seen {
            Seen::Open(conn) => Some(conn),
            _ => None,
        })
    }

    /// A connection that the reactor is told of, whenever it looks.
    pub fn connect_raw(&self) -> Client {
        let stream = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (accepted, peer) = self.listener.accept().unwrap();
        accepted.set_nonblocking(true).unwrap();
        self.handle.register(mio::net::TcpStream::from_std(accepted), peer).unwrap();
        Client::new(stream)
    }

    /// Runs something on the reactor's thread and gives back what it returns.
    pub fn run<T: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Io<'_>) -> T + Send + 'static,
    ) -> T {
        let (sender, result) = bounded(1);
        self.handle.post(Box::new(move |io| sender.send(errand(io)).unwrap())).unwrap();
        result.recv_timeout(SOON).expect("the reactor runs errands")
    }

    /// Keeps the reactor busy until the result is dropped, so that what comes
    /// meanwhile comes in one turn.
    pub fn hold(&self) -> Hold {
        let (entered, is_held) = bounded::<()>(1);
        let (release, released) = bounded::<()>(0);
        let errand = move |_: &mut Io<'_>| {
            entered.send(()).unwrap();
            assert!(released.recv_timeout(SOON).is_err());
        };
        self.handle.post(Box::new(errand)).unwrap();
        is_held.recv_timeout(SOON).unwrap();
        Hold(release)
    }

    /// The first thing seen for which `pick` gives something.
    pub fn wait_for<T: Debug>(&self, mut pick: impl FnMut(Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut others = Vec::new();
        loop {
            let Ok(seen) = self.seen.recv_deadline(deadline) else {
                panic!("waited in vain; seen instead: {others:?}")
            };
            if let Some(found) = pick(seen.clone()) {
                return found;
            }
            if seen != Seen::TurnEnd {
                others.push(seen);
            }
        }
    }

    pub fn frame(&self) -> Vec<u8> {
        self.wait_for(|seen| match seen {
            Seen::Frame(_, payload) => Some(payload),
            _ => None,
        })
    }

    pub fn closed(&self, id: ConnId) -> CloseReason {
        self.wait_for(|seen| match seen {
            Seen::Close(conn, reason) if conn == id => Some(reason),
            _ => None,
        })
    }

    pub fn half_closed(&self, id: ConnId) {
        self.wait_for(|seen| (seen == Seen::HalfClose(id)).then_some(()));
    }

    /// The socket has taken everything up to `offset`.
    pub fn written(&self, id: ConnId, offset: u64) {
        self.wait_for(|seen| match seen {
            Seen::Written(conn, to) if conn == id && to >= offset => Some(()),
            _ => None,
        });
    }

    /// Waits until the reactor's thread has ended, and gives what was seen.
    pub fn join(&mut self) -> Vec<Seen> {
        let thread = self.thread.take().unwrap();
        let deadline = Instant::now() + SOON;
        let mut seen = Vec::new();
        // The handler, and its sender with it, go when the thread ends.
        while let Ok(event) = self.seen.recv_deadline(deadline) {
            seen.push(event);
        }
        assert!(Instant::now() < deadline, "the reactor did not end");
        thread.join().unwrap();
        seen
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.handle.shutdown(Instant::now());
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap();
        }
    }
}

/// The reactor is busy while this lives.
pub struct Hold(#[expect(dead_code, reason = "dropping it is its use")] Sender<()>);

/// The other end of a connection.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub fn send(&mut self, payload: &[u8]) {
        self.send_raw(&framed(payload));
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Resets the connection instead of closing it.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub fn receive(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).unwrap();
        let mut payload = vec![0; u32::from_be_bytes(header) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        payload
    }

    /// Everything until the server's end; a reset is no end.
    pub fn receive_to_the_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// The server closed, one way or the other, and had said nothing.
    pub fn is_cut_off(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(n) => n == 0,
            Err(e) => e.kind() == ErrorKind::ConnectionReset,
        }
    }
}

pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}
