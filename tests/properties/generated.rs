//! The properties over generated inputs.

use proptest::prelude::*;
use proptest::sample::select;

use super::json::{any_object, changes, object, request, spoil, value};
use super::{bare, codec, envelope, message, proxy_header};

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

/// Objects of the bare dialect, with anything between them, some of them spoilt.
fn bare_stream() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![4 => any_object(), 1 => request(), 1 => value()];
    let object = (text, changes()).prop_flat_map(|(text, changes)| {
        let spoilt = spoil(text.as_bytes(), &changes);
        prop_oneof![6 => Just(text.into_bytes()), 1 => Just(spoilt)]
    });
    let between = "[\0 \t\r\n]{0,3}|x".prop_map(String::into_bytes);
    let parts = prop::collection::vec((object, between), 0..6);
    parts.prop_map(|parts| {
        let parts: Vec<u8> =
            parts.into_iter().flat_map(|(object, end)| [object, end]).flatten().collect();
        [&b"{}"[..], &parts].concat()
    })
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

/// A line of version 1, its fields mostly right.
fn proxy_line() -> impl Strategy<Value = Vec<u8>> {
    let family = select(&["TCP4", "TCP4", "TCP6", "TCP6", "UNKNOWN", "UDP4", ""][..]);
    let address = || {
        prop_oneof![
            any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
            select(&["", "::ffff:192.0.2.1", "01.2.3.4", "1.2.3", "::1%1", "x"][..])
                .prop_map(str::to_owned),
        ]
    };
    let ports = (0_u32..70_000, select(&["1", "0", "065", "+1", "-1", "65536", ""][..]));
    let end = select(&["\r\n", "\r\n", "\n", "\r", " \r\n", ""][..]);
    (family, address(), address(), ports, end).prop_map(|(family, from, to, ports, end)| {
        format!("PROXY {family} {from} {to} {} {}{end}", ports.0, ports.1).into_bytes()
    })
}

/// A binary header of version 2, its length now and then a lie.
fn proxy_binary() -> impl Strategy<Value = Vec<u8>> {
    let command = select(&[0x21_u8, 0x21, 0x20, 0x22, 0x11][..]);
    let family = select(&[0x11_u8, 0x11, 0x21, 0x12, 0x22, 0x31, 0x00, 0x41][..]);
    let block = prop::collection::vec(any::<u8>(), 0..80);
    let length = prop_oneof![4 => Just(None), 1 => (0_u16..600).prop_map(Some)];
    (command, family, block, length).prop_map(|(command, family, block, length)| {
        let length = length.unwrap_or(u16::try_from(block.len()).unwrap());
        let fixed = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family]].concat();
        [&fixed[..], &length.to_be_bytes(), &block].concat()
    })
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
    fn any_split_of_a_bare_stream_gives_the_same_objects_and_the_same_end(
        lengths in prop::collection::vec(1_u8.., 0..8),
        stream in bare_stream(),
    ) {
        let count = u8::try_from(lengths.len()).unwrap();
        codec::check(&[&[count][..], &lengths, &stream].concat());
    }

    #[test]
    fn what_a_bare_client_is_told_fits_and_has_its_fields(text in any_object()) {
        bare::check(text.as_bytes());
    }

    #[test]
    fn no_spoilt_text_panics_on_its_way_to_a_bare_client(
        request in request(),
        changes in changes(),
    ) {
        bare::check(request.as_bytes());
        bare::check(&spoil(request.as_bytes(), &changes));
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

    #[test]
    fn a_proxy_header_is_the_same_however_it_is_cut(
        header in prop_oneof![proxy_line(), proxy_binary()],
        behind in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        proxy_header::check(&[header, behind].concat());
    }

    #[test]
    fn a_spoilt_proxy_header_panics_nowhere(
        header in prop_oneof![proxy_line(), proxy_binary()],
        changes in changes(),
    ) {
        proxy_header::check(&spoil(&header, &changes));
    }
}
