//! What a client of the C++ family makes of what it receives: fields are read
//! without a look whether they are there, and what would have aborted it fails
//! the test.

use serde_json::Value;

/// What a login's answer shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Welcome {
    /// `name:state`.
    pub friends: Vec<String>,
    /// `groupname (groupdesc): name:role, …`.
    pub groups: Vec<String>,
    pub missed: Vec<Message>,
    /// Bytes of the whole object.
    pub bytes: usize,
}

/// A message as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub from: i64,
    pub name: String,
    pub text: String,
    /// The group, if it went to one.
    pub group: Option<i64>,
}

/// Parses one object, which their library would have written the same.
#[track_caller]
pub fn parse(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert!(value.is_object(), "{text}");
    assert_eq!(text, value.to_string(), "not compact, or not in order");
    value
}

/// `js[key].get<int>()`.
#[track_caller]
pub fn int(js: &Value, key: &str) -> i64 {
    js[key].as_i64().unwrap_or_else(|| panic!("the client aborts: no number {key} in {js}"))
}

/// `js[key].get<string>()`.
#[track_caller]
pub fn string(js: &Value, key: &str) -> String {
    let text = js[key].as_str();
    text.unwrap_or_else(|| panic!("the client aborts: no text {key} in {js}")).to_owned()
}

/// `vector<string> vec = js[key]`, each of which it parses.
#[track_caller]
fn objects(js: &Value, key: &str) -> Vec<Value> {
    let Some(list) = js[key].as_array() else { panic!("the client aborts: no {key} in {js}") };
    assert!(!list.is_empty(), "an empty list is left out: {key} in {js}");
    let text = |entry: &Value| parse(entry.as_str().expect("lists hold strings"));
    list.iter().map(text).collect()
}

/// What a login's answer shows, or why it is refused.
#[track_caller]
pub fn welcome(ack: &Value) -> Result<Welcome, String> {
    assert_eq!(int(ack, "msgid"), 2, "{ack}");
    if int(ack, "errno") != 0 {
        return Err(string(ack, "errmsg"));
    }
    int(ack, "id");
    string(ack, "name");
    let friend = |js: Value| {
        int(&js, "id");
        format!("{}:{}", string(&js, "name"), string(&js, "state"))
    };
    let member = |js: Value| {
        string(&js, "state");
        int(&js, "id");
        format!("{}:{}", string(&js, "name"), string(&js, "role"))
    };
    let group = |js: Value| {
        int(&js, "id");
        let users: Vec<String> = objects(&js, "users").into_iter().map(member).collect();
        let (name, desc) = (string(&js, "groupname"), string(&js, "groupdesc"));
        format!("{name} ({desc}): {}", users.join(", "))
    };
    let list = |key| if ack.get(key).is_some() { objects(ack, key) } else { Vec::new() };
    Ok(Welcome {
        friends: list("friends").into_iter().map(friend).collect(),
        groups: list("groups").into_iter().map(group).collect(),
        missed: list("offlinemsg").iter().map(shown).collect(),
        bytes: ack.to_string().len() + 1,
    })
}

#[track_caller]
pub fn shown(js: &Value) -> Message {
    let group = match int(js, "msgid") {
        6 => {
            assert_eq!(int(js, "toid"), int(js, "to"));
            None
        }
        10 => Some(int(js, "groupid")),
        other => panic!("the client takes {other} for something else: {js}"),
    };
    string(js, "time");
    Message { from: int(js, "id"), name: string(js, "name"), text: string(js, "msg"), group }
}
