//! Messages to one user and to a group.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::effects::Effects;
use super::message::{Message, MessageCopy, Origin};
use super::router::{Context, Handled, Lane, Place};
use super::session::{Identity, SessionId};
use super::settlement::GroupTicket;
use super::{Service, random_mid, store_refusal, time_text};
use crate::model::{GroupId, UserId};
use crate::protocol::push::{self, Push, Target};
use crate::protocol::reply::{self, GroupChatFields, MAX_PAYLOAD_BYTES, OneChatFields};
use crate::protocol::request::Chat;
use crate::protocol::{Errno, MsgId, Refusal};

/// How long the server itself tries to do what a client could not be told to
/// repeat.
pub const TRIED_FOR: Duration = Duration::from_secs(30);

impl Service {
    /// ONE_CHAT_MSG. Answered when the copy is settled.
    pub(super) fn one_chat(
        &self,
        session: SessionId,
        identity: &Identity,
        context: &Context,
        to: UserId,
        chat: &Chat<'_>,
    ) -> Handled {
        let mid = mid_of(chat);
        let origin = Origin::One { session, seq: context.seq };
        let target = Target::User(to);
        let message = match self.message(origin, target, identity, context, chat, &mid) {
            Ok(message) => message,
            Err(why) => {
                let fields = OneChatFields { mid: &mid, to, status: None };
                return refused(MsgId::OneChat, context, &why.refusal(), fields);
            }
        };
        // Whoever is online here exists.
        if let Err(copy) = self.deliver_to_session(MessageCopy { to, message }) {
            match self.user_exists(to, context.place) {
                Exists::Yes => self.deliver_one(copy),
                Exists::AskDatabase => return Handled::Later(Lane::Database),
                Exists::Refused(refusal) => {
                    let fields = OneChatFields { mid: &mid, to, status: None };
                    return refused(MsgId::OneChat, context, &refusal, fields);
                }
            }
        }
        Handled::Done(Effects { awaiting: 1, ..Effects::default() })
    }

    /// GROUP_CHAT_MSG. Answered when every member's copy is settled.
    pub(super) fn group_chat(
        &self,
        session: SessionId,
        identity: &Identity,
        context: &Context,
        group: GroupId,
        chat: &Chat<'_>,
    ) -> Handled {
        let mid = mid_of(chat);
        let members = match (self.groups.fresh(group), context.place) {
            (Some(members), _) => Ok(members),
            (None, Place::Reactor) => return Handled::Later(Lane::Database),
            (None, Place::Worker) => self.load_members(group),
        };
        let members = members.and_then(|members| match members.binary_search(&identity.user) {
            Ok(_) => Ok(members),
            Err(_) => Err(Refusal::new(
                Errno::NotRelated,
                "you are not a member of this group: join it first",
            )),
        });
        let members = match members {
            Ok(members) => members,
            Err(refusal) => {
                self.audit_refused(identity, context.peer, MsgId::GroupChat, refusal.errno);
                return refused_group(context, group, &mid, &refusal);
            }
        };
        let copies = u32::try_from(members.len() - 1).expect("user ids are 31 bits");
        let ticket = Box::new(GroupTicket::new(session, context.seq, group, copies));
        if copies == 0 {
            return Handled::Done(Effects::reply(ticket.reply(&mid)));
        }
        let (origin, target) = (Origin::Group(ticket), Target::Group(group));
        let message = match self.message(origin, target, identity, context, chat, &mid) {
            Ok(message) => message,
            Err(why) => return refused_group(context, group, &mid, &why.refusal()),
        };
        let others = members.iter().copied().filter(|member| *member != identity.user);
        self.deliver(&message, others);
        Handled::Done(Effects { awaiting: 1, copies, ..Effects::default() })
    }

    fn load_members(&self, group: GroupId) -> Result<Arc<[UserId]>, Refusal> {
        self.groups
            .load(&*self.store, group)
            .map_err(|err| store_refusal(&err))?
            .ok_or_else(|| store_refusal(&crate::model::StoreError::NoSuchGroup))
    }

    /// Builds a message, once for all of its copies.
    fn message(
        &self,
        origin: Origin,
        target: Target,
        identity: &Identity,
        context: &Context,
        chat: &Chat<'_>,
        mid: &str,
    ) -> Result<Arc<Message>, NotMade> {
        let own: String;
        let mid_json = match chat.mid_json {
            Some(json) => json,
            None => {
                // Hexadecimal digits.
                own = format!("\"{mid}\"");
                &own
            }
        };
        let (sender, name) = (identity.user, &*identity.quoted_name);
        let mut text = push::scratch();
        let mut write_at = |time: &str| {
            Push { target, sender, name, msg: chat.msg, time, mid: mid_json }.write(&mut text);
        };
        match chat.time {
            Some(time) => write_at(time),
            None => time_text::with_now(write_at),
        }
        let message = self.message_of(origin, sender, context, mid, &text);
        push::put_by(text);
        message
    }

    fn message_of(
        &self,
        origin: Origin,
        sender: UserId,
        context: &Context,
        mid: &str,
        text: &[u8],
    ) -> Result<Arc<Message>, NotMade> {
        if text.len() > MAX_PAYLOAD_BYTES {
            return Err(NotMade::TooLarge(text.len()));
        }
        let tried_until = (!context.hears_refusals).then(|| (Instant::now() + TRIED_FOR).into());
        let message = self.memory.message_tried_until(tried_until, origin, sender, mid, text);
        message.ok_or(NotMade::TooMany)
    }

    fn user_exists(&self, user: UserId, place: Place) -> Exists {
        if self.known_users.contains(user) {
            return Exists::Yes;
        }
        if place == Place::Reactor {
            return Exists::AskDatabase;
        }
        match self.store.user(user) {
            Ok(Some(_)) => {
                self.known_users.insert(user);
                Exists::Yes
            }
            Ok(None) => Exists::Refused(store_refusal(&crate::model::StoreError::NoSuchUser)),
            Err(err) => Exists::Refused(store_refusal(&err)),
        }
    }
}

/// Why there is no message.
enum NotMade {
    /// It would have so many bytes.
    TooLarge(usize),
    /// There are too many.
    TooMany,
}

impl NotMade {
    fn refusal(self) -> Refusal {
        match self {
            NotMade::TooLarge(bytes) => Refusal::new(
                Errno::TooLarge,
                format!(
                    "with your name, mid and time the message has {bytes} bytes, \
                     {MAX_PAYLOAD_BYTES} fit a frame: send less"
                ),
            ),
            NotMade::TooMany => Refusal::new(
                Errno::SlowDown,
                "the server has too many messages under way: send it again in a moment with the \
                 same mid",
            ),
        }
    }
}

/// The sender's own id of a message, or one that is made for it.
fn mid_of<'a>(chat: &'a Chat<'_>) -> Cow<'a, str> {
    match &chat.mid {
        Some(mid) => Cow::Borrowed(mid),
        None => Cow::Owned(random_mid()),
    }
}

enum Exists {
    Yes,
    AskDatabase,
    Refused(Refusal),
}

fn refused_group(context: &Context, group: GroupId, mid: &str, refusal: &Refusal) -> Handled {
    let fields = GroupChatFields { mid, groupid: group, delivered: None, stored: None };
    refused(MsgId::GroupChat, context, refusal, fields)
}

fn refused<T: serde::Serialize>(
    msgid: MsgId,
    context: &Context,
    refusal: &Refusal,
    fields: T,
) -> Handled {
    Handled::Done(Effects::reply(reply::refused_with(msgid, context.seq, refusal, fields)))
}
