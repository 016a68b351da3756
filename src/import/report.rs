//! What is said of an import: how much of what, and every oddity. No password
//! and no text of a message is in it; names have their control characters
//! escaped.

use std::io::{self, Write};

use super::oddity::Oddities;
use super::plan::{Counts, Plan};

/// So many names beyond ASCII are shown.
const NAMES_SHOWN: usize = 3;

/// All that is known before anything is written.
pub struct Report<'a> {
    /// Both databases, for people.
    pub from: String,
    pub into: String,
    /// Rows of the old tables.
    pub old: Counts,
    /// What is there already.
    pub there: Counts,
    /// New messages for users who were there.
    pub again: usize,
    /// What is left of the plan.
    pub new: &'a Plan,
    /// The character set in which texts were read.
    pub charset: &'a str,
    pub oddities: &'a Oddities,
}

impl Plan {
    /// How many of each.
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.len(),
            friendships: self.friendships.len(),
            groups: self.groups.len(),
            members: self.members.len(),
            messages: self.messages.len(),
        }
    }
}

impl Report<'_> {
    /// Writes it.
    ///
    /// # Errors
    /// Nobody takes it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "from {}\ninto {}\n", self.from, self.into)?;
        let new = self.new.counts();
        let head = ["", "old rows", "new", "there already"];
        writeln!(out, "{:12} {:>10} {:>10} {:>14}", head[0], head[1], head[2], head[3])?;
        for (what, old, new, there) in [
            ("users", self.old.users, new.users, self.there.users),
            ("friendships", self.old.friendships, new.friendships, self.there.friendships),
            ("groups", self.old.groups, new.groups, self.there.groups),
            ("members", self.old.members, new.members, self.there.members),
            ("messages", self.old.messages, new.messages, self.there.messages),
        ] {
            writeln!(out, "{what:12} {old:>10} {new:>10} {there:>14}")?;
        }
        writeln!(out)?;
        for (oddity, count, examples) in self.oddities.iter() {
            let (what, outcome) = oddity.about();
            writeln!(out, "{count} {what}: {outcome}")?;
            for example in examples {
                writeln!(out, "    {example}")?;
            }
            if count > examples.len() as u64 {
                writeln!(out, "    …")?;
            }
        }
        self.write_notes(out)
    }

    fn write_notes(&self, out: &mut dyn Write) -> io::Result<()> {
        let names = &self.new.foreign_names;
        if !names.is_empty() {
            writeln!(
                out,
                "{} names beyond ASCII, read as {}: are these right? If not, see --import-charset",
                names.len(),
                self.charset
            )?;
            for name in names.iter().take(NAMES_SHOWN) {
                writeln!(out, "    {name}")?;
            }
        }
        if self.again > 0 {
            writeln!(
                out,
                "{} of the new messages are for users who are there already: what they have read \
                 since an earlier import they get again",
                self.again
            )?;
        }
        Ok(())
    }
}
