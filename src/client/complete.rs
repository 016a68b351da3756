//! What the line editor asks while a person types: completion of commands,
//! friends and groups.

use std::sync::Arc;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::command::{USAGES, Usage};
use super::text::safe;
use super::view::{Facts, View};

/// The line editor's helper.
pub struct LineHelper {
    /// Whether a command is typed at the moment.
    pub command: bool,
    /// Whom and what there is to complete.
    pub view: Arc<View>,
}

impl Helper for LineHelper {}

impl Hinter for LineHelper {
    type Hint = String;
}

impl Validator for LineHelper {}

impl Highlighter for LineHelper {}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        if !self.command {
            return Ok((pos, Vec::new()));
        }
        Ok(self.view.read(|facts| complete(&line[..pos], facts)))
    }
}

/// Where the completed word begins, and what it may become.
fn complete(typed: &str, facts: &Facts) -> (usize, Vec<Pair>) {
    let Some((word, part)) = typed.split_once(':') else {
        let fitting = USAGES.iter().filter(|usage| usage.word.starts_with(typed));
        return (0, fitting.map(whole_word).collect());
    };
    let start = word.len() + 1;
    if part.contains(':') {
        return (typed.len(), Vec::new());
    }
    let (known, end): (Vec<&(u32, String)>, _) = match word {
        "chat" => (facts.friends.iter().chain(&facts.others).collect(), ":"),
        "addfriend" => (facts.others.iter().collect(), ""),
        "delfriend" => (facts.friends.iter().collect(), ""),
        "groupchat" => (facts.groups.iter().collect(), ":"),
        "delgroup" => (facts.groups.iter().collect(), ""),
        _ => (Vec::new(), ""),
    };
    // By number or by name: whoever types `chat:bo` means bob's number.
    let fits = |(id, name): &&&(u32, String)| {
        id.to_string().starts_with(part) || name.to_lowercase().starts_with(&part.to_lowercase())
    };
    let pairs = known.iter().filter(fits).map(|(id, name)| Pair {
        display: format!("{id} ({})", safe(name)),
        replacement: format!("{id}{end}"),
    });
    (start, pairs.collect())
}

fn whole_word(usage: &Usage) -> Pair {
    let colon = if usage.parts.is_empty() { "" } else { ":" };
    Pair {
        display: format!("{}{}", usage.word, usage.parts),
        replacement: format!("{}{colon}", usage.word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completions(typed: &str) -> (usize, Vec<String>) {
        let facts = Facts {
            friends: vec![(2, "Bob".into()), (21, "王小明".into())],
            others: vec![(3, "eve".into())],
            groups: vec![(7, "team".into())],
            ..Facts::default()
        };
        let (start, pairs) = complete(typed, &facts);
        (start, pairs.into_iter().map(|pair| pair.replacement).collect())
    }

    fn found(start: usize, words: &[&str]) -> (usize, Vec<String>) {
        (start, words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_command_is_completed_with_its_colon() {
        assert_eq!(completions("cha"), found(0, &["chat:"]));
        assert_eq!(completions("show"), found(0, &["showfriendlist", "showgrouplist"]));
        assert_eq!(completions("x"), found(0, &[]));
    }

    #[test]
    fn friends_and_groups_are_completed_by_number_or_name() {
        assert_eq!(completions("chat:2"), found(5, &["2:", "21:"]));
        assert_eq!(completions("chat:bo"), found(5, &["2:"]));
        assert_eq!(completions("chat:王"), found(5, &["21:"]));
        assert_eq!(completions("chat:"), found(5, &["2:", "21:", "3:"]));
        assert_eq!(completions("delfriend:"), found(10, &["2", "21"]));
        assert_eq!(completions("addfriend:"), found(10, &["3"]));
        assert_eq!(completions("groupchat:te"), found(10, &["7:"]));
    }

    #[test]
    fn a_message_is_not_completed() {
        assert_eq!(completions("chat:2:cha").1, Vec::<String>::new());
        assert_eq!(completions("creategroup:te").1, Vec::<String>::new());
    }
}
