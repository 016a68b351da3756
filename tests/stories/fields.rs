//! Every field of every request, given everything that it must not be: the
//! refusal is that request's own reply, echoes `seq` and names the field.

use serde_json::{Value, json};

use crate::support::client::{TestClient, reply_number};
use crate::support::door::{Door, Person, User};
use crate::support::wire::frame;
use crate::support::world::World;

stories! { once:
    a_field_of_the_wrong_kind_is_refused_whichever_request_it_is_in,
    a_field_that_must_be_there_is_missed,
    a_seq_that_is_no_u64_is_refused_whichever_request_it_is_in,
    an_optional_field_may_be_null,
    the_id_of_another_is_refused_before_the_rest,
    without_a_login_nothing_of_a_request_is_looked_at,
}

/// What a field holds, and so what it must not hold.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// An id of a user or of a group.
    Id,
    /// An integer from 0 up.
    Count,
    /// A boolean.
    Flag,
    /// Any string.
    Text,
    /// A string of so many characters, with no control characters in it.
    Name,
    /// A string of up to so many characters.
    Characters(usize),
    /// A string of so many bytes.
    Bytes(usize, usize),
}

use Kind::{Bytes, Characters, Count, Flag, Id, Name, Text};

/// What is no integer, whatever bounds that may have.
const NO_INTEGERS: [&str; 13] = [
    "true", "\"1\"", "\"\"", "[]", "[1]", "{}", "1.0", "1.5", "1e0", "1E2", "-1e-1", "1e400",
    "1e-400",
];

/// Integers that are no ids.
const NO_IDS: [&str; 9] = [
    "0",
    "-0",
    "-1",
    "2147483648",
    "4294967297",
    "9223372036854775808",
    "18446744073709551616",
    "18446744073709551617",
    "-9223372036854775809",
];

const NO_STRINGS: [&str; 9] =
    ["0", "7", "-1", "1.5", "1e400", "true", "false", "[\"x\"]", "{\"x\":\"x\"}"];

/// Strings that are no text.
const NO_TEXTS: [&str; 4] = ["\"\\ud800\"", "\"\\udc00x\"", "\"\\ud800\\ud800\"", "\"x\\udfff\""];

impl Kind {
    /// JSON that a field of this kind is refused for.
    fn wrong_values(self) -> Vec<String> {
        let own = |values: &[&[&str]]| values.concat().into_iter().map(String::from).collect();
        let string = |text: String| format!("\"{text}\"");
        let mut wrong: Vec<String> = match self {
            Id => own(&[&NO_INTEGERS, &NO_IDS]),
            Count => own(&[&NO_INTEGERS, &["-1", "-9223372036854775809"]]),
            Flag => own(&[&["0", "1", "\"true\"", "\"\"", "[]", "[true]", "{}", "1.0"]]),
            Text | Name | Characters(_) | Bytes(..) => own(&[&NO_STRINGS, &NO_TEXTS]),
        };
        match self {
            Name => {
                let ends =
                    ["", " ", " x", "x ", "\u{a0}x", "x\u{3000}", "x\u{2028}", "\\tx", "x\\n"];
                let controls = ["a\\u0000b", "a\\u001fb", "a\u{7f}b", "a\u{85}b", "a\u{9f}b"];
                wrong.extend([&ends[..], &controls].concat().into_iter().map(|t| string(t.into())));
                wrong.extend([string("n".repeat(51)), string("😀".repeat(51))]);
            }
            Characters(most) => wrong.push(string("é".repeat(most + 1))),
            Bytes(least, most) => {
                wrong.extend([string("b".repeat(most + 1)), string("é".repeat(most / 2 + 1))]);
                if least > 0 {
                    wrong.push(string(String::new()));
                }
            }
            Id | Count | Flag | Text => {}
        }
        wrong
    }
}

/// One request as section 3 of the protocol has it.
struct Message {
    msgid: i64,
    /// The fields that it must have, with a good value each.
    needs: &'static [(&'static str, Kind, &'static str)],
    /// Those that may be missing.
    may_have: &'static [(&'static str, Kind)],
    /// What it comes to as it stands: nothing is done, so that it can be said
    /// again and again.
    errno: i64,
}

const PASSWORD: Kind = Bytes(1, 128);
const CHAT: [(&str, Kind); 2] = [("time", Bytes(0, 64)), ("mid", Bytes(1, 64))];
const NOBODY: &str = "2147483647";

/// Every request, some in the several forms that they have. The name `taken`
/// is, for users and for groups. LOGINOUT_MSG is the last, since it is done.
const MESSAGES: [Message; 16] = [
    Message {
        msgid: 1,
        needs: &[("id", Id, NOBODY), ("password", PASSWORD, "\"p\"")],
        may_have: &[("ack", Flag), ("takeover", Flag)],
        errno: 1,
    },
    Message {
        msgid: 1,
        needs: &[("name", Name, "\"nobody\""), ("password", PASSWORD, "\"p\"")],
        may_have: &[("ack", Flag), ("takeover", Flag)],
        errno: 1,
    },
    Message {
        msgid: 1,
        needs: &[("id", Id, NOBODY), ("token", Text, "\"t\"")],
        may_have: &[("ack", Flag), ("takeover", Flag)],
        errno: 1,
    },
    Message {
        msgid: 4,
        needs: &[("name", Name, "\"taken\""), ("password", PASSWORD, "\"p\"")],
        may_have: &[],
        errno: 1,
    },
    Message {
        msgid: 6,
        needs: &[("to", Id, NOBODY), ("msg", Text, "\"x\"")],
        may_have: &CHAT,
        errno: 6,
    },
    Message {
        msgid: 6,
        needs: &[("toid", Id, NOBODY), ("msg", Text, "\"x\"")],
        may_have: &CHAT,
        errno: 6,
    },
    Message { msgid: 7, needs: &[("friendid", Id, NOBODY)], may_have: &[], errno: 6 },
    Message {
        msgid: 8,
        needs: &[("groupname", Name, "\"taken\"")],
        may_have: &[("groupdesc", Characters(200))],
        errno: 1,
    },
    Message { msgid: 9, needs: &[("groupid", Id, NOBODY)], may_have: &[], errno: 7 },
    Message {
        msgid: 10,
        needs: &[("groupid", Id, NOBODY), ("msg", Text, "\"x\"")],
        may_have: &CHAT,
        errno: 7,
    },
    Message { msgid: 11, needs: &[("groupid", Id, NOBODY)], may_have: &[], errno: 7 },
    Message { msgid: 12, needs: &[("friendid", Id, NOBODY)], may_have: &[], errno: 6 },
    Message { msgid: 13, needs: &[], may_have: &[], errno: 0 },
    Message { msgid: 14, needs: &[("count", Count, "0")], may_have: &[], errno: 0 },
    Message { msgid: 15, needs: &[], may_have: &[], errno: 0 },
    Message { msgid: 3, needs: &[], may_have: &[], errno: 0 },
];

impl Message {
    /// The fields of a good one, as JSON.
    fn fields(&self) -> Vec<(&'static str, String)> {
        self.needs.iter().map(|(field, _, good)| (*field, (*good).to_owned())).collect()
    }

    /// Every field that it looks at, but for `seq`.
    fn kinds(&self) -> Vec<(&'static str, Kind)> {
        let mut kinds: Vec<_> = self.needs.iter().map(|(field, kind, _)| (*field, *kind)).collect();
        kinds.extend(self.may_have);
        if !kinds.iter().any(|(field, _)| *field == "id") {
            kinds.push(("id", Id));
        }
        kinds
    }

    /// A good one but for this field.
    fn with(&self, field: &'static str, value: &str) -> Vec<(&'static str, String)> {
        let mut fields = self.fields();
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value.to_owned()));
        fields
    }
}

/// Where the requests are said: a login only where nobody is logged in.
struct Table {
    nobody: TestClient,
    alice: TestClient,
    bob: Person,
    last_seq: u64,
}

impl Table {
    #[track_caller]
    fn set(world: &World) -> Table {
        let door = world.near();
        door.register("taken");
        let mut alice = door.enter("alice");
        alice.create_group("taken", "");
        Table { nobody: door.connect(), alice, bob: door.register("bob"), last_seq: 0 }
    }

    /// Says a request with a `seq` and checks what comes back: this errno, in
    /// the reply to that request, with its `seq`.
    #[track_caller]
    fn expect(
        &mut self,
        message: &Message,
        fields: &[(&'static str, String)],
        errno: i64,
    ) -> Value {
        self.last_seq += 1;
        let mut fields = fields.to_vec();
        fields.push(("seq", self.last_seq.to_string()));
        let reply = self.answer(message.msgid, &fields, errno);
        assert_eq!(reply["seq"], self.last_seq, "{fields:?}: {reply}");
        reply
    }

    #[track_caller]
    fn answer(&mut self, msgid: i64, fields: &[(&str, String)], errno: i64) -> Value {
        let client = if msgid == 1 { &mut self.nobody } else { &mut self.alice };
        answer(client, msgid, fields, errno)
    }

    /// Checks that a request comes to what it should with these fields: that
    /// what is refused elsewhere is refused for nothing else in it.
    #[track_caller]
    fn expect_unhindered(&mut self, message: &Message, fields: &[(&'static str, String)]) {
        if message.msgid == 14 {
            self.alice.send_bytes(&frame(text_of(14, fields).as_bytes()));
            // It has no reply: the next one is the ping's.
            self.alice.ping();
        } else {
            self.expect(message, fields, message.errno);
        }
    }
}

/// The text of a request.
fn text_of(msgid: i64, fields: &[(&str, String)]) -> String {
    let fields: String =
        fields.iter().map(|(field, value)| format!(",\"{field}\":{value}")).collect();
    format!("{{\"msgid\":{msgid}{fields}}}")
}

#[track_caller]
fn answer(client: &mut TestClient, msgid: i64, fields: &[(&str, String)], errno: i64) -> Value {
    let text = text_of(msgid, fields);
    let reply = client.say(&text);
    assert_eq!(reply.errno(), errno, "{text}: {reply:?}");
    // Only a confirm has no reply of its own.
    let number = if msgid == 14 { 200 } else { reply_number(msgid) };
    assert_eq!(reply["msgid"], number, "{text}");
    (*reply).clone()
}

fn a_field_of_the_wrong_kind_is_refused_whichever_request_it_is_in(world: &World) {
    let mut table = Table::set(world);
    for message in &MESSAGES {
        for (field, kind) in message.kinds() {
            for wrong in kind.wrong_values() {
                let refusal = table.expect(message, &message.with(field, &wrong), 4);
                let why = refusal["errmsg"].as_str().unwrap();
                assert!(why.contains(field), "errmsg names {field}, {wrong} in it: {why}");
            }
        }
        table.expect_unhindered(message, &message.fields());
    }
}

fn a_field_that_must_be_there_is_missed(world: &World) {
    let mut table = Table::set(world);
    for message in &MESSAGES {
        for (field, ..) in message.needs {
            let mut without = message.fields();
            without.retain(|(name, _)| name != field);
            // `null` says the same as nothing.
            for fields in [without, message.with(field, "null")] {
                let refusal = table.expect(message, &fields, 4);
                let why = refusal["errmsg"].as_str().unwrap();
                assert!(why.contains("missing"), "without {field}: {why}");
            }
        }
    }
}

fn an_optional_field_may_be_null(world: &World) {
    let mut table = Table::set(world);
    for message in &MESSAGES {
        let mut fields = message.fields();
        for (field, _) in message.kinds() {
            if !fields.iter().any(|(name, _)| *name == field) {
                fields.push((field, "null".into()));
            }
        }
        table.expect_unhindered(message, &fields);
    }
}

fn a_seq_that_is_no_u64_is_refused_whichever_request_it_is_in(world: &World) {
    let mut table = Table::set(world);
    let wrong = ["-1", "-9223372036854775809", "18446744073709551616", "9".repeat(400).leak()];
    for message in &MESSAGES {
        for seq in NO_INTEGERS.iter().chain(&wrong) {
            let refusal = table.answer(message.msgid, &message.with("seq", seq), 4);
            assert!(refusal.get("seq").is_none(), "{seq}: {refusal}");
        }
    }
}

fn the_id_of_another_is_refused_before_the_rest(world: &World) {
    let mut table = Table::set(world);
    let bob = table.bob.id.to_string();
    for message in MESSAGES.iter().filter(|message| message.msgid != 1) {
        table.expect(message, &message.with("id", &bob), 5);
        // What is malformed is named first.
        for (field, ..) in message.needs {
            let mut fields = message.with(field, "[]");
            fields.push(("id", bob.clone()));
            table.expect(message, &fields, 4);
        }
        let own = table.alice.id().to_string();
        table.expect_unhindered(message, &message.with("id", &own));
    }
}

fn without_a_login_nothing_of_a_request_is_looked_at(world: &World) {
    let mut nobody = world.near().connect();
    for message in MESSAGES.iter().filter(|message| ![1, 4, 15].contains(&message.msgid)) {
        let mut good = message.fields();
        good.push(("seq", "7".into()));
        assert_eq!(answer(&mut nobody, message.msgid, &good, 3)["seq"], 7);
        let mut bad: Vec<_> =
            message.kinds().into_iter().map(|(field, _)| (field, "[]".to_owned())).collect();
        bad.push(("seq", "-1".into()));
        let refusal = answer(&mut nobody, message.msgid, &bad, 3);
        assert_eq!(refusal.get("seq"), None, "{refusal}");
    }
    // What needs no login is read all the same.
    for msgid in [4, 15] {
        let fields = [("id", "0".to_owned()), ("name", json!("n").to_string())];
        answer(&mut nobody, msgid, &fields, 4);
    }
}
