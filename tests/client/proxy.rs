//! The network between client and server: an address that stays while the
//! server behind it changes, and cables that can be cut.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::piped::DEADLINE;

pub struct Proxy {
    pub port: u16,
    state: Arc<(Mutex<State>, Condvar)>,
}

struct State {
    server: u16,
    /// Both ends of every connection so far.
    pairs: Vec<(TcpStream, TcpStream)>,
}

impl Proxy {
    pub fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { server, pairs: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                accept(&shared, client.unwrap());
            }
        });
        Proxy { port, state }
    }

    /// From now on connections lead to this server.
    pub fn lead_to(&self, server: u16) {
        self.state.0.lock().unwrap().server = server;
    }

    /// Cuts every connection on the client's side only: the server does not
    /// notice.
    pub fn cut_clients(&self) {
        for (client, _) in &self.state.0.lock().unwrap().pairs {
            client.shutdown(Shutdown::Both).ok();
        }
    }

    /// Lets the server notice that the first connection is gone.
    pub fn close_first(&self) {
        self.state.0.lock().unwrap().pairs[0].1.shutdown(Shutdown::Both).ok();
    }

    /// Waits until so many connections have been made.
    pub fn wait_for_connections(&self, count: usize) {
        let (state, made) = &*self.state;
        let few = |state: &mut State| state.pairs.len() < count;
        let waited = made.wait_timeout_while(state.lock().unwrap(), DEADLINE, few).unwrap();
        assert!(!waited.1.timed_out(), "no {count} connections");
    }
}

fn accept(shared: &Arc<(Mutex<State>, Condvar)>, client: TcpStream) {
    let (state, made) = &**shared;
    let server = state.lock().unwrap().server;
    // The server may be dead: then this connection ends at once.
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let pair = (client.try_clone().unwrap(), server.try_clone().unwrap());
    state.lock().unwrap().pairs.push(pair);
    made.notify_all();
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    // What the client closes the server does not notice; see `close_first`.
    thread::spawn(move || io::copy(&mut from_client, &mut to_server));
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        io::copy(&mut from_server, &mut to_client).ok();
        to_client.shutdown(Shutdown::Both).ok();
    });
}
