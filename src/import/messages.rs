//! The old pushes, as ours: `{"msgid":6,"id":1,"name":"zhang san","toid":2,
//! "msg":"hello","time":"…"}`, and with `groupid` in place of `toid` for a group.
//!
//! The msgids differ within the family, so the fields tell which it is; and the
//! recipient is the row's.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::oddity::{Oddities, Oddity};
use crate::model::{GroupId, UserId};
use crate::protocol::bounds::{MAX_ID, MAX_NAME_CHARS, check_time};
use crate::protocol::push::{Target, push};
use crate::protocol::reply::MAX_PAYLOAD_BYTES;

/// A missed message, ready to be stored.
pub struct NewMessage {
    pub to: UserId,
    pub sender: UserId,
    pub mid: Arc<[u8]>,
    pub body: Arc<[u8]>,
}

/// Makes old pushes ours.
pub struct Translator<'a> {
    /// The name that a user has here; `None`: there is no such user.
    name_of: &'a dyn Fn(UserId) -> Option<&'a str>,
    /// How often a recipient had the very same push: who said "hi" twice within
    /// a second said it twice.
    seen: FxHashMap<(UserId, [u8; DIGEST_BYTES]), u32>,
}

/// So much of a hash names a message.
const DIGEST_BYTES: usize = 16;

impl<'a> Translator<'a> {
    /// Nothing was translated yet.
    pub fn new(name_of: &'a dyn Fn(UserId) -> Option<&'a str>) -> Translator<'a> {
        Translator { name_of, seen: FxHashMap::default() }
    }

    /// The message of a row; `None`: it is left out, and noted why.
    pub fn translate(
        &mut self,
        to: UserId,
        old: &[u8],
        oddities: &mut Oddities,
    ) -> Option<NewMessage> {
        // Never the text: it is nobody's business but the recipient's.
        let mut note = |oddity| {
            oddities.note(oddity, || format!("to user {to}, {} bytes", old.len()));
        };
        let Some((fields, was_raw)) = read(old) else {
            note(Oddity::MessageNoJson);
            return None;
        };
        let Some(sender) = id(&fields, "id").map(UserId) else {
            note(Oddity::MessageOfNobody);
            return None;
        };
        let target = match fields.get("groupid") {
            None => Target::User(to),
            Some(_) => match id(&fields, "groupid") {
                Some(group) => Target::Group(GroupId(group)),
                None => {
                    note(Oddity::MessageBadGroup);
                    return None;
                }
            },
        };
        let time = fields.get("time").and_then(Value::as_str);
        let time = time.filter(|time| check_time(time).is_ok());
        let claimed = fields.get("name").and_then(Value::as_str);
        let known = (self.name_of)(sender);
        let name = known.map_or_else(|| stranger(claimed, sender), str::to_owned);
        let mid = self.mid(to, old);
        let text = fields.get("msg").filter(|text| text.is_string());
        let body = text.map(|text| {
            let time = Value::from(time.unwrap_or_default()).to_string();
            push(target, sender, &name, &text.to_string(), &time, &format!("\"{mid}\""))
        });
        let Some(body) = body.filter(|body| body.len() <= MAX_PAYLOAD_BYTES) else {
            note(Oddity::MessageNoText);
            return None;
        };
        for (oddity, is_so) in [
            (Oddity::NotUtf8, std::str::from_utf8(old).is_err()),
            (Oddity::MessageRawControls, was_raw),
            (Oddity::MessageBadTime, time.is_none()),
            (Oddity::MessageUnknownSender, known.is_none()),
        ] {
            if is_so {
                note(oddity);
            }
        }
        Some(NewMessage { to, sender, mid: mid.as_bytes().into(), body })
    }

    /// The same for the same row each time, so that a second import finds the
    /// first one's; and, as for every message to a group, for all members.
    fn mid(&mut self, to: UserId, old: &[u8]) -> String {
        let hash = Sha256::digest(old);
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&hash[..DIGEST_BYTES]);
        let count = self.seen.entry((to, digest)).or_default();
        *count += 1;
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match count {
            1 => format!("import-{digits}"),
            count => format!("import-{digits}-{count}"),
        }
    }
}

/// The fields, and whether control characters had to be escaped first: the
/// originals put the JSON text into SQL as it is, and the database takes `\n`
/// there for the end of a line.
fn read(old: &[u8]) -> Option<(Map<String, Value>, bool)> {
    // Some of the originals count the NUL at the end of a C string.
    let text = String::from_utf8_lossy(old);
    let text = text.trim_end_matches('\0');
    if let Ok(fields) = serde_json::from_str(text) {
        return Some((fields, false));
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.trim().chars() {
        match c {
            '\0'..='\u{1f}' => escaped += &format!("\\u{:04x}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    serde_json::from_str(&escaped).ok().map(|fields| (fields, true))
}

fn id(fields: &Map<String, Value>, key: &str) -> Option<u32> {
    let id = u32::try_from(fields.get(key)?.as_u64()?).ok()?;
    (1..=MAX_ID).contains(&id).then_some(id)
}

/// What somebody is called who is no user.
fn stranger(claimed: Option<&str>, sender: UserId) -> String {
    let name = claimed.unwrap_or_default().replace(char::is_control, " ");
    let name = super::names::cut(name.trim(), MAX_NAME_CHARS).trim_end();
    if name.is_empty() { format!("user-{sender}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BOB: UserId = UserId(2);

    fn translate(rows: &[&str]) -> (Vec<NewMessage>, Oddities) {
        let name_of = |user: UserId| (user == UserId(1)).then_some("alice");
        let mut translator = Translator::new(&name_of);
        let mut oddities = Oddities::default();
        let all =
            rows.iter().filter_map(|row| translator.translate(BOB, row.as_bytes(), &mut oddities));
        (all.collect(), oddities)
    }

    fn body(message: &NewMessage) -> Value {
        let mut body: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(body["mid"].as_str().unwrap().as_bytes(), &*message.mid);
        body.as_object_mut().unwrap().remove("mid");
        body
    }

    #[test]
    fn an_old_push_becomes_ours() {
        let (new, oddities) = translate(&[
            r#"{"id":1,"msg":"a\"b 你好","msgid":6,"name":"whoever","time":"2022-02-22 00:43:59","toid":9}"#,
            r#"{"groupid":7,"id":1,"msg":"hi","msgid":10,"name":"alice","time":"t"}"#,
        ]);
        assert_eq!(oddities.iter().count(), 0);
        assert_eq!(
            body(&new[0]),
            json!({"msgid":6,"id":1,"name":"alice","to":2,"msg":"a\"b 你好","time":"2022-02-22 00:43:59"})
        );
        assert_eq!(
            body(&new[1]),
            json!({"msgid":10,"id":1,"name":"alice","groupid":7,"msg":"hi","time":"t"})
        );
    }

    #[test]
    fn each_row_has_its_own_mid_and_the_same_each_time() {
        let row = r#"{"id":1,"msg":"hi","time":"t"}"#;
        let other = r#"{"id":1,"msg":"ho","time":"t"}"#;
        let mids = |rows: &[&str]| -> Vec<Arc<[u8]>> {
            translate(rows).0.into_iter().map(|message| message.mid).collect()
        };
        let first = mids(&[row, other, row]);
        assert_eq!(first, mids(&[row, other, row]));
        assert!(first[0] != first[1] && first[0] != first[2] && first[1] != first[2]);
        assert!(first.iter().all(|mid| (1..=64).contains(&mid.len())));
    }

    #[test]
    fn what_can_be_mended_is_kept() {
        let (new, oddities) = translate(&[
            "{\"id\":1,\"msg\":\"two\nlines\",\"time\":\"t\"}\0",
            r#"{"id":9,"msg":"m","name":"carol\u0007","time":"t"}"#,
            r#"{"id":1,"msg":"m"}"#,
        ]);
        assert_eq!(body(&new[0])["msg"], "two\nlines");
        assert_eq!(body(&new[1])["name"], "carol");
        assert_eq!(body(&new[2])["time"], "");
        for oddity in
            [Oddity::MessageRawControls, Oddity::MessageUnknownSender, Oddity::MessageBadTime]
        {
            assert_eq!(oddities.count(oddity), 1, "{oddity:?}");
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let (new, oddities) = translate(&[
            "",
            "[1]",
            r#"{"id":1,"msg":"cut o"#,
            r#"{"msg":"m","time":"t"}"#,
            r#"{"id":0,"msg":"m","time":"t"}"#,
            r#"{"id":1,"time":"t"}"#,
            r#"{"id":1,"groupid":"x","msg":"m","time":"t"}"#,
        ]);
        assert!(new.is_empty());
        for (oddity, count) in [
            (Oddity::MessageNoJson, 3),
            (Oddity::MessageOfNobody, 2),
            (Oddity::MessageNoText, 1),
            (Oddity::MessageBadGroup, 1),
        ] {
            assert_eq!(oddities.count(oddity), count, "{oddity:?}");
        }
    }
}
