//! What a person may type once logged in: the commands, in colon form.

use std::time::Duration;

use super::text::lower_first;
use crate::protocol::bounds;

/// One understood line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// List the commands.
    Help,
    /// A message to one user.
    Chat {
        /// The recipient.
        to: u32,
        /// The text; it may hold colons.
        msg: String,
    },
    /// Befriend a user.
    AddFriend(u32),
    /// End a friendship.
    DelFriend(u32),
    /// Create a group.
    CreateGroup {
        /// Its name.
        name: String,
        /// What it is for; may be empty and may hold colons.
        desc: String,
    },
    /// Join a group.
    AddGroup(u32),
    /// Leave a group, or dissolve one's own.
    DelGroup(u32),
    /// A message to a group.
    GroupChat {
        /// The group.
        group: u32,
        /// The text; it may hold colons.
        msg: String,
    },
    /// Ask the server for the friends and who is online.
    ShowFriendList,
    /// Show the groups as they are known here.
    ShowGroupList,
    /// Log out and go back to the menu.
    LoginOut,
    /// Log out and leave.
    Quit,
    /// Read no further input for a while: scripts listen with it.
    Wait(Duration),
}

/// How one command is written.
pub struct Usage {
    /// The command's word, before the first colon.
    pub word: &'static str,
    /// What follows the word, colons included; empty if nothing does.
    pub parts: &'static str,
    /// What it does.
    pub does: &'static str,
    /// A whole line that works.
    pub example: &'static str,
}

/// Every command, in the order in which `help` lists them.
pub const USAGES: [Usage; 13] = [
    usage("help", "", "list the commands", "help"),
    usage("chat", ":friendid:message", "send a message to a user", "chat:7:hello"),
    usage("addfriend", ":friendid", "make a user your friend", "addfriend:7"),
    usage("delfriend", ":friendid", "end a friendship", "delfriend:7"),
    usage("creategroup", ":groupname:groupdesc", "create a group", "creategroup:team:our team"),
    usage("addgroup", ":groupid", "join a group", "addgroup:3"),
    usage("delgroup", ":groupid", "leave a group, or dissolve your own", "delgroup:3"),
    usage("groupchat", ":groupid:message", "send a message to a group", "groupchat:3:hello"),
    usage("showfriendlist", "", "show your friends and who is online", "showfriendlist"),
    usage("showgrouplist", "", "show your groups and their members", "showgrouplist"),
    usage("wait", ":seconds", "only listen for a while (for scripts)", "wait:10"),
    usage("loginout", "", "log out and go back to the menu", "loginout"),
    usage("quit", "", "log out and leave", "quit"),
];

// An hour is enough for any script, and a slip of the finger can be waited out.
const MAX_WAIT_SECS: u64 = 3_600;

const fn usage(
    word: &'static str,
    parts: &'static str,
    does: &'static str,
    example: &'static str,
) -> Usage {
    Usage { word, parts, does, example }
}

/// Reads one line. The error is a sentence that says how to write it.
pub fn parse(line: &str) -> Result<Command, String> {
    let (word, rest) = match line.split_once(':') {
        Some((word, rest)) => (word.trim(), Some(rest)),
        None => (line.trim(), None),
    };
    let Some(usage) = USAGES.iter().find(|u| u.word == word) else {
        return Err(format!("There is no command {word:?}: help lists them."));
    };
    match (usage.parts.is_empty(), rest) {
        (true, None) => Ok(parse_bare(word)),
        (true, Some(rest)) if rest.trim().is_empty() => Ok(parse_bare(word)),
        (true, Some(_)) => Err(format!("{word} takes nothing more: write {word} alone.")),
        (false, None) => Err(how_to_write(usage)),
        (false, Some(rest)) => parse_parts(usage, rest),
    }
}

fn parse_bare(word: &str) -> Command {
    match word {
        "showfriendlist" => Command::ShowFriendList,
        "showgrouplist" => Command::ShowGroupList,
        "loginout" => Command::LoginOut,
        "quit" => Command::Quit,
        _ => Command::Help,
    }
}

fn parse_parts(usage: &Usage, rest: &str) -> Result<Command, String> {
    match usage.word {
        "chat" => {
            let (to, msg) = id_and_message(usage, rest)?;
            Ok(Command::Chat { to, msg })
        }
        "groupchat" => {
            let (group, msg) = id_and_message(usage, rest)?;
            Ok(Command::GroupChat { group, msg })
        }
        "creategroup" => {
            let (name, desc) = rest.split_once(':').unwrap_or((rest, ""));
            let (name, desc) = (name.trim(), desc.trim());
            if name.is_empty() {
                return Err(how_to_write(usage));
            }
            bounds::check_name("groupname", name)
                .and_then(|()| bounds::check_description(desc))
                .map_err(|e| format!("{e}."))?;
            Ok(Command::CreateGroup { name: name.to_owned(), desc: desc.to_owned() })
        }
        "addfriend" => Ok(Command::AddFriend(id(usage, rest)?)),
        "delfriend" => Ok(Command::DelFriend(id(usage, rest)?)),
        "addgroup" => Ok(Command::AddGroup(id(usage, rest)?)),
        "delgroup" => Ok(Command::DelGroup(id(usage, rest)?)),
        _ => seconds(usage, rest),
    }
}

fn id_and_message(usage: &Usage, rest: &str) -> Result<(u32, String), String> {
    let (number, msg) = rest.split_once(':').ok_or_else(|| how_to_write(usage))?;
    let number = id(usage, number)?;
    if msg.is_empty() {
        return Err(format!("There is no message: {}", lower_first(&how_to_write(usage))));
    }
    Ok((number, msg.to_owned()))
}

fn id(usage: &Usage, text: &str) -> Result<u32, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(how_to_write(usage));
    }
    match text.parse::<u32>() {
        Ok(number) if (1..=bounds::MAX_ID).contains(&number) => Ok(number),
        _ => Err(format!(
            "{text:?} is no id, ids are numbers from 1 to {}: {}",
            bounds::MAX_ID,
            lower_first(&how_to_write(usage))
        )),
    }
}

fn seconds(usage: &Usage, text: &str) -> Result<Command, String> {
    let text = text.trim();
    match text.parse::<f64>() {
        // The range also refuses what is not a number.
        Ok(secs) if (0.0..=MAX_WAIT_SECS as f64).contains(&secs) => {
            Ok(Command::Wait(Duration::from_secs_f64(secs)))
        }
        _ => Err(format!(
            "{text:?} is no number of seconds from 0 to {MAX_WAIT_SECS}: {}",
            lower_first(&how_to_write(usage))
        )),
    }
}

fn how_to_write(usage: &Usage) -> String {
    format!("Write {}{}, for example {}", usage.word, usage.parts, usage.example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_hold_colons_and_is_kept_exactly() {
        let parsed = parse("chat:7: see http://a:80/ :").unwrap();
        assert_eq!(parsed, Command::Chat { to: 7, msg: " see http://a:80/ :".into() });
        let parsed = parse(" groupchat : 3 :a:b").unwrap();
        assert_eq!(parsed, Command::GroupChat { group: 3, msg: "a:b".into() });
    }

    #[test]
    fn a_group_needs_a_name_and_may_go_without_description() {
        let group =
            |name: &str, desc: &str| Command::CreateGroup { name: name.into(), desc: desc.into() };
        assert_eq!(parse("creategroup:team:for us: all").unwrap(), group("team", "for us: all"));
        assert_eq!(parse("creategroup:team").unwrap(), group("team", ""));
        assert!(parse("creategroup::x").unwrap_err().contains("creategroup:groupname:groupdesc"));
        assert!(parse(&format!("creategroup:{}", "n".repeat(51))).unwrap_err().contains("50"));
    }

    #[test]
    fn every_example_that_help_shows_is_understood() {
        for usage in &USAGES {
            assert!(parse(usage.example).is_ok(), "{}", usage.example);
        }
    }

    #[test]
    fn a_wrong_line_is_answered_by_how_to_write_it() {
        for (line, expected) in [
            ("hello", "no command \"hello\""),
            ("", "no command"),
            ("chat", "chat:friendid:message"),
            ("chat:7", "chat:friendid:message"),
            ("chat:7:", "no message"),
            ("chat:bob:hi", "\"bob\" is no id"),
            ("addfriend:0", "1 to 2147483647"),
            ("addfriend:2147483648", "is no id"),
            ("delgroup:", "delgroup:groupid"),
            ("loginout:now", "write loginout alone"),
            ("wait:soon", "number of seconds"),
            ("wait:nan", "number of seconds"),
            ("wait:-1", "number of seconds"),
        ] {
            let sentence = parse(line).unwrap_err();
            assert!(sentence.contains(expected), "{line}: {sentence}");
        }
    }
}
