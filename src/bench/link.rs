//! One connection of the load generator: frames in, frames out, nothing
//! blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use mio::{Interest, Registry, Token};

/// Bytes of the length in front of a frame.
const HEAD_BYTES: usize = 4;

/// A connection that is read and written by an event loop.
pub struct Link {
    stream: mio::net::TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of the output the socket has taken.
    written: usize,
    blocked: bool,
    /// It has said whose it is.
    pub is_known: bool,
    /// Pushes that came, for the confirmations.
    pub pushes: u64,
    /// How many of them are confirmed.
    pub confirmed: u64,
}

impl Link {
    /// Takes a connected stream over.
    ///
    /// # Errors
    /// The system does not let it be used without blocking.
    pub fn new(stream: TcpStream) -> io::Result<Link> {
        stream.set_nonblocking(true)?;
        Link::over(mio::net::TcpStream::from_std(stream))
    }

    /// The same for a stream that does not block already.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn over(stream: mio::net::TcpStream) -> io::Result<Link> {
        stream.set_nodelay(true)?;
        Ok(Link {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            blocked: false,
            is_known: false,
            pushes: 0,
            confirmed: 0,
        })
    }

    /// Begins to connect: what is queued leaves once that is done.
    ///
    /// # Errors
    /// The system gives no socket, or no port.
    pub fn connect(server: SocketAddr) -> io::Result<Link> {
        let mut link = Link::over(mio::net::TcpStream::connect(server)?)?;
        link.blocked = true;
        Ok(link)
    }

    /// Says that nothing more comes; what the server sends still does.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn shut_down(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends it by a reset, as a network does: this machine keeps nothing of it,
    /// not even its port.
    pub fn abort(self) {
        // Where that is refused it is closed as usual.
        if let Err(e) = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
            log::debug!("a connection was closed and not reset: {e}");
        }
    }

    /// Watches it in a poll.
    ///
    /// # Errors
    /// The poll refuses it.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Queues one frame; `write` appends the payload.
    pub fn queue(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let head = self.output.len();
        self.output.extend_from_slice(&[0; HEAD_BYTES]);
        write(&mut self.output);
        let length = (self.output.len() - head - HEAD_BYTES) as u32;
        self.output[head..head + HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    }

    /// Writes what is queued, as far as the socket takes it.
    ///
    /// # Errors
    /// The connection is broken.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.blocked && self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
        Ok(())
    }

    /// The socket takes bytes again.
    pub fn writable(&mut self) {
        self.blocked = false;
    }

    /// Says that nothing more will be sent; what comes can still be read.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn finish_sending(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Whether something waits for the socket.
    pub fn has_output(&self) -> bool {
        self.written < self.output.len()
    }

    /// Reads everything that has come by way of `scratch`, and shows each
    /// whole frame's payload.
    ///
    /// # Errors
    /// The connection is broken, or was closed by the server.
    pub fn read(&mut self, scratch: &mut [u8], mut frame: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) if self.input.is_empty() => {
                    let used = take_frames(&scratch[..count], &mut frame);
                    self.input.extend_from_slice(&scratch[used..count]);
                }
                Ok(count) => {
                    self.input.extend_from_slice(&scratch[..count]);
                    let used = take_frames(&self.input, &mut frame);
                    self.input.drain(..used);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

/// Shows every whole frame; how many bytes they take.
fn take_frames(input: &[u8], frame: &mut impl FnMut(&[u8])) -> usize {
    let mut used = 0;
    while let Some(payload) = next_frame(&input[used..]) {
        frame(&input[used + payload.start..used + payload.end]);
        used += payload.end;
    }
    used
}

/// Where the payload of the first frame lies, if that is whole.
fn next_frame(input: &[u8]) -> Option<Range<usize>> {
    let head = input.first_chunk::<HEAD_BYTES>()?;
    let end = HEAD_BYTES + u32::from_be_bytes(*head) as usize;
    (input.len() >= end).then_some(HEAD_BYTES..end)
}
