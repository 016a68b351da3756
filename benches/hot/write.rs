//! What is written for every message: its push, and its sender's answer.

use cluster_chat::model::{GroupId, UserId};
use cluster_chat::protocol::push::{self, Push, Target};
use cluster_chat::protocol::reply::write_one_chat_done;
use divan::{Bencher, black_box};

const MID: &str = "91d2c7aa53f04e18b6d2c7aa53f04e18";

fn measure_push(bencher: Bencher<'_, '_>, target: Target, msg: &str) {
    let mid = format!("\"{MID}\"");
    let time = "\"2026-11-21T12:00:00Z\"";
    let (sender, name, mid) = (UserId(1), "\"alice\"", mid.as_str());
    let push = |msg| Push { target, sender, name, msg, time, mid };
    bencher.bench(|| {
        let mut text = push::scratch();
        push(black_box(msg)).write(&mut text);
        push::put_by(black_box(text));
    });
}

/// The push of a message of 150 bytes.
#[divan::bench]
fn push_to_one(bencher: Bencher<'_, '_>) {
    measure_push(bencher, Target::User(UserId(2)), "\"lunch at one, as ever? Bring Bob.\"");
}

/// The push of a text of 4 KiB, to a group.
#[divan::bench]
fn push_long_text(bencher: Bencher<'_, '_>) {
    let msg = format!("\"{}\"", "x".repeat(4096));
    measure_push(bencher, Target::Group(GroupId(7)), &msg);
}

/// The 106 that says `delivered`.
#[divan::bench]
fn reply_to_one_chat(bencher: Bencher<'_, '_>) {
    let mut out = Vec::with_capacity(1024);
    bencher.bench_local(|| {
        out.clear();
        write_one_chat_done(&mut out, Some(4711), black_box(MID), UserId(2), "delivered");
        out.len()
    });
}
