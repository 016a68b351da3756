//! What the person reads: a sentence for every reply, a line for every
//! message, tables for friends and groups. Everything that came from the
//! server has gone through [`safe`] here.

use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::command::USAGES;
use super::message::Incoming;
use super::printer::{Line, Wrap};
use super::session::outbox::What;
use super::session::roster::{Roster, with_name};
use super::text::{safe, table};

/// What the table of commands does not say.
const HELP_NOTES: [&str; 4] = [
    "A message may hold colons. Ids are numbers: ask your friend for theirs.",
    "On a terminal:",
    "  Ctrl+C clears the line; on an empty one it logs out and leaves, as Ctrl+D does.",
    "  Several lines pasted at once are one message, not several commands.",
];

/// The commands, one per line.
pub fn help() -> Vec<Line> {
    let rows = USAGES.each_ref().map(|u| [format!("{}{}", u.word, u.parts), u.does.to_owned()]);
    let mut lines = table(["COMMAND", ""], &rows);
    lines.extend(HELP_NOTES.map(|note| {
        let indent = note.len() - note.trim_start().len();
        Line { wrap: Wrap::Under(indent), ..Line::plain(note) }
    }));
    lines
}

/// The sentence for a reply that says that the request was done.
pub fn done(what: &What, reply: &Incoming, roster: &Roster) -> String {
    match what {
        What::Chat { to } => match reply.status.as_deref() {
            Some("stored") => {
                format!("Stored for {}: it comes with the next login.", roster.user(*to))
            }
            _ => format!("Delivered to {}.", roster.user(*to)),
        },
        What::GroupChat { group } => group_chat(&roster.group(*group), reply),
        What::AddFriend(id) => {
            let state = match reply.state.as_deref() {
                Some(state) => format!(" ({})", safe(state)),
                None => String::new(),
            };
            format!("{} is now your friend{state}.", with_name(*id, reply.name.as_deref()))
        }
        What::DelFriend(id) => format!("{} is no longer your friend.", roster.user(*id)),
        What::CreateGroup { name, .. } => {
            let id = reply.groupid.unwrap_or_default();
            let group = with_name(id, Some(name));
            format!("Group {group} is created: others join it with addgroup:{id}.")
        }
        What::AddGroup(id) => {
            let group = with_name(*id, reply.groupname.as_deref());
            match reply.users.as_ref().map(Vec::len) {
                Some(members) => format!("You are now in group {group}, members: {members}."),
                None => format!("You are now in group {group}."),
            }
        }
        What::DelGroup(id) if reply.dissolved == Some(true) => {
            format!("Group {} is dissolved.", roster.group(*id))
        }
        What::DelGroup(id) => format!("You have left group {}.", roster.group(*id)),
        What::FriendList => String::new(),
    }
}

fn group_chat(group: &str, reply: &Incoming) -> String {
    match (reply.delivered.unwrap_or(0), reply.stored.unwrap_or(0)) {
        (0, 0) => format!("Nobody else is in group {group}."),
        (delivered, 0) => format!("Group {group}: delivered to {delivered}."),
        (0, stored) => {
            format!("Group {group}: stored for {stored}, it comes with their next login.")
        }
        (delivered, stored) => format!(
            "Group {group}: delivered to {delivered}, stored for {stored} until their next login."
        ),
    }
}

/// The sentence for a request that was not done, with the reason.
pub fn not_done(what: &What, reason: &str, roster: &Roster) -> String {
    let (subject, done) = subject(what, roster);
    format!("{subject} was not {done}: {}", sentence_end(&safe(reason)))
}

/// The sentence for a request of which nobody knows whether it was done.
pub fn unsure(what: &What, reason: &str, roster: &Roster) -> String {
    let (subject, done) = subject(what, roster);
    format!("{subject} may not have been {done}: {}", sentence_end(&safe(reason)))
}

fn subject(what: &What, roster: &Roster) -> (String, &'static str) {
    match what {
        What::Chat { to } => (format!("The message to {}", roster.user(*to)), "sent"),
        What::GroupChat { group } => {
            (format!("The message to group {}", roster.group(*group)), "sent")
        }
        What::CreateGroup { name, .. } => (format!("Group {}", safe(name)), "created"),
        What::AddFriend(id) => (format!("addfriend:{id}"), "done"),
        What::DelFriend(id) => (format!("delfriend:{id}"), "done"),
        What::AddGroup(id) => (format!("addgroup:{id}"), "done"),
        What::DelGroup(id) => (format!("delgroup:{id}"), "done"),
        What::FriendList => ("showfriendlist".to_owned(), "done"),
    }
}

/// Ends a text with a full stop if it does not end like a sentence already.
pub fn sentence_end(text: &str) -> String {
    let text = text.trim_end();
    match text.chars().last() {
        Some('.' | '!' | '?' | '。') => text.to_owned(),
        _ => format!("{text}."),
    }
}

/// One received message as a line: when, who, where, what.
///
/// With `dated` the date is always shown, else only if it is not `now`'s. A
/// `time` that is not RFC 3339 is shown as the sender wrote it.
pub fn message(push: &Incoming, roster: &Roster, now: &Zoned, dated: bool) -> Line {
    let when = match push.time.as_deref() {
        Some(text) if !text.is_empty() => format!("[{}] ", local_time(text, now, dated)),
        _ => String::new(),
    };
    let sender = with_name(push.id.unwrap_or_default(), push.name.as_deref());
    let place = match push.groupid {
        Some(group) => format!(" in group {}", roster.group(group)),
        None => String::new(),
    };
    let msg = safe(push.msg.as_deref().unwrap_or_default());
    Line::verbatim(format!("{when}{sender}{place}: {msg}"))
}

fn local_time(text: &str, now: &Zoned, dated: bool) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return safe(text).into_owned();
    };
    let time = time.to_zoned(now.time_zone().clone());
    let format = if dated || time.date() != now.date() { "%Y-%m-%d %H:%M:%S" } else { "%H:%M:%S" };
    time.strftime(format).to_string()
}

/// Now, in this machine's time zone.
pub fn now_here() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::system())
}

/// The friends as a table.
pub fn friends(roster: &Roster) -> Vec<Line> {
    if roster.friends.is_empty() {
        return vec![Line::plain("You have no friends yet: addfriend:friendid makes one.")];
    }
    let rows: Vec<_> = roster
        .friends
        .values()
        .map(|f| [f.id.to_string(), safe(&f.name).into_owned(), safe(&f.state).into_owned()])
        .collect();
    titled(format!("Friends: {}", rows.len()), table(["ID", "NAME", "STATE"], &rows))
}

/// The groups as one table, all their members as another.
pub fn groups(roster: &Roster) -> Vec<Line> {
    if roster.groups.is_empty() {
        let text = "You are in no group yet: addgroup:groupid joins one, \
                    creategroup:groupname:groupdesc makes one.";
        return vec![Line::plain(text)];
    }
    let mut rows = Vec::new();
    let mut members = Vec::new();
    for group in roster.groups.values() {
        let mine = group.users.iter().find(|m| m.id == roster.id);
        rows.push([
            group.id.to_string(),
            safe(&group.groupname).into_owned(),
            safe(mine.map_or("", |m| &m.role)).into_owned(),
            safe(&group.groupdesc).into_owned(),
        ]);
        members.extend(group.users.iter().map(|m| {
            [
                group.id.to_string(),
                m.id.to_string(),
                safe(&m.name).into_owned(),
                safe(&m.state).into_owned(),
                safe(&m.role).into_owned(),
            ]
        }));
    }
    let mut lines = titled(
        format!("Groups: {}", rows.len()),
        table(["ID", "NAME", "YOU ARE", "DESCRIPTION"], &rows),
    );
    lines.extend(titled(
        "Members:".to_owned(),
        table(["GROUP", "ID", "NAME", "STATE", "ROLE"], &members),
    ));
    lines
}

fn titled(title: String, mut table: Vec<Line>) -> Vec<Line> {
    table.insert(0, Line::plain(title));
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::message::{Group, User};

    fn roster() -> Roster {
        let mut roster = Roster { id: 1, name: "ann".into(), ..Roster::default() };
        roster.add_friend(User { id: 2, name: "bob".into(), state: "online".into() });
        let users = vec![roster.myself("creator")];
        roster.add_group(Group { id: 5, groupname: "团队".into(), groupdesc: "".into(), users });
        roster
    }

    fn reply(json: &str) -> Incoming {
        serde_json::from_str(json).unwrap()
    }

    fn now() -> Zoned {
        "2026-11-21T12:00:00+02:00[+02:00]".parse().unwrap()
    }

    #[test]
    fn every_reply_is_a_sentence_that_names_what_was_asked() {
        let r = roster();
        for (what, json, sentence) in [
            (What::Chat { to: 2 }, r#"{"status":"delivered"}"#, "Delivered to 2 (bob)."),
            (
                What::Chat { to: 9 },
                r#"{"status":"stored"}"#,
                "Stored for 9: it comes with the next login.",
            ),
            (
                What::GroupChat { group: 5 },
                r#"{"delivered":3,"stored":1}"#,
                "Group 5 (团队): delivered to 3, stored for 1 until their next login.",
            ),
            (
                What::GroupChat { group: 5 },
                r#"{"delivered":0,"stored":0}"#,
                "Nobody else is in group 5 (团队).",
            ),
            (
                What::AddFriend(3),
                r#"{"name":"eve","state":"offline"}"#,
                "3 (eve) is now your friend (offline).",
            ),
            (What::DelFriend(2), "{}", "2 (bob) is no longer your friend."),
            (
                What::CreateGroup { name: "new".into(), desc: "".into() },
                r#"{"groupid":8}"#,
                "Group 8 (new) is created: others join it with addgroup:8.",
            ),
            (
                What::AddGroup(6),
                r#"{"groupname":"x","users":[{},{}]}"#,
                "You are now in group 6 (x), members: 2.",
            ),
            (What::DelGroup(5), r#"{"dissolved":true}"#, "Group 5 (团队) is dissolved."),
            (What::DelGroup(5), r#"{"dissolved":false}"#, "You have left group 5 (团队)."),
        ] {
            assert_eq!(done(&what, &reply(json), &r), sentence);
        }
    }

    #[test]
    fn a_refusal_says_what_was_not_done_and_why() {
        let sentence = not_done(&What::Chat { to: 2 }, "no such user", &roster());
        assert_eq!(sentence, "The message to 2 (bob) was not sent: no such user.");
        let sentence = not_done(&What::AddFriend(7), "\x1b[31mred!", &roster());
        assert_eq!(sentence, "addfriend:7 was not done: ␛[31mred!");
    }

    #[test]
    fn a_message_shows_local_time_and_its_date_only_where_it_matters() {
        let push = |time: &str| {
            let json = r#"{"id":2,"name":"bob","msg":"hi"}"#;
            Incoming { time: Some(time.into()), ..reply(json) }
        };
        let line = |time: &str, dated| message(&push(time), &roster(), &now(), dated).text;
        assert_eq!(line("2026-11-21T08:30:01Z", false), "[10:30:01] 2 (bob): hi");
        assert_eq!(line("2026-11-21T08:30:01Z", true), "[2026-11-21 10:30:01] 2 (bob): hi");
        assert_eq!(line("2026-11-20T22:30:00Z", false), "[00:30:00] 2 (bob): hi");
        assert_eq!(line("2026-11-20T21:30:00.5Z", false), "[2026-11-20 23:30:00] 2 (bob): hi");
        assert_eq!(line("yesterday\x1b", false), "[yesterday␛] 2 (bob): hi");
        assert_eq!(line("", false), "2 (bob): hi");
    }

    #[test]
    fn a_group_message_names_the_group_and_nothing_in_it_reaches_the_terminal_raw() {
        let push = reply(r#"{"id":2,"name":"b\u001bob","groupid":5,"msg":"a\u001b[2Jb\nc"}"#);
        let line = message(&push, &roster(), &now(), false).text;
        assert_eq!(line, "2 (b␛ob) in group 5 (团队): a␛[2Jb␊c");
    }

    #[test]
    fn help_lists_every_command_in_colon_form_and_how_to_leave() {
        let help: Vec<String> = help().into_iter().map(|line| line.text).collect();
        let help = help.join("\n");
        assert!(help.contains("Ctrl+C") && help.contains("Ctrl+D"), "{help}");
        for usage in &USAGES {
            assert!(help.contains(&format!("{}{}", usage.word, usage.parts)), "{}", usage.word);
        }
    }
}
