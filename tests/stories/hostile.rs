//! Whoever sends the worst there is: it is answered or closed, it costs the
//! server next to nothing, and nobody else notices.

use std::time::Duration;

use crate::support::client::TestClient;
use crate::support::door::Door;
use crate::support::wait::SOON;
use crate::support::wire::frame;
use crate::support::world::World;

stories! { alone: nobody_else_notices_what_somebody_breaks }

mod large_frames {
    use super::*;

    stories! { once [&[("--max-frame", "16777215")]]:
        nesting_a_hundred_thousand_deep_is_refused_and_the_connection_goes_on,
        a_number_of_a_million_digits_is_a_number,
        a_frame_that_is_only_announced_costs_no_memory,
    }

    fn nesting_a_hundred_thousand_deep_is_refused_and_the_connection_goes_on(world: &World) {
        let mut bob = world.near().enter("bob");
        let (arrays, objects) = ("[".repeat(100_000), "{\"a\":".repeat(100_000));
        let (no_arrays, no_objects) = ("]".repeat(100_000), "}".repeat(100_000));
        let deep = [
            arrays.clone(),
            format!("{arrays}{no_arrays}"),
            "{".repeat(100_000),
            objects.clone(),
            format!("{objects}1{no_objects}"),
            // In a field that is looked at, and never closed.
            format!("{{\"msgid\":6,\"to\":1,\"msg\":{arrays}{no_arrays}}}"),
            format!("{{\"msgid\":6,\"to\":1,\"msg\":{objects}1{no_objects}}}"),
            format!("{{\"msgid\":{arrays}{no_arrays}}}"),
            format!("{{\"msgid\":15,\"seq\":{objects}1{no_objects}}}"),
            format!("{{\"msgid\":15,\"x\":{arrays}"),
            format!("{{\"msgid\":15,\"x\":{objects}"),
            // Closed by the wrong ones.
            format!("{{\"msgid\":15,\"x\":{arrays}{no_objects}}}"),
        ];
        for text in deep {
            bob.say(&text).refused(4);
            bob.ping();
        }
        // In a field that is not looked at it may be passed over or refused.
        for inner in [format!("{arrays}{no_arrays}"), format!("{objects}1{no_objects}")] {
            let reply = bob.say(&format!("{{\"x\":{inner},\"msgid\":15}}"));
            assert!([0, 4].contains(&reply.errno()), "{reply:?}");
            bob.ping();
        }
    }

    fn a_number_of_a_million_digits_is_a_number(world: &World) {
        let mut bob = world.near().enter("bob");
        let huge = "9".repeat(1_000_000);
        bob.say(&format!("{{\"msgid\":{huge}}}")).refused(14);
        bob.say(&format!("{{\"msgid\":7,\"friendid\":{huge}}}")).refused(4);
        bob.say(&format!("{{\"msgid\":7,\"friendid\":0.{huge}}}")).refused(4);
        bob.say(&format!("{{\"msgid\":7,\"friendid\":1e{huge}}}")).refused(4);
        bob.say(&format!("{{\"msgid\":15,\"x\":-{huge}.{huge}e-{huge}}}")).done();
    }

    fn a_frame_that_is_only_announced_costs_no_memory(world: &World) {
        const CLIENTS: usize = 200;
        let server = &world.servers()[0];
        // What the first few cost once is not counted.
        let mut clients: Vec<TestClient> = (0..10).map(|_| announcing(world)).collect();
        let (held, asked_for) = (server.memory_kib(), server.address_space_kib());
        clients.extend((0..CLIENTS).map(|_| announcing(world)));
        let grown = server.memory_kib().saturating_sub(held);
        let asked = server.address_space_kib().saturating_sub(asked_for);
        // 200 frames of 16 MiB were announced, 3,200 MiB. What a connection
        // itself takes is a few KiB.
        assert!(grown < CLIENTS as u64 * 64, "{grown} KiB more are held");
        assert!(asked < CLIENTS as u64 * 1_024, "{asked} KiB more are asked for");
        for client in &mut clients {
            client.send_bytes(&[b'x'; 10]);
        }
        world.near().enter("bob").ping();
    }

    /// Someone who has announced the longest frame and sent its first byte, and
    /// the server has read that: it came in one segment with a ping.
    #[track_caller]
    fn announcing(world: &World) -> TestClient {
        let mut client = world.near().connect();
        let announced = [0x00, 0xff, 0xff, 0xff, b'{'];
        client.say_bytes(&[frame(br#"{"msgid":15}"#), announced.into()].concat()).done();
        client
    }
}

/// What becomes of whoever sends it.
#[derive(Debug, Clone, Copy)]
enum End {
    /// A refusal with this errno, and the connection goes on.
    Refused(i64),
    /// Errno 11, and the connection is closed.
    TooLarge,
    /// It is closed without a word.
    Closed,
    /// It is waited for what is missing.
    Waiting,
}

/// All kinds of wrong bytes that somebody may send first.
fn wrong_bytes() -> Vec<(Vec<u8>, End)> {
    let mut wrong = vec![
        (vec![0, 0, 0, 0], End::TooLarge),
        (vec![0, 1, 0, 1], End::TooLarge),
        (vec![0, 0xff, 0xff, 0xff], End::TooLarge),
        // As the second frame, since a first one begins with 0.
        ([frame(b"{}"), vec![0xff; 4]].concat(), End::TooLarge),
        ([frame(b"{}"), vec![0x80, 0, 0, 0]].concat(), End::TooLarge),
        (vec![0xff; 4], End::Closed),
        (b"GARBAGE".to_vec(), End::Closed),
        (frame(&[b'['; 60_000]), End::Refused(4)),
        (frame(&b"{\"a\":".repeat(12_000)), End::Refused(4)),
        (vec![0, 0, 0xff, 0xff, b'{'], End::Waiting),
        (vec![0, 0, 0], End::Waiting),
        (vec![0], End::Waiting),
    ];
    let texts: [(&[u8], i64); 14] = [
        (b"{}", 4),
        (b"[]", 4),
        (b"\"text\"", 4),
        (b"1e400", 4),
        (b"null", 4),
        (b"{\"msgid\":1e400}", 4),
        (b"{\"msgid\":18446744073709551616}", 14),
        (b"{\"msgid\":4,\"name\":\"\\ud800\",\"password\":\"p\"}", 4),
        (b"{\"msgid\":4,\"name\":\"\xed\xa0\x80\",\"password\":\"p\"}", 4),
        (b"{\"msgid\":15,\"\xc0\xaf\":1}", 4),
        (b"\xef\xbb\xbf{\"msgid\":15}", 4),
        (b"{\"msgid\":15}{\"msgid\":15}", 4),
        (b"{\"msgid\":15,\"x\":\"\0\"}", 4),
        (b"\0\0\0\0\0\0\0\0", 4),
    ];
    wrong.extend(texts.map(|(text, errno)| (frame(text), End::Refused(errno))));
    wrong
}

#[track_caller]
fn expect_end(rogue: &mut TestClient, end: End) {
    match end {
        End::Refused(errno) => {
            rogue.next_reply().refused(errno);
            rogue.ping();
        }
        End::TooLarge => {
            assert!(rogue.closes_within(SOON));
            let last = rogue.take_replies().pop().expect("the reason comes before the end");
            assert_eq!(last.refused(11)["msgid"], 200);
        }
        End::Closed => rogue.expect_closed(),
        End::Waiting => {
            assert!(!rogue.closes_within(Duration::from_millis(1)), "it may still come");
            assert!(rogue.take_replies().is_empty());
        }
    }
}

fn nobody_else_notices_what_somebody_breaks(world: &World) {
    let (mut alice, mut bob) = (world.near().enter("alice"), world.far().enter("bob"));
    let mut chat = |text: &str| {
        assert_eq!(alice.tell(&bob, text), "delivered");
        assert_eq!(bob.next_push()["msg"], text);
        assert_eq!(bob.tell(&alice, text), "delivered");
        assert_eq!(alice.next_push()["msg"], text);
    };
    let mut waiting = Vec::new();
    for (bytes, end) in wrong_bytes() {
        let mut rogue = world.near().connect();
        chat("before");
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        rogue.send_bytes(first);
        chat("while the half of it is there");
        let went = rogue.try_send_bytes(rest);
        assert!(went || matches!(end, End::Closed), "only a first byte may end it");
        chat("when all of it is there");
        expect_end(&mut rogue, end);
        chat("after");
        waiting.push(rogue);
    }
    // All at once, and then gone.
    for (bytes, _) in wrong_bytes() {
        let mut rogue = world.near().connect();
        rogue.send_bytes(&bytes);
        rogue.reset();
    }
    chat("when they have gone");
    drop(waiting);
    chat("and for good");
}
