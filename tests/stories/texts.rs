//! Whatever people write stays as they wrote it: pushed at once, and kept in
//! either database until it is asked for.

use serde_json::{Value, json};

use crate::support::client::TestClient;
use crate::support::door::{Door, Person, User};
use crate::support::wire::frame;
use crate::support::world::World;

stories! { databases:
    any_text_is_kept_exactly,
    a_message_as_long_as_a_frame_arrives_whole,
    escapes_are_passed_on_as_they_were_written,
    any_mid_and_any_time_is_kept_exactly,
    mids_that_look_alike_are_different_messages,
    any_name_is_kept_exactly,
    groups_may_have_any_name_and_description,
    a_password_is_compared_to_the_byte,
}

mod at_the_largest {
    use super::*;

    stories! { once [&[("--max-frame", "16777215")]]:
        a_message_is_taken_up_to_the_byte_where_its_push_fits_no_frame
    }

    /// The longest frame that there is.
    const LONGEST: usize = 16_777_215;

    fn a_message_is_taken_up_to_the_byte_where_its_push_fits_no_frame(world: &World) {
        let mut alice = world.near().enter("alice");
        let mut bob = world.far().enter("bob");
        let (person, group) = (bob.person(), alice.create_group("g", ""));
        bob.join(group).done();
        let one = json!({"msgid": 6, "to": person.id, "msg": "", "time": "t", "mid": "m"});
        let all = json!({"msgid": 10, "groupid": group, "msg": "", "time": "t", "mid": "n"});
        // The longest text whose push has all of its fields, and a byte more.
        let id = alice.id();
        let room = |chat: &Value| {
            let mut push = chat.clone();
            push["id"] = json!(id);
            push["name"] = json!("alice");
            LONGEST - push.to_string().len()
        };
        let with = |chat: &Value, length: usize| {
            let mut chat = chat.clone();
            chat["msg"] = json!("x".repeat(length));
            chat
        };
        let refusal = alice.request(with(&one, room(&one) + 1)).refused(11);
        assert_eq!((&refusal["mid"], &refusal["to"]), (&json!("m"), &json!(person.id)));
        let refusal = alice.request(with(&all, room(&all) + 1)).refused(11);
        assert_eq!((&refusal["mid"], &refusal["groupid"]), (&json!("n"), &json!(group)));
        bob.expect_no_push();
        // No socket takes that much before its reader has begun.
        let posted = alice.send(with(&one, room(&one)));
        assert_eq!(bob.next_text().len(), room(&one));
        assert_eq!(alice.status(posted), "delivered");
        bob.log_out();
        assert_eq!(alice.request(with(&all, room(&all))).done()["stored"], 1);
        bob.log_in(&person).done();
        assert_eq!(bob.texts_since_login(1)[0].len(), room(&all));
        bob.expect_no_push();
    }
}

/// Texts that others lost, cut or took for something else.
pub fn awkward_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "  two blanks at each end  ",
        "it's \"quoted\" and `ticked`",
        "'); DROP TABLE OfflineMessage; --",
        "100% \\_ \\% \\' \\0 \\n * ? ; /* */ # ${x} $1 {} %s",
        "ends with a backslash \\",
        "chat:7:with:colons",
        "line\nbreak\r\n\ttab",
        "null \0 inside, \0\0",
        "\0",
        "{\"msgid\":3}",
        "\\u0000 \\ud800 written out",
        "😀👩\u{200d}👩\u{200d}👧 日本語 \u{1f3f4}\u{e0067}\u{e0062}",
        "e\u{301} is not é, Z\u{351}\u{324}a\u{360}lgo \u{301}",
        "\u{feff}bom \u{2028} separators \u{2029} \u{fffd}\u{ffff}\u{10ffff}",
        "\u{202e}right to left, עברית \u{2067}العربية\u{2069}",
        "\u{7f}\u{80}\u{85}\u{9f}\u{1b}[31mred",
        "\u{a0}blanks\u{3000}",
    ]
    .map(String::from)
    .to_vec();
    texts.push("long ".repeat(5_000));
    texts
}

fn any_text_is_kept_exactly(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let texts = awkward_texts();
    for text in &texts {
        assert_eq!(alice.tell(&bob, text), "delivered");
        assert_eq!(&bob.next_text(), text);
    }
    let person = bob.person();
    bob.log_out();
    for text in &texts {
        assert_eq!(alice.tell(&person, text), "stored");
    }
    bob.log_in(&person).done();
    assert_eq!(bob.texts_since_login(texts.len()), texts);
}

/// A text such that its request fills a frame of the default limit to the
/// byte, and that request.
fn largest(to: &Person, letter: &str) -> (String, Vec<u8>) {
    let request = |text: &str| json!({"msgid": 6, "to": to.id, "msg": text, "seq": 0}).to_string();
    let room = 65_536 - request("").len();
    let mut text = letter.repeat(room / letter.len());
    text.push_str(&"x".repeat(room % letter.len()));
    let request = request(&text);
    assert_eq!(request.len(), 65_536);
    (text, frame(request.as_bytes()))
}

fn a_message_as_long_as_a_frame_arrives_whole(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let person = bob.person();
    // The push has more fields than the request, and offlinemsg escapes it all.
    let mut texts = vec!["\"\\\n".repeat(65_000 / 6)];
    assert_eq!(alice.tell(&person, &texts[0]), "delivered");
    let mut requests = Vec::new();
    for letter in ["x", "é", "😀"] {
        let (text, request) = largest(&person, letter);
        assert_eq!(alice.say_bytes(&request).done()["status"], "delivered");
        texts.push(text);
        requests.push(request);
    }
    assert!(bob.next_texts(texts.len()) == texts);
    bob.log_out();
    assert_eq!(alice.tell(&person, &texts[0]), "stored");
    for request in requests {
        assert_eq!(alice.say_bytes(&request).done()["status"], "stored");
    }
    assert_eq!(alice.tell(&person, "short"), "stored");
    texts.push("short".into());
    bob.log_in(&person).done();
    assert!(bob.texts_since_login(texts.len()) == texts);
    bob.log_out();
    bob.log_in(&person).done();
    assert_eq!(bob.missed_texts(), [""; 0]);
    bob.expect_no_push();
}

fn escapes_are_passed_on_as_they_were_written(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let person = bob.person();
    let written = r#"\u0041\/\u002f \ud83d\uDE00 \b\f\n\r\t\"\\ \u0000\u007F é"#;
    let meant = "A// 😀 \u{8}\u{c}\n\r\t\"\\ \0\u{7f} é";
    let request =
        format!(r#"{{"msgid":6,"to":{},"msg":"{written}","time":"\u0041\/"}}"#, person.id);
    assert_eq!(alice.say(&request).done()["status"], "delivered");
    let push = bob.next_push();
    assert_eq!((&push["msg"], &push["time"]), (&json!(meant), &json!("A/")));
    bob.log_out();
    assert_eq!(alice.say(&request).done()["status"], "stored");
    bob.log_in(&person).done();
    let missed = bob.welcome()["offlinemsg"][0].as_str().unwrap();
    assert!(missed.contains(&format!(r#""msg":"{written}""#)), "{missed}");
    assert!(missed.contains(r#""time":"\u0041\/""#), "{missed}");
    assert_eq!(bob.missed_texts(), [meant]);
}

fn any_mid_and_any_time_is_kept_exactly(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let person = bob.person();
    let mut texts = awkward_texts();
    texts.retain(|text| (1..=64).contains(&text.len()));
    texts.push("😀".repeat(16));
    let mut tell = |text: &str, status: &str| {
        let request = json!({"msgid": 6, "to": person.id, "msg": "", "mid": text, "time": text});
        let reply = alice.request(request).done();
        assert_eq!((&reply["mid"], &reply["status"]), (&json!(text), &json!(status)));
    };
    for text in &texts {
        tell(text, "delivered");
        let push = bob.next_push();
        assert_eq!((&push["mid"], &push["time"]), (&json!(text), &json!(text)));
    }
    bob.log_out();
    for text in &texts {
        tell(text, "stored");
    }
    bob.log_in(&person).done();
    let missed = bob.missed();
    let field = |name: &str| -> Vec<Value> { missed.iter().map(|m| m[name].clone()).collect() };
    assert_eq!(field("mid"), texts);
    assert_eq!(field("time"), texts);
}

fn mids_that_look_alike_are_different_messages(world: &World) {
    let mut alice = world.near().enter("alice");
    let bob = world.far().register("bob");
    let mids = [
        "m",
        "M",
        "m ",
        " m",
        "m\0",
        "\0m",
        "m\t",
        "ḿ",
        "m\u{301}",
        "m\u{200b}",
        "ｍ",
        "1",
        "01",
        "1.0",
    ];
    for mid in mids.iter().chain(&mids) {
        let request = json!({"msgid": 6, "to": bob.id, "msg": mid, "mid": mid});
        assert_eq!(alice.request(request).done()["status"], "stored");
    }
    assert_eq!(world.far().login(&bob).missed_texts(), mids);
}

/// Names that somebody may have taken for something else.
const AWKWARD_NAMES: [&str; 22] = [
    "x' OR '1'='1",
    "'; DROP TABLE User; --",
    "a\" OR \"1\"=\"1",
    "back\\slash\\",
    "100%_",
    "`x`",
    "/* x */ # --",
    "${name} {} %s",
    "NULL",
    "null",
    "0",
    "{\"id\":1}",
    "a  b",
    "a\u{3000}b",
    "😀👩\u{200d}👧",
    "עברית \u{202e}x",
    "e\u{301}",
    "é",
    "É",
    "\u{200b}x",
    "\u{feff}x",
    "日本語",
];

fn any_name_is_kept_exactly(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut people = Vec::new();
    for name in AWKWARD_NAMES {
        let person = world.far().register(name);
        assert_eq!(alice.befriend(&person).done()["name"], name);
        alice.register(name, "p").refused(1);
        people.push(person);
    }
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&alice.request(json!({"msgid": 13})).done()["friends"]), AWKWARD_NAMES);
    for person in people.iter().step_by(5) {
        // By its name somebody is found, and nobody else.
        let mut client = world.far().connect();
        let login = json!({"msgid": 1, "name": person.name, "password": person.password});
        let welcome = client.log_in_with(person, login).done();
        assert_eq!((&welcome["id"], &welcome["name"]), (&json!(person.id), &json!(person.name)));
        assert_eq!(client.tell(&alice, "it's me"), "delivered");
        assert_eq!(alice.next_push()["name"], person.name);
        let away = alice.person();
        alice.log_out();
        assert_eq!(client.tell(&away, "where are you?"), "stored");
        alice.log_in(&away).done();
        assert_eq!(alice.missed()[0]["name"], person.name);
        assert_eq!(names(&alice.welcome()["friends"]), AWKWARD_NAMES);
    }
}

fn groups_may_have_any_name_and_description(world: &World) {
    let mut alice = world.near().enter("alice");
    let mut bob = world.far().enter("bob");
    let mut descriptions = awkward_texts();
    descriptions.retain(|text| text.chars().count() <= 200);
    let mut expected = Vec::new();
    for (name, description) in AWKWARD_NAMES.iter().zip(descriptions.iter().cycle()) {
        let group = alice.create_group(name, description);
        alice.request(json!({"msgid": 8, "groupname": name})).refused(1);
        let joined = bob.join(group).done();
        assert_eq!(
            (&joined["groupname"], &joined["groupdesc"]),
            (&json!(name), &json!(description))
        );
        expected.push((json!(group), json!(name), json!(description)));
    }
    let person = bob.person();
    bob.log_out();
    bob.log_in(&person).done();
    let groups = bob.welcome()["groups"].as_array().unwrap().iter();
    let got: Vec<_> =
        groups.map(|g| (g["id"].clone(), g["groupname"].clone(), g["groupdesc"].clone())).collect();
    assert_eq!(got, expected);
}

fn a_password_is_compared_to_the_byte(world: &World) {
    // Each with what somebody else may have made of it.
    let passwords = [
        (" Blanks ", "Blanks"),
        ("CaSe", "case"),
        ("x' OR '1'='1", "x"),
        ("before\0after", "before"),
        ("\n\t\u{7f}", "\n\t"),
        ("\u{e9}", "e\u{301}"),
        (&"😀".repeat(32), &"😀".repeat(31)),
    ];
    for (number, (password, other)) in passwords.into_iter().enumerate() {
        let name = format!("user {number}");
        let mut client: TestClient = world.near().connect();
        let id = client.register(&name, password).done()["id"].clone();
        let login = |password: &str| json!({"msgid": 1, "id": id, "password": password});
        let mut elsewhere = world.far().connect();
        elsewhere.request(login(other)).refused(1);
        elsewhere.request(login(password)).done();
    }
}
