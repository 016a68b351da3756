//! Rows that come from another program's database, with the numbers that they
//! have there.

use std::sync::Arc;

use super::{GroupId, GroupRole, UserId};

/// One row for [`Store::import`].
///
/// [`Store::import`]: super::Store::import
pub enum ImportRow {
    /// A user.
    User {
        /// The number that the user keeps.
        id: UserId,
        /// The unique name.
        name: String,
        /// An Argon2id hash as a PHC string.
        password_hash: String,
    },
    /// A friendship, of which both sides are written. The two differ.
    Friendship(UserId, UserId),
    /// A group, without its members.
    Group {
        /// The number that the group keeps.
        id: GroupId,
        /// The unique name.
        name: String,
        /// What it is for; may be empty.
        description: String,
    },
    /// A member of a group.
    Member {
        /// The group.
        group: GroupId,
        /// The member.
        user: UserId,
        /// Creator or normal.
        role: GroupRole,
    },
    /// A missed message.
    Message {
        /// The recipient.
        to: UserId,
        /// Who sent it.
        sender: UserId,
        /// The sender's own id of the message, 1-64 bytes.
        mid: Arc<[u8]>,
        /// The JSON text of the push (valid UTF-8).
        message: Arc<[u8]>,
    },
}
