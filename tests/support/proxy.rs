//! A cable between a server and a service: it can fall silent, in one direction
//! or as a whole, as cables do behind a firewall that forgets; and it can be
//! cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// Passes bytes on to a service. Its threads end with the connections.
pub struct Proxy {
    port: u16,
    cable: Arc<Cable>,
}

#[derive(Default)]
struct Cable {
    state: Mutex<State>,
    changed: Condvar,
    subscribers_muted: AtomicBool,
}

#[derive(Default)]
struct State {
    hangs: bool,
    is_cut: bool,
    /// Both ends of every connection so far.
    ends: Vec<TcpStream>,
}

impl Cable {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits while the cable hangs.
    fn pass(&self) {
        drop(self.changed.wait_while(self.state(), |state| state.hangs).unwrap());
    }
}

impl Proxy {
    /// A way to what listens on this port of 127.0.0.1.
    pub fn to(service_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cable = Arc::new(Cable::default());
        let shared = cable.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                connect(client.unwrap(), service_port, &shared);
            }
        });
        Self { port, cable }
    }

    /// Where to connect instead.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The URL of the Redis behind it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Whether what Redis says on connections with a subscription is lost.
    pub fn mute_subscribers(&self, mute: bool) {
        self.cable.subscribers_muted.store(mute, Ordering::SeqCst);
    }

    /// Ends every connection; new ones end at once.
    pub fn cut(&self) {
        let mut state = self.cable.state();
        state.is_cut = true;
        for end in state.ends.drain(..) {
            // One that has ended already cannot be shut down.
            end.shutdown(Shutdown::Both).ok();
        }
    }

    /// Connections stay open, and new ones are accepted, but nothing passes;
    /// it arrives when the cable is mended.
    pub fn hang(&self) {
        self.cable.state().hangs = true;
    }

    /// As it was at first.
    pub fn mend(&self) {
        let mut state = self.cable.state();
        (state.hangs, state.is_cut) = (false, false);
        self.cable.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // So that no thread waits for ever.
        self.cut();
        self.cable.state().hangs = false;
        self.cable.changed.notify_all();
    }
}

fn connect(client: TcpStream, service_port: u16, cable: &Arc<Cable>) {
    // Without the service behind it a connection ends at once.
    let Ok(server) = TcpStream::connect(("127.0.0.1", service_port)) else { return };
    let (from_client, to_client) = (client.try_clone().unwrap(), client.try_clone().unwrap());
    let (from_server, to_server) = (server.try_clone().unwrap(), server.try_clone().unwrap());
    let mut state = cable.state();
    if state.is_cut {
        return;
    }
    state.ends.extend([client, server]);
    drop(state);
    let subscribed = Arc::new(AtomicBool::new(false));
    let is_subscriber = subscribed.clone();
    let (forth, back) = (cable.clone(), cable.clone());
    thread::spawn(move || {
        copy(from_client, to_server, |bytes| {
            if bytes.windows(11).any(|part| part == b"\r\nSUBSCRIBE") {
                is_subscriber.store(true, Ordering::SeqCst);
            }
            forth.pass();
            true
        });
    });
    thread::spawn(move || {
        copy(from_server, to_client, |_| {
            back.pass();
            !(back.subscribers_muted.load(Ordering::SeqCst) && subscribed.load(Ordering::SeqCst))
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
