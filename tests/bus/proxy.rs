//! A way to Redis on which single connections can fall silent, as they do
//! when a firewall forgets them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Passes bytes on to Redis. Its threads end with the connections.
pub struct Proxy {
    port: u16,
    muted: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(redis_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let muted = Arc::new(AtomicBool::new(false));
        let mute = muted.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", redis_port)) else { return };
                pass(client.unwrap(), server, mute.clone());
            }
        });
        Self { port, muted }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Whether what Redis says on connections with a subscription is lost.
    pub fn mute_subscribers(&self, mute: bool) {
        self.muted.store(mute, Ordering::SeqCst);
    }
}

fn pass(client: TcpStream, server: TcpStream, muted: Arc<AtomicBool>) {
    let subscribed = Arc::new(AtomicBool::new(false));
    let (from_client, to_client) = (client.try_clone().unwrap(), client);
    let (from_server, to_server) = (server.try_clone().unwrap(), server);
    let is_subscriber = subscribed.clone();
    thread::spawn(move || {
        copy(from_client, to_server, |bytes| {
            if bytes.windows(11).any(|part| part == b"\r\nSUBSCRIBE") {
                is_subscriber.store(true, Ordering::SeqCst);
            }
            true
        });
    });
    thread::spawn(move || {
        copy(from_server, to_client, |_| {
            !(muted.load(Ordering::SeqCst) && subscribed.load(Ordering::SeqCst))
        });
    });
}

/// Passes on what `wanted` says, until either side ends.
fn copy(mut from: TcpStream, mut to: TcpStream, wanted: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..length];
        if wanted(bytes) && to.write_all(bytes).is_err() {
            break;
        }
    }
    // Either may be closed already; both are after this.
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}
