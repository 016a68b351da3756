//! Friends: add, delete, show.

use super::effects::Effects;
use super::router::{Context, Handled};
use super::session::Identity;
use super::{Service, store_refusal};
use crate::model::UserId;
use crate::protocol::reply::{self, FriendAdded, FriendList, FriendRemoved};
use crate::protocol::{Errno, MsgId, Refusal};

impl Service {
    /// ADD_FRIEND_MSG. Asks the database.
    pub(super) fn add_friend(
        &self,
        identity: &Identity,
        context: Context,
        friend: UserId,
    ) -> Result<Handled, Refusal> {
        if friend == identity.user {
            return Err(Refusal::new(Errno::NotPermitted, "one cannot befriend oneself"));
        }
        let friend = self
            .store
            .add_friend(identity.user, friend, &self.settings.limits)
            .map_err(|err| store_refusal(&err))?;
        self.known_users.insert(friend.id);
        let fields = FriendAdded { friendid: friend.id, name: &friend.name, state: friend.state };
        Ok(reply_done(MsgId::AddFriend, context, fields))
    }

    /// DEL_FRIEND_MSG. Asks the database.
    pub(super) fn del_friend(
        &self,
        identity: &Identity,
        context: Context,
        friend: UserId,
    ) -> Result<Handled, Refusal> {
        self.store.remove_friend(identity.user, friend).map_err(|err| store_refusal(&err))?;
        Ok(reply_done(MsgId::DelFriend, context, FriendRemoved { friendid: friend }))
    }

    /// SHOW_FRIEND_LIST_MSG. Asks the database.
    pub(super) fn show_friend_list(
        &self,
        identity: &Identity,
        context: Context,
    ) -> Result<Handled, Refusal> {
        let friends = self.store.friends(identity.user).map_err(|err| store_refusal(&err))?;
        Ok(reply_done(MsgId::ShowFriendList, context, FriendList { friends: &friends }))
    }
}

/// A request that was done, with its fields.
pub(super) fn reply_done<T: serde::Serialize>(
    msgid: MsgId,
    context: Context,
    fields: T,
) -> Handled {
    Handled::Done(Effects::reply(reply::done(msgid, context.seq, fields)))
}
