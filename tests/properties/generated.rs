//! The properties over generated inputs.

use proptest::prelude::*;
use proptest::sample::select;

use super::json::{any_object, changes, object, request, spoil, value};
use super::{codec, envelope, message};

/// Frames of the framed dialect, now and then with a length that lies.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 1..260);
    let header = select(&[0_u32, 1, 4, 200, 201, 1 << 24, u32::MAX][..]);
    let frame = prop_oneof![
        8 => payload.prop_map(|payload| {
            let len = u32::try_from(payload.len()).unwrap();
            [&len.to_be_bytes()[..], &payload[..]].concat()
        }),
        1 => header.prop_map(|len| len.to_be_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

/// One item as a server writes it, its fields mostly right.
fn item() -> impl Strategy<Value = String> {
    let user = prop_oneof![4 => (1_u32..50).prop_map(|id| id.to_string()), 1 => value()];
    let known = (user, value(), select(&["delivered", "stored", "not_here", "lost"][..]));
    (known, 0_usize..9).prop_map(|((user, any, outcome), kind)| match kind {
        0 => format!(
            r#"{{"message":{{"handover":1,"to":[{user}],"sender":2,"mid":"m","body":{any}}}}}"#
        ),
        1 => {
            format!(r#"{{"outcome":{{"handover":1,"users":[{user}],"outcome":"{outcome}"}}}}"#)
        }
        2 => format!(r#"{{"nudge":{{"user":{user}}}}}"#),
        3 => format!(r#"{{"close":{{"user":{user},"claim":1,"successor":2}}}}"#),
        4 => format!(r#"{{"closed":{{"user":{user},"successor":2}}}}"#),
        5 => "\"missed\"".to_owned(),
        6 => "\"resumed\"".to_owned(),
        7 => format!(r#"{{"group_changed":{{"group":{user}}}}}"#),
        _ => any,
    })
}

fn envelope_text() -> impl Strategy<Value = String> {
    (prop::collection::vec(item(), 0..5), any::<i64>(), any::<u64>()).prop_map(
        |(items, epoch, number)| {
            object(&[
                ("from", "\"b:1\"".to_owned()),
                ("epoch", epoch.to_string()),
                ("items", format!("[{}]", items.join(","))),
                ("position", format!(r#"{{"stream":{number},"number":{number}}}"#)),
            ])
        },
    )
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_frames_and_the_same_end(
        lengths in prop::collection::vec(1_u8.., 0..8),
        stream in stream(),
    ) {
        let count = u8::try_from(lengths.len()).unwrap();
        codec::check(&[&[count][..], &lengths, &stream].concat());
    }

    #[test]
    fn a_request_keeps_its_bounds_and_its_text(request in request()) {
        message::check(request.as_bytes());
    }

    #[test]
    fn any_object_is_read_or_refused(object in any_object()) {
        message::check(object.as_bytes());
    }

    #[test]
    fn a_spoilt_request_is_read_or_refused(request in request(), changes in changes()) {
        message::check(&spoil(request.as_bytes(), &changes));
    }

    #[test]
    fn no_bytes_panic_as_a_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        message::check(&bytes);
    }

    #[test]
    fn an_envelope_says_the_same_when_said_again(text in envelope_text()) {
        envelope::check(text.as_bytes());
    }

    #[test]
    fn a_spoilt_envelope_panics_nowhere(text in envelope_text(), changes in changes()) {
        envelope::check(&spoil(text.as_bytes(), &changes));
    }
}
