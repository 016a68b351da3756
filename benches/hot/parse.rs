//! A payload's fields, found and checked.

use cluster_chat::protocol::{Integer, MsgId, RawRequest, Request};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn one_chat(msg: &str) -> String {
    format!(
        r#"{{"msgid":6,"seq":4711,"id":1,"to":2,"msg":"{msg}","time":"2026-11-21T12:00:00Z","mid":"91d2c7aa53f04e18b6d2c7aa53f04e18"}}"#
    )
}

/// What the router does with every payload.
fn read(payload: &str) -> Request<'_> {
    let raw = RawRequest::read(payload.as_bytes()).unwrap();
    let Some(Integer::Small(number)) = raw.msgid() else { panic!("it has a msgid") };
    Request::parse(MsgId::from_number(number).unwrap(), &raw).unwrap()
}

fn measure(bencher: Bencher<'_, '_>, payload: &str) {
    bencher
        .counter(BytesCount::new(payload.len()))
        .bench(|| drop(black_box(read(black_box(payload)))));
}

/// 150 bytes, as most messages are.
#[divan::bench]
fn plain(bencher: Bencher<'_, '_>) {
    measure(bencher, &one_chat("lunch at one, as ever? Bring Bob."));
}

/// The same with escapes, for which `serde_json` is asked.
#[divan::bench]
fn with_escapes(bencher: Bencher<'_, '_>) {
    measure(bencher, &one_chat(r#"\"lunch\" at one\n\u00e0 bientot"#));
}

/// A text of 4 KiB.
#[divan::bench]
fn long_text(bencher: Bencher<'_, '_>) {
    measure(bencher, &one_chat(&"x".repeat(4096)));
}

/// A confirmation.
#[divan::bench]
fn recv_ack(bencher: Bencher<'_, '_>) {
    measure(bencher, r#"{"msgid":14,"count":4711}"#);
}
