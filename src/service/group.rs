//! Groups: create, join, leave or dissolve.

use log::debug;

use super::friend::reply_done;
use super::router::{Context, Handled};
use super::session::Identity;
use super::{Service, store_refusal};
use crate::bus::Item;
use crate::model::GroupId;
use crate::protocol::reply::{GroupCreated, GroupJoined, GroupLeft};
use crate::protocol::{MsgId, Refusal};

impl Service {
    /// CREATE_GROUP_MSG. Asks the database.
    pub(super) fn create_group(
        &self,
        identity: &Identity,
        context: Context,
        name: &str,
        description: &str,
    ) -> Result<Handled, Refusal> {
        let group = self
            .store
            .create_group(identity.user, name, description, &self.settings.limits)
            .map_err(|err| store_refusal(&err))?;
        Ok(reply_done(MsgId::CreateGroup, context, GroupCreated { groupid: group }))
    }

    /// ADD_GROUP_MSG. Asks the database.
    pub(super) fn add_group(
        &self,
        identity: &Identity,
        context: Context,
        group: GroupId,
    ) -> Result<Handled, Refusal> {
        let joined = self
            .store
            .join_group(group, identity.user, &self.settings.limits)
            .map_err(|err| store_refusal(&err))?;
        self.group_changed(group);
        let fields = GroupJoined {
            groupid: joined.id,
            groupname: &joined.groupname,
            groupdesc: &joined.groupdesc,
            users: &joined.users,
        };
        Ok(reply_done(MsgId::AddGroup, context, fields))
    }

    /// DEL_GROUP_MSG: the creator dissolves, a normal member leaves. Asks the
    /// database.
    pub(super) fn del_group(
        &self,
        identity: &Identity,
        context: Context,
        group: GroupId,
    ) -> Result<Handled, Refusal> {
        let dissolved =
            self.store.leave_group(group, identity.user).map_err(|err| store_refusal(&err))?;
        self.group_changed(group);
        Ok(reply_done(MsgId::DelGroup, context, GroupLeft { groupid: group, dissolved }))
    }

    /// Drops the cached member list here and on every other server. One that
    /// is not told reads the list anew within 3 s.
    fn group_changed(&self, group: GroupId) {
        self.groups.drop_entry(group);
        let peers = self.peers.read().expect(super::registry::NEVER_POISONED).clone();
        for server in peers {
            if let Err(err) = self.bus.send(&server, Item::GroupChanged { group }) {
                debug!(target: "bus", "server={server} not told of group {group} err={err}");
            }
        }
    }
}
