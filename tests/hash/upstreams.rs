//! Servers that say which one they are, then echo; and clients of theirs at
//! addresses of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use crate::support::wait::SOON;

/// A server: the first line it sends is its address.
pub struct Upstream {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Upstream {
    pub fn start() -> Upstream {
        Upstream::at("127.0.0.1:0")
    }

    pub fn at(address: &str) -> Upstream {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                thread::spawn(move || serve(stream, address));
            }
        });
        Upstream { address, stopped, accepting: Some(accepting) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections are refused from here on.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else { return };
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        accepting.join().unwrap();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(mut stream: TcpStream, address: SocketAddr) {
    let mut bytes = [0; 1024];
    let mut said = writeln!(stream, "{address}");
    while said.is_ok() {
        match stream.read(&mut bytes) {
            Ok(n @ 1..) => said = stream.write_all(&bytes[..n]),
            // nginx has closed it, with or without ceremony.
            Ok(0) | Err(_) => return,
        }
    }
}

/// A client of nginx.
pub struct Client {
    reader: BufReader<TcpStream>,
    /// Where it connects from.
    pub local: SocketAddr,
    /// Which server it got, as that one says.
    pub server: String,
}

impl Client {
    /// Connects from `source`, at any port.
    #[track_caller]
    pub fn connect(source: Ipv4Addr, nginx: SocketAddr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::V4(SocketAddrV4::new(source, 0)).into()).unwrap();
        socket.connect(&nginx.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        let local = stream.local_addr().unwrap();
        let mut client = Client { reader: BufReader::new(stream), local, server: String::new() };
        client.server = client.line();
        client
    }

    /// What the server sends next.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the connection from {} ended", self.local);
        line.trim_end().to_owned()
    }

    /// Says something and hears it.
    #[track_caller]
    pub fn echo(&mut self, text: &str) {
        writeln!(self.reader.get_mut(), "{text}").unwrap();
        assert_eq!(self.line(), text);
    }
}

/// That many addresses all over 127.0.0.0/8, no two the same.
pub fn sources(count: u32) -> Vec<Ipv4Addr> {
    let part = |number: u32| u8::try_from(number % 254 + 1).unwrap();
    let address = |i: u32| Ipv4Addr::new(127, part(i), part(i * 37), part(i * 101 + i / 254));
    (0..count).map(address).collect()
}
