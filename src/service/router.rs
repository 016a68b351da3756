//! From a payload to its handler, and on which threads a handler runs.

use std::net::SocketAddr;

use super::effects::Effects;
use super::session::{Identity, Session};
use super::{Change, Service};
use crate::protocol::reply::{self, GroupChatFields, Nothing, OneChatFields};
use crate::protocol::request::{Chat, Login, Proof};
use crate::protocol::{Errno, Integer, MsgId, RawRequest, Refusal, Request};

/// Which threads a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The connection's own reactor: touches memory only.
    Memory,
    /// The worker pool: may touch the database.
    Database,
    /// The small pool whose threads hash passwords.
    Password,
}

/// Where a handler is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On a reactor, which must not block.
    Reactor,
    /// On a thread that may ask the database.
    Worker,
}

/// What a handler came to.
#[derive(Debug)]
pub enum Handled {
    /// It is done.
    Done(Effects),
    /// It has to run again, on a thread of this lane.
    Later(Lane),
}

/// The one table: where each message is handled, and whether it needs a login.
const fn route(msgid: MsgId) -> (Lane, NeedsLogin) {
    use Lane::*;
    use NeedsLogin::*;
    match msgid {
        // By token on a worker.
        MsgId::Login => (Password, No),
        MsgId::Register => (Password, No),
        MsgId::Ping => (Memory, No),
        MsgId::Logout => (Memory, Yes),
        // Memory, and again on a worker where the recipient is not known yet.
        MsgId::OneChat => (Memory, Yes),
        // Memory, and again on a worker where the members are not cached.
        MsgId::GroupChat => (Memory, Yes),
        MsgId::RecvAck => (Memory, Yes),
        MsgId::AddFriend => (Database, Yes),
        MsgId::DelFriend => (Database, Yes),
        MsgId::ShowFriendList => (Database, Yes),
        MsgId::CreateGroup => (Database, Yes),
        MsgId::AddGroup => (Database, Yes),
        MsgId::DelGroup => (Database, Yes),
    }
}

#[derive(PartialEq, Eq)]
enum NeedsLogin {
    Yes,
    No,
}

/// What a handler knows of the request beside its fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// To be echoed.
    pub seq: Option<u64>,
    /// The client's address.
    pub peer: SocketAddr,
    /// Where the handler runs.
    pub place: Place,
    /// Whether the client is told to repeat what could not be done.
    pub hears_refusals: bool,
}

impl Service {
    /// Handles one payload of a session.
    ///
    /// On [`Place::Reactor`] this touches memory only; [`Handled::Later`] says
    /// which pool must call it again, with the same session and payload.
    pub fn handle(&self, session: &mut Session, payload: &[u8], place: Place) -> Handled {
        match self.try_handle(session, payload, place) {
            Ok(handled) => handled,
            Err(reply) => Handled::Done(Effects::reply(reply)),
        }
    }

    /// Whether a payload is a RECV_ACK_MSG, which has no answer.
    pub fn is_acknowledgement(&self, payload: &[u8]) -> bool {
        let raw = RawRequest::read(payload);
        raw.is_ok_and(|raw| matches!(known_msgid(&raw), Ok(MsgId::RecvAck)))
    }

    /// Answers a payload that is not going to be handled.
    pub fn refuse(&self, payload: &[u8], refusal: &Refusal) -> Effects {
        let raw = RawRequest::read(payload).unwrap_or_default();
        let seq = raw.seq().ok().flatten();
        let Ok(msgid) = known_msgid(&raw) else {
            return Effects::reply(reply::error(seq, refusal));
        };
        Effects::reply(match Request::parse(msgid, &raw) {
            Ok(Request::OneChat { to, chat: Chat { mid: Some(mid), .. } }) => {
                let fields = OneChatFields { mid: &mid, to, status: None };
                reply::refused_with(msgid, seq, refusal, fields)
            }
            Ok(Request::GroupChat { group, chat: Chat { mid: Some(mid), .. } }) => {
                let fields =
                    GroupChatFields { mid: &mid, groupid: group, delivered: None, stored: None };
                reply::refused_with(msgid, seq, refusal, fields)
            }
            _ => reply::refused(msgid, seq, refusal),
        })
    }

    /// As [`Service::handle`]; the error is a refusal's reply. The reasons are
    /// looked for in the protocol's order: 14, 3, 4, 5, the rest.
    fn try_handle(
        &self,
        session: &mut Session,
        payload: &[u8],
        place: Place,
    ) -> Result<Handled, Vec<u8>> {
        let mut raw = RawRequest::default();
        raw.fill(payload).map_err(|e| reply::error(None, &Refusal::malformed(e.to_string())))?;
        let (seq, bad_seq) = match raw.seq() {
            Ok(seq) => (seq, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let msgid = known_msgid(&raw).map_err(|refusal| reply::error(seq, &refusal))?;
        let (lane, needs_login) = route(msgid);
        if needs_login == NeedsLogin::Yes && session.identity.is_none() {
            let refusal = Refusal::new(Errno::NotLoggedIn, "log in first");
            return Err(reply::refused(msgid, seq, &refusal));
        }
        let refused = |refusal: Refusal| reply::refused(msgid, seq, &refusal);
        if let Some(refusal) = bad_seq {
            return Err(refused(refusal));
        }
        let request = Request::parse(msgid, &raw).map_err(refused)?;
        let lane = match &request {
            // A token costs no hash.
            Request::Login(Login { proof: Proof::Token(_), .. }) => Lane::Database,
            _ => lane,
        };
        if let (Some(identity), Some(id)) = (&session.identity, raw.id)
            && msgid != MsgId::Login
            && id.parse() != Ok(identity.user.0)
        {
            self.audit_refused(identity, session.peer, msgid, Errno::NotYours);
            return Err(refused(Refusal::new(
                Errno::NotYours,
                format!("id is not yours: you are {}, leave it out or send that", identity.user),
            )));
        }
        if msgid == MsgId::Login && session.identity.is_some() {
            return Err(refused(Refusal::new(
                Errno::NothingToDo,
                "this connection is logged in already: log out first",
            )));
        }
        self.may_try(session.peer, &request).map_err(refused)?;
        if place == Place::Reactor && lane != Lane::Memory {
            return Ok(Handled::Later(lane));
        }
        let hears_refusals = !session.bare;
        let context = Context { seq, peer: session.peer, place, hears_refusals };
        self.carry_out(session, &context, msgid, &request)
    }

    /// Does what a request asks for that nothing speaks against.
    fn carry_out(
        &self,
        session: &mut Session,
        context: &Context,
        msgid: MsgId,
        request: &Request<'_>,
    ) -> Result<Handled, Vec<u8>> {
        let seq = context.seq;
        let refused = |refusal: Refusal| reply::refused(msgid, seq, &refusal);
        match (request, session.identity.as_ref()) {
            // Almost every request.
            (Request::OneChat { to, chat }, Some(identity)) => {
                Ok(self.one_chat(session.id, identity, context, *to, chat))
            }
            (Request::GroupChat { group, chat }, Some(identity)) => {
                Ok(self.group_chat(session.id, identity, context, *group, chat))
            }
            (Request::Ping, _) => Ok(done(MsgId::Ping, seq)),
            (Request::Login(login), _) => self.login(session, *context, login).map_err(refused),
            (Request::Register { name, password }, _) => {
                self.register(*context, name, password).map_err(refused)
            }
            (request, Some(identity)) => {
                let handled = self.handle_of_user(session, identity, *context, request);
                handled.map_err(|refusal| {
                    self.audit_refused(identity, session.peer, msgid, refusal.errno);
                    refused(refusal)
                })
            }
            // Only Login, Register and Ping get here without an identity.
            (_, None) => Err(refused(Refusal::new(Errno::NotLoggedIn, "log in first"))),
        }
    }

    fn handle_of_user(
        &self,
        session: &Session,
        identity: &Identity,
        context: Context,
        request: &Request<'_>,
    ) -> Result<Handled, Refusal> {
        match *request {
            Request::Logout => {
                let (user, peer) = (identity.user, session.peer);
                self.throttle.audit(peer.ip(), format_args!("logout user={user} peer={peer}"));
                Ok(Handled::Done(Effects {
                    change: Change::LogOut(reply::done(MsgId::Logout, context.seq, Nothing {})),
                    ..Effects::default()
                }))
            }
            Request::AddFriend(friend) => self.add_friend(identity, context, friend),
            Request::DelFriend(friend) => self.del_friend(identity, context, friend),
            Request::ShowFriendList => self.show_friend_list(identity, context),
            Request::CreateGroup { ref name, ref description } => {
                self.create_group(identity, context, name, description)
            }
            Request::AddGroup(group) => self.add_group(identity, context, group),
            Request::DelGroup(group) => self.del_group(identity, context, group),
            Request::RecvAck(count) => Ok(Handled::Done(Effects {
                change: Change::Acknowledged(count),
                ..Effects::default()
            })),
            Request::OneChat { .. }
            | Request::GroupChat { .. }
            | Request::Ping
            | Request::Login(_)
            | Request::Register { .. } => {
                Err(Refusal::new(Errno::Internal, "this request was routed wrongly"))
            }
        }
    }
}

impl Service {
    /// Notes in the audit log what somebody asked for without a right to it.
    pub(super) fn audit_refused(
        &self,
        identity: &Identity,
        peer: SocketAddr,
        msgid: MsgId,
        errno: Errno,
    ) {
        let of_group = matches!(msgid, MsgId::GroupChat | MsgId::DelGroup);
        let is_right = match errno {
            Errno::NotYours | Errno::NotPermitted => true,
            Errno::NotRelated => of_group,
            _ => false,
        };
        if is_right {
            let (user, number, errno) = (identity.user, msgid.number(), errno as u8);
            let line = format_args!("refused user={user} peer={peer} msgid={number} errno={errno}");
            self.throttle.audit(peer.ip(), line);
        }
    }
}

fn known_msgid(raw: &RawRequest<'_>) -> Result<MsgId, Refusal> {
    match raw.msgid() {
        None => Err(Refusal::malformed("msgid is missing or no integer")),
        Some(Integer::Huge) => Err(Refusal::new(Errno::UnknownMsgId, "there is no such msgid")),
        Some(Integer::Small(number)) => MsgId::from_number(number).ok_or_else(|| {
            Refusal::new(Errno::UnknownMsgId, format!("there is no msgid {number} for requests"))
        }),
    }
}

fn done(msgid: MsgId, seq: Option<u64>) -> Handled {
    Handled::Done(Effects::reply(reply::done(msgid, seq, Nothing {})))
}
