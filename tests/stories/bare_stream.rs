//! The stream of a C++ client: objects cut and joined in every way, what is no
//! object, and silence.

use std::time::Duration;

use serde_json::json;

use crate::support::cpp_client::{CppClient, login};
use crate::support::door::Door;
use crate::support::world::{Flag, World};

/// The default of `--max-frame`, in bytes.
const MAX_FRAME: usize = 65_536;

stories! { alone:
    an_object_may_be_as_long_as_the_limit_and_no_longer,
    what_is_no_object_ends_the_connection,
}

fn an_object_may_be_as_long_as_the_limit_and_no_longer(world: &World) {
    let bob = world.near().register("bob");
    let login_of = |bytes: usize| {
        let mut login = login(&bob);
        login["x"] = "".into();
        login["x"] = "x".repeat(bytes - login.to_string().len()).into();
        format!("{login}\0").into_bytes()
    };
    let mut phone = CppClient::connect(world.near().address());
    phone.send_bytes(&login_of(MAX_FRAME));
    phone.welcome().unwrap();
    for long in [login_of(MAX_FRAME + 1), vec![b'{'; 3 * MAX_FRAME]] {
        let mut phone = CppClient::connect(world.near().address());
        phone.try_send_bytes(&long);
        // Nobody tells it: it would take that for something else.
        phone.expect_closed();
    }
}

fn what_is_no_object_ends_the_connection(world: &World) {
    let bob = world.near().register("bob");
    for nonsense in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"]",
        b"{\"msgid\":6,\"msg\":\"cut\0",
        b"{]",
        b"{}",
        b"{\"msgid\":\"6\"}\0",
        b"{\"msgid\":6,}\0",
        b"{\"msgid\":6,\"msg\":\"\xff\"}\0",
    ] {
        let mut phone = CppClient::connect(world.near().address());
        phone.send(&login(&bob));
        phone.welcome().unwrap();
        phone.send_bytes(nonsense);
        phone.expect_closed();
        // The server lives, and bob may come back.
        world.near().login_again(&bob).log_out();
    }
}

mod silence {
    use super::*;

    const SHORT: &[Flag] = &[("--idle-timeout", "0.7")];

    stories! { directly [SHORT]: a_silent_cpp_client_stays_once_it_has_logged_in }

    fn a_silent_cpp_client_stays_once_it_has_logged_in(world: &World) {
        let bob = world.far().register("bob");
        let mut phone = CppClient::connect(world.far().address());
        phone.log_in(&bob);
        // Two others that are as silent are closed, one after the other.
        for _ in 0..2 {
            let mut silent = CppClient::connect(world.far().address());
            silent.send(&json!({"msgid": 15}));
            silent.expect_closed();
            assert!(world.near().connect().closes_within(Duration::from_secs(10)));
        }
        assert_eq!(world.near().enter("alice").tell(&bob, "still there?"), "delivered");
        assert_eq!(phone.next_message().text, "still there?");
        // And no longer when nobody is logged in on it any more.
        phone.send(&json!({"msgid": 3}));
        phone.expect_closed();
    }
}

mod cuts {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    stories! { once [&[("--message-rate", "0"), ("--bare-pace-ms", "0")]]:
        any_cut_of_the_stream_is_the_same_conversation,
    }

    fn any_cut_of_the_stream_is_the_same_conversation(world: &World) {
        let mut ann = world.near().enter("ann");
        let bob = world.near().register("bob");
        let mut phone = CppClient::connect(world.near().address()).patient();
        // Once it has an answer, what was sent before has been read.
        let mut clock = world.near().connect();
        let mut segments = |phone: &mut CppClient, stream: &[u8], lengths: &[usize]| {
            let mut rest = stream;
            for length in lengths.iter().cycle() {
                let (segment, later) = rest.split_at(rest.len().min(*length));
                phone.send_bytes(segment);
                clock.ping();
                rest = later;
                if rest.is_empty() {
                    return;
                }
            }
        };
        segments(&mut phone, format!("{}\0", login(&bob)).as_bytes(), &[1]);
        phone.welcome().unwrap();

        let text = "[{}\"\\\\ ]üa]{1,12}".prop_map(|text: String| text);
        let separator = "[\0 \t\r\n]{0,3}";
        let conversation = prop::collection::vec((text, separator), 1..8);
        let lengths = prop::collection::vec(1_usize..60, 1..5);
        let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new(config);
        let ann_id = ann.me().id;
        let said = std::cell::RefCell::new((&mut phone, &mut ann, &mut segments));
        runner
            .run(&(conversation, lengths), |(conversation, lengths)| {
                let (phone, ann, segments) = &mut *said.borrow_mut();
                let stream: String = conversation
                    .iter()
                    .map(|(text, end)| {
                        format!("{}{end}", json!({"msgid": 6, "toid": ann_id, "msg": text}))
                    })
                    .collect();
                segments(phone, stream.as_bytes(), &lengths);
                for (text, _) in &conversation {
                    prop_assert_eq!(&ann.next_text(), text);
                }
                Ok(())
            })
            .unwrap();
    }
}
