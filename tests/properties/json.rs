//! JSON as it may come: right, nearly right, and spoilt.

use proptest::prelude::*;
use proptest::sample::select;

/// Every key that some request or envelope knows, and some that none does.
const KEYS: &[&str] = &[
    "msgid",
    "seq",
    "id",
    "to",
    "toid",
    "msg",
    "time",
    "mid",
    "name",
    "password",
    "token",
    "ack",
    "takeover",
    "friendid",
    "groupname",
    "groupdesc",
    "groupid",
    "count",
    "x",
    "",
    "m\\u0073g",
    "\\ud83d\\ude00",
    "\\ud800",
];

/// Numbers at and beyond every bound.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "6",
    "10",
    "2147483647",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "1.0",
    "1e3",
    "1e999",
    "-1e-999",
    "01",
    "+1",
    "1.",
    "0x1",
    "NaN",
];

/// What stands between the quotes of a JSON string; not all of it may.
const PIECES: &[&str] = &[
    "a",
    " ",
    "é",
    "字",
    "😀",
    "\u{a0}",
    "\u{feff}",
    "\u{85}",
    "\\\"",
    "\\\\",
    "\\/",
    "\\n",
    "\\t",
    "\\u0000",
    "\\u0041",
    "\\u00e9",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00",
    "\\ud800\\ud800",
    "\\u12",
    "\\x",
    "\n",
    "\u{7f}",
    "'",
    "<script>",
];

/// The text of a string of up to `most` pieces, quotes included.
fn string(most: usize) -> impl Strategy<Value = String> {
    let pieces = prop_oneof![4 => select(&PIECES[..11]), 1 => select(PIECES)];
    prop::collection::vec(pieces, 0..=most).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(NUMBERS).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        4 => string(8),
        1 => string(70),
        1 => (45_usize..260).prop_map(|chars| format!("\"{}\"", "x".repeat(chars))),
        2 => select(&["true", "false", "null", "nul", ""][..]).prop_map(str::to_owned),
    ]
}

/// Any value, a few levels deep.
pub fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((select(KEYS), inner), 0..4).prop_map(|fields| object(&fields)),
        ]
    })
}

/// An object of any fields, keys that come twice among them.
pub fn any_object() -> impl Strategy<Value = String> {
    prop::collection::vec((select(KEYS), value()), 0..10).prop_map(|fields| object(&fields))
}

/// An object of these fields, in this order.
pub fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", fields.join(" ,"))
}

/// A request as a client sends it: fields that are mostly right.
pub fn request() -> impl Strategy<Value = String> {
    let number = || prop_oneof![3 => (1_u32..100).prop_map(|id| id.to_string()), 1 => scalar()];
    let text = || prop_oneof![4 => string(12), 1 => scalar()];
    let field = prop_oneof![
        (select(&["id", "to", "toid", "friendid", "groupid", "count", "seq"][..]), number()),
        (
            select(
                &["msg", "time", "mid", "name", "password", "token", "groupname", "groupdesc"][..]
            ),
            text()
        ),
        (select(&["ack", "takeover"][..]), scalar()),
    ];
    prop::collection::vec(field, 0..14).prop_map(|mut fields| {
        fields.insert(0, ("msgid", "6".to_owned()));
        object(&fields)
    })
}

/// Changes to a text: at a place (wrapped around), bytes are taken out and
/// others put in.
pub fn spoil(text: &[u8], changes: &[(usize, usize, Vec<u8>)]) -> Vec<u8> {
    let mut spoilt = text.to_vec();
    for (place, taken, put) in changes {
        let start = place % (spoilt.len() + 1);
        let end = (start + taken).min(spoilt.len());
        spoilt.splice(start..end, put.iter().copied());
    }
    spoilt
}

/// Changes for [`spoil`], made of the bytes that mean something in JSON.
pub fn changes() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let byte = prop_oneof![3 => select(&b"{}[]\",:\\u0-e. \n"[..]), 1 => any::<u8>()];
    let put = prop::collection::vec(byte, 0..4);
    prop::collection::vec((any::<usize>(), 0_usize..4, put), 1..4)
}
