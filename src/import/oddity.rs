//! What is odd about the old rows, and what becomes of each.

use std::collections::BTreeMap;

/// So many examples of each are shown.
const EXAMPLES: usize = 3;

/// Something that a database of ours cannot hold, or would not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // `about` says what each is.
pub enum Oddity {
    MissingTable,
    NotUtf8,
    BadUserId,
    BadGroupId,
    DuplicateId,
    ControlCharacters,
    SpaceAtEnd,
    LongName,
    EmptyName,
    DuplicateName,
    LongDescription,
    NoPassword,
    LongPassword,
    DuplicateFriendship,
    OneDirection,
    SelfFriendship,
    FriendshipWithNobody,
    TooManyFriends,
    MemberIsNobody,
    MemberOfNothing,
    DuplicateMember,
    UnknownRole,
    NoCreator,
    SeveralCreators,
    TooManyMembers,
    TooManyGroups,
    MessageToNobody,
    MessageOfNobody,
    MessageUnknownSender,
    MessageRawControls,
    MessageNoJson,
    MessageNoText,
    MessageBadGroup,
    MessageBadTime,
    TooManyMessages,
}

impl Oddity {
    /// What it is, and what becomes of it.
    pub fn about(self) -> (&'static str, &'static str) {
        use Oddity::*;
        match self {
            MissingTable => ("tables that are not there", "taken as empty"),
            NotUtf8 => (
                "texts that are no UTF-8",
                "kept, with U+FFFD for what cannot be read; see --import-charset",
            ),
            BadUserId => ("user ids outside 1 to 2147483647", "left out, with all that names them"),
            BadGroupId => ("group ids outside 1 to 2147483647", "left out, with their members"),
            DuplicateId => ("users or groups with the id of an earlier row", "left out"),
            ControlCharacters => ("names with control characters", "kept, with spaces for them"),
            SpaceAtEnd => ("names with white space at an end", "kept without it"),
            LongName => ("names of more than 50 characters", "kept, cut to 50"),
            EmptyName => ("names with nothing in them", "kept under a name made of the id"),
            DuplicateName => (
                "names that an earlier row has, or has once that is mended",
                "kept, with the id behind the name; logins by id stay as they are",
            ),
            LongDescription => ("group descriptions of more than 200 characters", "cut to 200"),
            NoPassword => ("empty passwords", "account kept, but nobody can log in to it"),
            LongPassword => (
                "passwords of more than 128 bytes, or no UTF-8",
                "account kept, but nobody can log in to it",
            ),
            DuplicateFriendship => ("friendships that stand there twice", "kept, once"),
            OneDirection => ("friendships in one direction only", "kept, for both sides"),
            SelfFriendship => ("users who are friends of themselves", "left out"),
            FriendshipWithNobody => ("friendships of users that do not exist", "left out"),
            TooManyFriends => (
                "users with more friends than --max-friends",
                "kept; they make no new ones until they have fewer",
            ),
            MemberIsNobody => ("members of groups that are no users", "left out"),
            MemberOfNothing => ("members of groups that do not exist", "left out"),
            DuplicateMember => (
                "members that stand there twice",
                "kept, once, as the creator if one of the rows says so",
            ),
            UnknownRole => ("members with an unknown role", "kept as normal members"),
            NoCreator => ("groups without a creator", "kept; nobody can dissolve them"),
            SeveralCreators => ("groups with more than one creator", "kept, with all of them"),
            TooManyMembers => (
                "groups with more members than --max-members",
                "kept; nobody joins until there are fewer",
            ),
            TooManyGroups => (
                "users in more groups than --max-groups",
                "kept; they join no others until they are in fewer",
            ),
            MessageToNobody => ("messages to users that do not exist", "left out"),
            MessageOfNobody => ("messages without a sender's id", "left out"),
            MessageUnknownSender => (
                "messages of users that do not exist",
                "kept, with the name that stands in the message",
            ),
            MessageRawControls => {
                ("messages with raw control characters", "kept, with escapes for them")
            }
            MessageNoJson => ("messages that are no JSON object", "left out"),
            MessageNoText => ("messages without a text, or with one too long", "left out"),
            MessageBadGroup => ("group messages without a group's id", "left out"),
            MessageBadTime => ("messages without a time of 64 bytes at most", "kept, with none"),
            TooManyMessages => (
                "users for whom more messages wait than --max-offline allows",
                "kept; new ones are refused until some are read",
            ),
        }
    }
}

/// How often each was found, with its first examples.
#[derive(Debug, Default)]
pub struct Oddities(BTreeMap<Oddity, (u64, Vec<String>)>);

impl Oddities {
    /// Counts one more.
    pub fn note(&mut self, oddity: Oddity, example: impl FnOnce() -> String) {
        let (count, examples) = self.0.entry(oddity).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example());
        }
    }

    /// How many there were.
    #[cfg(test)]
    pub fn count(&self, oddity: Oddity) -> u64 {
        self.0.get(&oddity).map_or(0, |(count, _)| *count)
    }

    /// Each with its number and examples.
    pub fn iter(&self) -> impl Iterator<Item = (Oddity, u64, &[String])> {
        self.0.iter().map(|(oddity, (count, examples))| (*oddity, *count, examples.as_slice()))
    }
}
