//! Bytes and frames on one TCP connection: 4-byte big-endian length, then JSON.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// What reading came to.
#[derive(Debug)]
pub enum Incoming {
    /// One whole frame.
    Frame(Value),
    /// The server closed the connection (or reset it).
    Closed,
    /// Nothing whole came in time.
    Silence,
}

/// What carries the bytes: TCP, or something upon it.
pub trait Stream: Read + Write + Send {
    /// The TCP connection at the bottom.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// A connection that knows frames and nothing of chat.
pub struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects; a test that cannot has failed.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        Wire::over(stream)
    }

    /// Connects from another address of this machine.
    #[track_caller]
    pub fn connect_from(from: IpAddr, to: SocketAddr) -> Wire {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
        socket.connect(&to.into()).unwrap_or_else(|e| panic!("cannot connect to {to}: {e}"));
        Wire::over(TcpStream::from(socket))
    }

    /// The socket, for a test that does without frames.
    pub fn into_stream(self) -> TcpStream {
        self.stream.socket().try_clone().unwrap()
    }

    /// A connection that was made already.
    pub fn over(stream: impl Stream + 'static) -> Wire {
        stream.socket().set_nodelay(true).unwrap();
        stream.socket().set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Wire { stream: Box::new(stream), buffer: Vec::new() }
    }

    /// The port at this end.
    pub fn local_port(&self) -> u16 {
        self.stream.socket().local_addr().unwrap().port()
    }

    /// Sends bytes as they are, in one write where the socket takes them.
    #[track_caller]
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is sent");
    }

    /// Sends bytes to a server that may close at any of them.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends one frame with this text.
    #[track_caller]
    pub fn send_text(&mut self, text: &str) {
        self.send_bytes(&frame(text.as_bytes()));
    }

    /// Reads the next frame.
    pub fn read(&mut self, deadline: Duration) -> Incoming {
        let end = Instant::now() + deadline;
        loop {
            if let Some(value) = self.take_frame() {
                return Incoming::Frame(value);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Incoming::Silence;
            }
            self.stream.socket().set_read_timeout(Some(left)).unwrap();
            let mut chunk = [0; 16_384];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Incoming::Closed,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Incoming::Closed,
                Err(e) => panic!("reading from the server: {e}"),
            }
        }
    }

    /// Takes the first frame out of the buffer, if it is there whole.
    fn take_frame(&mut self) -> Option<Value> {
        let length = u32::from_be_bytes(*self.buffer.first_chunk::<4>()?);
        assert!(length > 0 && length < 1 << 24, "the server sent a frame of {length} bytes");
        let end = 4 + length as usize;
        let body = self.buffer.get(4..end)?;
        let value = serde_json::from_slice(body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", String::from_utf8_lossy(body)));
        self.buffer.drain(..end);
        Some(value)
    }

    /// Says that nothing more will be sent; replies can still be read.
    pub fn finish_sending(&self) {
        self.stream.socket().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with a reset instead of a FIN, as a crashed host does.
    pub fn reset(self) {
        socket2::SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The bytes of one frame.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body].concat()
}
