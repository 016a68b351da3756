//! A cluster grows under load, and nobody's connection ends.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::services::{Service, Variant};
use crate::support::wait::{SOON, eventually};
use crate::tool::Tool;
use crate::upstreams::{Client, Upstream, sources};

const CLIENTS: u32 = 60;
/// Each client says so much before the change and after it.
const ECHOES: usize = 30;

#[test]
fn a_third_server_is_added_under_load_and_no_connection_drops() {
    let servers = [Upstream::start(), Upstream::start()];
    let third = Upstream::start();
    let nginx = Service::nginx_as(Variant::Hash, &[0, 1].map(|i| servers[i].address()));
    let (tool, conf) = (Tool::new(), nginx.conf().display().to_string());
    tool.answer(&format!("import {conf}"));

    let counts: Vec<AtomicUsize> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
    let stop = AtomicBool::new(false);
    let all_said = |times: usize| {
        let goal: Vec<usize> = counts.iter().map(|c| c.load(Ordering::SeqCst) + times).collect();
        eventually("every client is heard", SOON, || {
            counts.iter().zip(&goal).all(|(count, goal)| count.load(Ordering::SeqCst) >= *goal)
        });
    };
    thread::scope(|scope| {
        let talking: Vec<_> = sources(CLIENTS)
            .into_iter()
            .zip(&counts)
            .map(|(source, count)| {
                let mut client = Client::connect(source, nginx.address());
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        client.echo(&format!("{} {}", client.local, count.load(Ordering::SeqCst)));
                        count.fetch_add(1, Ordering::SeqCst);
                        // Load, not the whole machine.
                        thread::yield_now();
                    }
                    client
                })
            })
            .collect();
        all_said(ECHOES);
        let port = third.address().port();
        tool.answer(&format!("add 127.0.0.1 {port} 160"));
        let moved = tool.answer("moved");
        assert!(moved.contains("the ideal is 33.33 % (1/3)"), "{moved}");
        tool.answer(&format!("export {conf} --reload"));
        // Somebody whom the new ring sends there gets there.
        let get = |source: &Ipv4Addr| tool.answer(&format!("get {source} 1")).trim_end().to_owned();
        let theirs = third.address().to_string();
        let newcomer = sources(400).into_iter().find(|source| get(source) == theirs).unwrap();
        eventually("the new server gets its clients", SOON, || {
            Client::connect(newcomer, nginx.address()).server == theirs
        });
        all_said(ECHOES);
        stop.store(true, Ordering::SeqCst);
        for client in talking {
            let mut client = client.join().unwrap();
            client.echo("still here");
            assert_ne!(client.server, theirs, "it stayed where it was");
        }
    });
    assert_eq!(tool.answer("moved"), "0.00 % of the clients move: nginx has this ring already.\n");
}
