//! One connection to the server, plain or with TLS, as two ends: what is
//! written, on the network thread, and what is read, on the reader thread.
//!
//! Both threads need the TLS session. Its lock is a leaf: it is held while
//! bytes are turned into others, never while a socket is read or written, so
//! that a peer that takes nothing does not keep the reader from reading. Only
//! the network thread writes to the socket; what the session itself has to
//! send (new keys, alerts) goes with the next bytes or with the end, which is
//! as early as TLS asks for it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ClientConnection;

use super::target::{ConnectError, Target};

/// A server that does not take a connection within this is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that takes no bytes for so long is as good as gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// So much is read from the socket at once, with TLS.
const READ_BYTES: usize = 16 * 1_024;

/// The writing end, and what closes both.
pub struct Transport {
    socket: TcpStream,
    session: Option<Session>,
}

/// A TLS session of two threads. What a panic leaves in it fails the other
/// side's checks, so a poisoned lock is of no concern.
#[derive(Clone)]
struct Session(Arc<Mutex<ClientConnection>>);

/// What came on a connection with TLS cannot be right; part of a sentence.
#[derive(Debug, thiserror::Error)]
#[error("the encryption broke off ({0})")]
pub struct TlsBroken(rustls::Error);

impl Transport {
    /// Connects, and with TLS makes sure of the server. Takes a bounded time
    /// for each of the host's addresses.
    pub fn open(target: &Target) -> Result<Transport, ConnectError> {
        let unreachable = |source| target.unreachable(source);
        let addresses = (target.host.as_str(), target.port).to_socket_addrs();
        let mut last =
            unreachable(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in addresses.map_err(unreachable)? {
            let connected = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
            match connected.map_err(unreachable).and_then(|socket| Transport::over(socket, target))
            {
                Ok(transport) => return Ok(transport),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn over(mut socket: TcpStream, target: &Target) -> Result<Transport, ConnectError> {
        let unreachable = |source| target.unreachable(source);
        socket.set_nodelay(true).map_err(unreachable)?;
        socket.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(unreachable)?;
        let session = match &target.tls {
            Some(tls) => {
                let session = tls.shake_hands(&mut socket).map_err(|why| target.no_tls(why))?;
                Some(Session(Arc::new(Mutex::new(session))))
            }
            None => None,
        };
        Ok(Transport { socket, session })
    }

    /// The reading end.
    pub fn reader(&self) -> io::Result<Box<dyn Read + Send>> {
        let socket = self.socket.try_clone()?;
        Ok(match self.session.clone() {
            None => Box::new(socket),
            Some(session) => {
                Box::new(TlsReader { socket, session, records: vec![0; READ_BYTES], left: 0..0 })
            }
        })
    }

    /// Writes all of it, behind what the TLS session has to send.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &self.session {
            None => self.socket.write_all(bytes),
            Some(session) => {
                let records = session.encrypt(bytes)?;
                self.socket.write_all(&records)
            }
        }
    }

    /// Closes both ends.
    pub fn close(mut self) {
        if let Err(e) = self.say_goodbye().and_then(|()| self.socket.shutdown(Shutdown::Both)) {
            log::debug!(target: "client", "the connection was closed already: err={e}");
        }
    }

    /// TLS's own end, so that the server can tell it from a cut cable.
    fn say_goodbye(&mut self) -> io::Result<()> {
        let Some(session) = &self.session else { return Ok(()) };
        session.lock().send_close_notify();
        let records = session.encrypt(&[])?;
        // Who takes nothing is not waited for. The reader is through anyway.
        self.socket.set_nonblocking(true)?;
        match self.socket.write(&records) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            written => written.map(|_| ()),
        }
    }
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records that carry this, behind all that wait.
    fn encrypt(&self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (mut session, mut records) = (self.lock(), Vec::new());
        loop {
            while session.wants_write() {
                session.write_tls(&mut records)?;
            }
            if bytes.is_empty() {
                return Ok(records);
            }
            // It takes as much as its buffer has room for.
            match session.writer().write(bytes)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                taken => bytes = &bytes[taken..],
            }
        }
    }
}

/// What was encrypted, as it was before.
struct TlsReader {
    socket: TcpStream,
    session: Session,
    /// What came from the socket, of which the session has not taken this part.
    records: Vec<u8>,
    left: Range<usize>,
}

impl TlsReader {
    /// Waits for more to come from the socket, if nothing is left.
    fn receive(&mut self) -> io::Result<()> {
        if self.left.is_empty() {
            self.left = 0..self.socket.read(&mut self.records)?;
        }
        Ok(())
    }

    /// Gives the session as much as it has room for; nothing, if the socket
    /// has ended, which it has to know, too.
    fn decrypt(&mut self) -> io::Result<()> {
        let mut session = self.session.lock();
        self.left.start += session.read_tls(&mut &self.records[self.left.clone()])?;
        match session.process_new_packets() {
            Ok(_) => Ok(()),
            Err(e) => Err(io::Error::new(io::ErrorKind::InvalidData, TlsBroken(e))),
        }
    }
}

impl Read for TlsReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let decrypted = self.session.lock().reader().read(buffer);
            match decrypted {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // The end of the socket without that of TLS: anybody on the
                // way can do that.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    let what = "the connection was cut off";
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, what));
                }
                done => return done,
            }
            self.receive()?;
            self.decrypt()?;
        }
    }
}

#[cfg(test)]
mod tests;
