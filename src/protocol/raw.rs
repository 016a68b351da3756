//! One pass over a payload: which fields are there, as slices of its text.
//!
//! A field is looked at only by the request that has it, so a wrong type in a
//! field that a request does not know is no error. Of duplicate keys the last
//! stands; unknown keys are passed over without recursion, however deep.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Deserialize, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounds;
use super::errno::Refusal;
use super::plain;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The raw JSON text of every field that some request knows.
        #[derive(Debug, Default, Clone, Copy)]
        pub struct RawRequest<'a> {
            $($(#[$doc])* pub $name: Option<&'a str>,)*
            /// No text in it has an escape.
            is_plain: bool,
        }

        #[allow(non_camel_case_types)]
        enum Key { $($name,)* Unknown }

        impl Key {
            fn of(text: &str) -> Key {
                match text { $(stringify!($name) => Key::$name,)* _ => Key::Unknown }
            }
        }

        impl<'a> RawRequest<'a> {
            fn set(&mut self, key: Key, value: &'a str) {
                // `null` is the same as the field missing.
                let value = Some(value).filter(|text| *text != "null");
                match key { $(Key::$name => self.$name = value,)* Key::Unknown => {} }
            }
        }
    };
}

fields! {
    /// Which message it is.
    msgid,
    /// Echoed in the reply.
    seq,
    /// The sender's own id, or whom to log in.
    id,
    /// A recipient.
    to,
    /// The C++ family's name for `to`.
    toid,
    /// The text of a message.
    msg,
    /// When it was written, as the sender says.
    time,
    /// The sender's own id of the message.
    mid,
    /// A user's name.
    name,
    /// A password.
    password,
    /// Proof of a former login.
    token,
    /// Whether the client confirms pushes.
    ack,
    /// Whether to take a session over.
    takeover,
    /// A friend's id.
    friendid,
    /// A group's name.
    groupname,
    /// A group's description.
    groupdesc,
    /// A group's id.
    groupid,
    /// How many pushes are confirmed.
    count,
}

/// Why a payload could not be read at all: no JSON object with UTF-8 text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A JSON number without fraction or exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integer {
    /// One that fits.
    Small(i64),
    /// One beyond 64 bits: a number still, but nobody's.
    Huge,
}

impl<'a> RawRequest<'a> {
    /// Finds the fields of one payload.
    ///
    /// # Errors
    /// When it is not UTF-8, not JSON, or not one object.
    pub fn read(payload: &'a [u8]) -> Result<RawRequest<'a>, Unreadable> {
        let mut request = RawRequest::default();
        request.fill(payload)?;
        Ok(request)
    }

    /// The same into an empty one, where it stands: it is large, and moving it is most of what a
    /// small payload costs.
    ///
    /// # Errors
    /// As [`RawRequest::read`]; what stands here is then of no use.
    pub fn fill(&mut self, payload: &'a [u8]) -> Result<(), Unreadable> {
        let text = std::str::from_utf8(payload)
            .map_err(|e| Unreadable(format!("the message is not UTF-8: {e}")))?;
        if plain::read(text, |key, value| self.set(Key::of(key), value)).is_some() {
            self.is_plain = true;
            return Ok(());
        }
        if text.trim_start_matches([' ', '\t', '\r', '\n']).as_bytes().first() != Some(&b'{') {
            return Err(Unreadable("the message is not a JSON object".into()));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        *self = json
            .deserialize_map(FieldsVisitor)
            .and_then(|request| json.end().map(|()| request))
            .map_err(|e| Unreadable(format!("the message is not valid JSON: {e}")))?;
        Ok(())
    }

    /// The `msgid`, if there is one and it is an integer.
    pub fn msgid(&self) -> Option<Integer> {
        self.msgid.and_then(integer)
    }

    /// The `seq` to echo. Errors: it is no unsigned 64-bit integer.
    pub fn seq(&self) -> Result<Option<u64>, Refusal> {
        let Some(raw) = self.seq else { return Ok(None) };
        match short_number(raw).or_else(|| raw.parse().ok()) {
            Some(seq) => Ok(Some(seq)),
            None => {
                Err(Refusal::malformed("seq must be an integer from 0 to 18446744073709551615"))
            }
        }
    }

    /// Reads a text field. Errors: missing, no string, a lone surrogate.
    pub(super) fn text(&self, field: &str, raw: Option<&'a str>) -> Result<Cow<'a, str>, Refusal> {
        let raw = required(field, raw)?;
        let Some(text) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Err(Refusal::malformed(format!("{field} must be a string")));
        };
        if self.is_plain || !text.contains('\\') {
            // Without an escape the text between the quotes is the text itself.
            return Ok(Cow::Borrowed(text));
        }
        serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|e| {
            Refusal::malformed(format!("{field} holds an escape that is no text: {e}"))
        })
    }
}

/// Reads an id field. Errors: missing, no integer, out of bounds.
pub(super) fn id(field: &str, raw: Option<&str>) -> Result<u32, Refusal> {
    match integer(required(field, raw)?) {
        Some(Integer::Small(n)) if n >= 1 && n <= i64::from(bounds::MAX_ID) => Ok(n as u32),
        _ => Err(Refusal::malformed(format!(
            "{field} must be an integer from 1 to {}",
            bounds::MAX_ID
        ))),
    }
}

/// Reads a true/false field; missing means false.
pub(super) fn flag(field: &str, raw: Option<&str>) -> Result<bool, Refusal> {
    match raw {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::malformed(format!("{field} must be true or false"))),
    }
}

/// Reads a count; one beyond 63 bits is as good as the largest. Errors:
/// missing, negative, no integer.
pub(super) fn count(field: &str, raw: Option<&str>) -> Result<u64, Refusal> {
    let raw = required(field, raw)?;
    match integer(raw) {
        Some(Integer::Small(n)) if n >= 0 => Ok(n as u64),
        Some(Integer::Huge) if !raw.starts_with('-') => Ok(u64::MAX),
        _ => Err(Refusal::malformed(format!("{field} must be an integer from 0 up"))),
    }
}

fn required<'a>(field: &str, raw: Option<&'a str>) -> Result<&'a str, Refusal> {
    raw.ok_or_else(|| Refusal::malformed(format!("{field} is missing")))
}

/// The most digits that are a number of 63 bits, whichever they are.
const SHORT_DIGITS: usize = 18;

/// The number that a text of so few digits is: nearly every one is that.
fn short_number(text: &str) -> Option<u64> {
    if !(1..=SHORT_DIGITS).contains(&text.len()) {
        return None;
    }
    text.bytes().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

fn integer(text: &str) -> Option<Integer> {
    if let Some(number) = short_number(text) {
        return Some(Integer::Small(number as i64));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().map_or(Integer::Huge, Integer::Small))
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = RawRequest<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut request = RawRequest::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Unknown => {
                    map.next_value::<IgnoredAny>()?;
                }
                known => request.set(known, map.next_value::<&RawValue>()?.get()),
            }
        }
        Ok(request)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key::of(text))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RawRequest<'_> {
        RawRequest::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn of_duplicate_keys_the_last_stands_and_null_is_missing() {
        assert_eq!(read(r#"{"msgid":1,"msgid":6}"#).msgid(), Some(Integer::Small(6)));
        assert_eq!(read(r#"{"msgid":1,"msgid":null}"#).msgid(), None);
    }

    #[test]
    fn an_escaped_key_is_the_same_key() {
        assert_eq!(read(r#"{"m\u0073gid":6}"#).msgid(), Some(Integer::Small(6)));
    }

    #[test]
    fn only_integers_are_integers() {
        for (text, number) in [
            ("0", 0),
            ("-7", -7),
            ("999999999999999999", 999_999_999_999_999_999),
            ("1000000000000000000", 1_000_000_000_000_000_000),
            ("9223372036854775807", i64::MAX),
        ] {
            let found = read(&format!(r#"{{"msgid":{text}}}"#)).msgid();
            assert_eq!(found, Some(Integer::Small(number)));
        }
        for text in ["6.0", "6e0", "\"6\"", "true", "[6]"] {
            assert_eq!(read(&format!(r#"{{"msgid":{text}}}"#)).msgid(), None, "{text}");
        }
        assert_eq!(read(r#"{"msgid":99999999999999999999}"#).msgid(), Some(Integer::Huge));
    }

    #[test]
    fn what_is_no_object_is_refused_without_a_panic() {
        for text in ["", "[]", "6", "null", "{", "{}x", r#"{"a"}"#, r#"{"a":1,}"#, "\u{feff}{}"] {
            assert!(RawRequest::read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(RawRequest::read(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn deep_nesting_in_an_unknown_field_costs_no_stack() {
        let deep = format!("{{\"x\":{}{},\"msgid\":15}}", "[".repeat(100_000), "]".repeat(100_000));
        // Either answer is allowed beyond 20 levels; a crash is not.
        if let Ok(request) = RawRequest::read(deep.as_bytes()) {
            assert_eq!(request.msgid(), Some(Integer::Small(15)));
        }
        let twenty = format!("{{\"x\":{}{},\"msgid\":15}}", "[".repeat(20), "]".repeat(20));
        assert_eq!(read(&twenty).msgid(), Some(Integer::Small(15)));
    }

    #[test]
    fn a_lone_surrogate_is_no_text() {
        let request = read(r#"{"msg":"\ud800"}"#);
        assert!(request.text("msg", request.msg).is_err());
        let request = read(r#"{"msg":"\ud83d\ude00"}"#);
        assert_eq!(request.text("msg", request.msg).unwrap(), "😀");
    }

    #[test]
    fn ids_are_1_to_2147483647() {
        for bad in ["0", "-1", "2147483648", "1.5", "\"1\"", "1e3", "99999999999999999999"] {
            let json = format!(r#"{{"to":{bad}}}"#);
            assert!(id("to", read(&json).to).is_err(), "{bad}");
        }
        assert_eq!(id("to", read(r#"{"to":2147483647}"#).to).unwrap(), 2147483647);
    }

    #[test]
    fn a_seq_is_any_unsigned_64_bit_integer() {
        assert_eq!(read(r#"{"seq":18446744073709551615}"#).seq().unwrap(), Some(u64::MAX));
        for bad in ["-1", "1.0", "\"1\"", "18446744073709551616"] {
            assert!(read(&format!(r#"{{"seq":{bad}}}"#)).seq().is_err(), "{bad}");
        }
    }
}
