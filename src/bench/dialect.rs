//! What is said to the measured server: chat, or the floor's few bytes for the
//! same thing.

use std::io::Write;

use serde::Deserialize;

use super::floor;

/// Whom a stream of messages is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One user.
    User(u32),
    /// A group.
    Group(u32),
}

/// Which message of which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// The stream.
    pub stream: u32,
    /// Counts from 1 within it.
    pub message: u64,
}

/// What a frame from the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// Somebody's message.
    Push(Number),
    /// What became of a message of one's own.
    Answer {
        /// The message.
        number: Number,
        /// 0, or why it was refused.
        errno: u8,
        /// Copies that were stored and not delivered.
        stored: u32,
    },
    /// Something else: it counts for nothing.
    Other,
}

/// How the measured server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// JSON, as the protocol has it.
    Chat,
    /// [`floor`]'s.
    Floor,
}

impl Dialect {
    /// Appends the payload of a message with this text.
    pub fn write_message(self, out: &mut Vec<u8>, to: Target, number: Number, text: &str) {
        if self == Dialect::Floor {
            floor::write_head(out, to, number);
        }
        let Number { stream, message } = number;
        let written = match to {
            Target::User(user) => write!(
                out,
                r#"{{"msgid":6,"seq":{message},"to":{user},"msg":"{text}","mid":"{stream}.{message}"}}"#
            ),
            Target::Group(group) => write!(
                out,
                r#"{{"msgid":10,"seq":{message},"groupid":{group},"msg":"{text}","mid":"{stream}.{message}"}}"#
            ),
        };
        written.expect("a Vec takes everything");
        if self == Dialect::Floor {
            // As many bytes as the chat has, the head among them.
            out.truncate(out.len() - floor::HEAD_BYTES);
        }
    }

    /// Appends the payload of a confirmation of so many pushes.
    pub fn write_confirmation(out: &mut Vec<u8>, count: u64) {
        write!(out, r#"{{"msgid":14,"count":{count}}}"#).expect("a Vec takes everything");
    }

    /// What a payload says.
    pub fn read(self, payload: &[u8]) -> Incoming {
        match self {
            Dialect::Chat => read_fast(payload).unwrap_or_else(|| read_json(payload)),
            Dialect::Floor => floor::read(payload),
        }
    }
}

/// The usual frames, by their fields' usual places: the generator must cost
/// less than what it measures. `None`: look again, thoroughly.
fn read_fast(payload: &[u8]) -> Option<Incoming> {
    if let Some(rest) = payload.strip_prefix(br#"{"msgid":106,"seq":"#) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let rest = rest[digits..].strip_prefix(br#","errno":0,"mid":""#)?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let stored = match &rest[rest.len().saturating_sub(12)..] {
            br#""delivered"}"# => 0,
            _ if rest.ends_with(br#""stored"}"#) => 1,
            _ => return None,
        };
        return Some(Incoming::Answer { number: number(&rest[..end])?, errno: 0, stored });
    }
    if payload.starts_with(br#"{"msgid":6,"#) || payload.starts_with(br#"{"msgid":10,"#) {
        let mid = payload.strip_suffix(br#""}"#)?;
        let start = mid.iter().rposition(|byte| *byte == b'"')? + 1;
        if !mid[..start].ends_with(br#","mid":""#) {
            return None;
        }
        return Some(Incoming::Push(number(&mid[start..])?));
    }
    None
}

/// Any frame, whatever the order of its fields.
fn read_json(payload: &[u8]) -> Incoming {
    #[derive(Deserialize)]
    struct Fields<'a> {
        msgid: u32,
        #[serde(default)]
        errno: u8,
        mid: Option<&'a str>,
        status: Option<&'a str>,
        #[serde(default)]
        stored: u32,
    }
    let Ok(fields) = serde_json::from_slice::<Fields<'_>>(payload) else { return Incoming::Other };
    let number = fields.mid.and_then(|mid| number(mid.as_bytes()));
    match (fields.msgid, number) {
        (6 | 10, Some(number)) => Incoming::Push(number),
        (106 | 110, Some(number)) => {
            let stored = if fields.status == Some("stored") { 1 } else { fields.stored };
            Incoming::Answer { number, errno: fields.errno, stored }
        }
        _ => Incoming::Other,
    }
}

/// Reads `stream.message`.
fn number(mid: &[u8]) -> Option<Number> {
    let dot = mid.iter().position(|byte| *byte == b'.')?;
    let stream = decimal(&mid[..dot])?.try_into().ok()?;
    Some(Number { stream, message: decimal(&mid[dot + 1..])? })
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Number = Number { stream: 12, message: 345 };

    #[test]
    fn what_is_written_is_a_request_of_the_protocol() {
        let mut out = Vec::new();
        Dialect::Chat.write_message(&mut out, Target::User(7), NUMBER, "hello");
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!(
            {"msgid": 6, "seq": 345, "to": 7, "msg": "hello", "mid": "12.345"}
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn both_ways_of_reading_agree() {
        let push = br#"{"msgid":6,"id":1,"name":"a","to":2,"msg":"x\"","time":"t","mid":"12.345"}"#;
        let done = br#"{"msgid":106,"seq":345,"errno":0,"mid":"12.345","to":2,"status":"stored"}"#;
        let answer = Incoming::Answer { number: NUMBER, errno: 0, stored: 1 };
        for (payload, expected) in [(&push[..], Incoming::Push(NUMBER)), (done, answer)] {
            assert_eq!(read_fast(payload), Some(expected));
            assert_eq!(read_json(payload), expected);
        }
    }

    #[test]
    fn other_orders_refusals_and_groups_are_read_thoroughly() {
        let refused = br#"{"errno":12,"mid":"12.345","msgid":106,"errmsg":"slow down"}"#;
        let answer = Incoming::Answer { number: NUMBER, errno: 12, stored: 0 };
        assert_eq!(Dialect::Chat.read(refused), answer);
        let group =
            br#"{"msgid":110,"errno":0,"mid":"12.345","groupid":1,"delivered":2,"stored":3}"#;
        let answer = Incoming::Answer { number: NUMBER, errno: 0, stored: 3 };
        assert_eq!(Dialect::Chat.read(group), answer);
        assert_eq!(Dialect::Chat.read(br#"{"msgid":115,"errno":0}"#), Incoming::Other);
        assert_eq!(Dialect::Chat.read(b"nonsense"), Incoming::Other);
    }
}
