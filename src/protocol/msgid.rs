//! Message numbers. 2 and 5 are the C++ family's; every other request N is
//! answered by 100 + N.

/// What a client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum MsgId {
    /// Log in by id (or name) and password, or by id and token.
    Login = 1,
    /// Log out; the connection stays open.
    Logout = 3,
    /// Register a name; the server gives the id.
    Register = 4,
    /// A message to one user.
    OneChat = 6,
    /// Befriend a user.
    AddFriend = 7,
    /// Create a group.
    CreateGroup = 8,
    /// Join a group.
    AddGroup = 9,
    /// A message to a group.
    GroupChat = 10,
    /// Leave a group, or dissolve one's own.
    DelGroup = 11,
    /// End a friendship.
    DelFriend = 12,
    /// Show the friends and who is online.
    ShowFriendList = 13,
    /// Confirm pushes; has no reply.
    RecvAck = 14,
    /// Show life.
    Ping = 15,
}

/// The number of an answer to what cannot be answered otherwise.
pub const ERROR_MSG: u16 = 200;
/// The number of a pushed one-to-one message.
pub const ONE_CHAT_PUSH: u16 = MsgId::OneChat as u16;
/// The number of a pushed group message.
pub const GROUP_CHAT_PUSH: u16 = MsgId::GroupChat as u16;

impl MsgId {
    /// The request with this number, if there is one.
    pub fn from_number(number: i64) -> Option<MsgId> {
        use MsgId::*;
        const ALL: [MsgId; 13] = [
            Login,
            Logout,
            Register,
            OneChat,
            AddFriend,
            CreateGroup,
            AddGroup,
            GroupChat,
            DelGroup,
            DelFriend,
            ShowFriendList,
            RecvAck,
            Ping,
        ];
        ALL.into_iter().find(|m| *m as i64 == number)
    }

    /// The number of this request.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The number of the reply to this request.
    pub fn reply(self) -> u16 {
        match self {
            MsgId::Login => 2,
            MsgId::Register => 5,
            MsgId::RecvAck => ERROR_MSG,
            other => 100 + other as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_have_the_numbers_of_the_protocol() {
        assert_eq!(MsgId::Login.reply(), 2);
        assert_eq!(MsgId::Register.reply(), 5);
        assert_eq!(MsgId::Logout.reply(), 103);
        assert_eq!(MsgId::Ping.reply(), 115);
    }

    #[test]
    fn what_only_the_server_sends_is_no_request() {
        for number in [-1, 0, 2, 5, 16, 106, 200, i64::MAX] {
            assert_eq!(MsgId::from_number(number), None, "{number}");
        }
    }
}
