//! Register, log in, and the end of a session.

use std::sync::Arc;
use std::time::Duration;

use log::{debug, error, info, warn};

use super::effects::{Change, Effects, LoggedIn};
use super::message::MessageCopy;
use super::registry::NEVER_POISONED;
use super::router::{Context, Handled};
use super::session::{Identity, Session, SessionId};
use super::slot::{LocalSession, Slot};
use super::{Service, password, store_refusal};
use crate::bus::Presence;
use crate::model::{
    Claim, ClaimOutcome, Credentials, Group, OfflinePage, OfflineRow, Pushed, User, UserId,
};
use crate::protocol::reply::{self, LoginFields, Registered};
use crate::protocol::request::{Account, Login, Proof};
use crate::protocol::{Errno, MsgId, Refusal};

/// How long a login waits for its presence to stand in Redis. Beyond that the
/// sweep of a server without Redis finds what others could not nudge.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a login waits for what its user's former session left.
const WRITER_TIMEOUT: Duration = Duration::from_millis(500);
/// The most missed messages of one read.
const PAGE_ROWS: usize = 1_000;

impl Service {
    /// REG_MSG. Hashes a password and asks the database.
    pub(super) fn register(
        &self,
        context: Context,
        name: &str,
        password: &str,
    ) -> Result<Handled, Refusal> {
        let hash = password::hash(password).map_err(|err| {
            error!(target: "account", "{err}");
            store_refusal(&crate::model::StoreError::Internal(err))
        })?;
        let id = self.store.create_user(name, &hash).map_err(|err| store_refusal(&err))?;
        self.known_users.insert(id);
        info!(target: "account", "user={id} registered");
        Ok(Handled::Done(Effects::reply(reply::done(
            MsgId::Register,
            context.seq,
            Registered { id },
        ))))
    }

    /// LOGIN_MSG, on a session where nobody is logged in. Hashes a password
    /// and asks the database. In this order: claim, register as behind,
    /// presence, read, answer.
    pub(super) fn login(
        &self,
        session: &mut Session,
        context: Context,
        login: Login<'_>,
    ) -> Result<Handled, Refusal> {
        let credentials = self.check_password(&login)?;
        let user = credentials.id;
        let reserved = self.registry.with(user, |slot| {
            let free = slot.session.is_none() && !slot.logging_in;
            slot.logging_in |= free;
            free
        });
        if !reserved {
            return Err(already_online());
        }
        let result = self.log_in(session.id, context, credentials);
        self.registry.with(user, |slot| slot.logging_in = false);
        let effects = result?;
        if let Change::LoggedIn(login) = &effects.change {
            session.identity = Some(login.identity.clone());
        }
        Ok(Handled::Done(effects))
    }

    fn check_password(&self, login: &Login<'_>) -> Result<Credentials, Refusal> {
        let wrong = || {
            Refusal::new(Errno::WrongOrTaken, "wrong id or password: check both, or register first")
        };
        let Proof::Password(password) = &login.proof else {
            // No token has been given out that could be the right one.
            return Err(Refusal::new(
                Errno::WrongOrTaken,
                "this token is not valid, log in with the password",
            ));
        };
        let found = match &login.account {
            Account::Id(id) => self.store.credentials_by_id(*id),
            Account::Name(name) => self.store.credentials_by_name(name),
        };
        match found.map_err(|err| store_refusal(&err))? {
            Some(credentials) if password::verify(password, &credentials.password_hash) => {
                Ok(credentials)
            }
            Some(_) => Err(wrong()),
            None => {
                password::verify_nobody(password);
                Err(wrong())
            }
        }
    }

    fn log_in(
        &self,
        session: SessionId,
        context: Context,
        credentials: Credentials,
    ) -> Result<Effects, Refusal> {
        let claim = self.claim(credentials.id)?;
        let identity = Identity {
            user: credentials.id,
            name: Arc::from(credentials.name.as_str()),
            claim: claim.clone(),
        };
        self.registry.with(identity.user, |slot| {
            slot.session =
                Some(LocalSession { id: session, claim: claim.number, behind: true, nudges: 0 });
        });
        let result = self.answer_login(context, &identity);
        if result.is_err() {
            self.end_session(session, &identity, Vec::new(), None);
        }
        result
    }

    /// Takes the user's login for a new claim of this server.
    fn claim(&self, user: UserId) -> Result<Claim, Refusal> {
        let claim = self.new_claim();
        let unavailable = |err| store_refusal(&err);
        let mut outcome = self.store.take_claim(user, &claim, None);
        if let Ok(ClaimOutcome::HeldBy(holder)) = &outcome
            && self.is_stale(holder).map_err(unavailable)?
        {
            info!(target: "claims", "user={user} replacing a stale claim of server={}", holder.server);
            if holder.server == self.settings.server_id {
                self.wait_for_writer();
            }
            outcome = self.store.take_claim(user, &claim, Some(holder));
        }
        match outcome {
            Ok(ClaimOutcome::Taken) => Ok(claim),
            Ok(ClaimOutcome::HeldBy(_)) => Err(already_online()),
            Err(err) => {
                // It may have been taken all the same.
                self.releaser.release(user, claim, None);
                Err(unavailable(err))
            }
        }
    }

    /// The user's former session here has ended, and what its socket had taken
    /// may still be with the writer: not to be read again.
    fn wait_for_writer(&self) {
        let (done, passed) = crossbeam_channel::bounded(1);
        self.writer.after_all(move || {
            if done.send(()).is_err() {
                debug!(target: "claims", "a login did not wait for the writer");
            }
        });
        if passed.recv_timeout(WRITER_TIMEOUT).is_err() {
            debug!(target: "claims", "the writer is busy, a login goes on");
        }
    }

    /// Whether a claim belongs to nobody any more: to a former life of a
    /// server, or to a session of this one that has ended (this user has no
    /// session here, and the slot says that this login is the only one).
    fn is_stale(&self, holder: &Claim) -> crate::model::store::Result<bool> {
        if holder.server == self.settings.server_id {
            return Ok(true);
        }
        let servers = self.store.servers()?;
        Ok(!servers.iter().any(|row| row.id == holder.server && row.epoch == holder.epoch))
    }

    fn answer_login(&self, context: Context, identity: &Identity) -> Result<Effects, Refusal> {
        self.announce(identity);
        if self.epoch() != identity.claim.epoch {
            return Err(Refusal::new(
                Errno::Unavailable,
                "the server has just rejoined the cluster, log in again",
            ));
        }
        let user = identity.user;
        let unavailable = |err| store_refusal(&err);
        let nudges = self.nudges(user);
        let page = self.read_page(user).map_err(unavailable)?;
        let friends = self.store.friends(user).map_err(unavailable)?;
        let groups = self.store.groups_of(user).map_err(unavailable)?;
        for friend in &friends {
            self.known_users.insert(friend.id);
        }
        let answer = LoginAnswer { context, identity, friends: &friends, groups: &groups };
        let (reply, rows) = answer.with_messages(page.rows, self.settings.max_frame);
        let login = LoggedIn {
            identity: identity.clone(),
            exhausted: page.exhausted && rows.left_out == 0,
            rows: rows.ids,
            nudges,
        };
        info!(target: "account", "user={user} logged in missed={}", login.rows.len());
        Ok(Effects { replies: vec![reply], awaiting: 0, change: Change::LoggedIn(Box::new(login)) })
    }

    /// Reads the oldest missed messages. Asks the database.
    ///
    /// # Errors
    /// The database's.
    pub fn read_page(&self, user: UserId) -> crate::model::store::Result<OfflinePage> {
        self.store.offline_page(user, &Pushed::default(), PAGE_ROWS, self.settings.page_bytes)
    }

    fn announce(&self, identity: &Identity) {
        if !self.bus.has_peers() {
            return;
        }
        let (done, announced) = crossbeam_channel::bounded(1);
        let then = Box::new(move |result| {
            if done.send(result).is_err() {
                // The login went on without it.
            }
        });
        self.bus.announce(identity.user, presence_of(&identity.claim), then);
        match announced.recv_timeout(ANNOUNCE_TIMEOUT) {
            Ok(Ok(())) => {}
            Ok(Err(err)) => {
                warn!(target: "bus", "user={} presence not announced err={err}", identity.user);
            }
            Err(_) => {
                warn!(target: "bus", "user={} presence not announced in time", identity.user);
            }
        }
    }

    /// A session is over: by log-out, by the end of its connection, or because
    /// its login could not be answered. What it had not confirmed is stored;
    /// then its claim is let go, and `then` is called.
    pub fn end_session(
        &self,
        session: SessionId,
        identity: &Identity,
        unconfirmed: Vec<MessageCopy>,
        then: Option<Box<dyn FnOnce() + Send>>,
    ) {
        let user = identity.user;
        self.store_first(user, |slot| {
            slot.session.take_if(|here| here.id == session);
            unconfirmed
        });
        if self.registry.with(user, Slot::end_catch_up) {
            self.flush_held(user);
        }
        if self.is_stopping() {
            // The stop lets go of all claims at once, after all is stored.
            self.ended_in_stop.lock().expect(NEVER_POISONED).push((user, identity.claim.clone()));
            if let Some(then) = then {
                then();
            }
            return;
        }
        let Some(this) = self.this() else { return };
        let claim = identity.claim.clone();
        self.writer.after_all(move || this.releaser.release(user, claim, then));
    }
}

pub(super) fn presence_of(claim: &Claim) -> Presence {
    Presence { server: claim.server.clone(), epoch: claim.epoch, claim: claim.number }
}

fn already_online() -> Refusal {
    Refusal::new(
        Errno::AlreadyOnline,
        "this account is online already: log out there first, or wait until that connection ends",
    )
}

struct LoginAnswer<'a> {
    context: Context,
    identity: &'a Identity,
    friends: &'a [User],
    groups: &'a [Group],
}

struct AnsweredRows {
    ids: Vec<i64>,
    left_out: usize,
}

impl LoginAnswer<'_> {
    /// The answer with as many missed messages as keep it within the limit.
    fn with_messages(&self, rows: Vec<OfflineRow>, limit: usize) -> (Vec<u8>, AnsweredRows) {
        let mut size = self.text(&[]).len();
        let total = rows.len();
        let mut taken = AnsweredRows { ids: Vec::new(), left_out: 0 };
        let mut messages = Vec::new();
        let mut escaped = Vec::new();
        for row in rows {
            escaped.clear();
            reply::json_string(&mut escaped, &row.message);
            size += escaped.len() + 1;
            if size > limit {
                break;
            }
            taken.ids.push(row.row);
            messages.push(row.message);
        }
        taken.left_out = total - messages.len();
        (self.text(&messages), taken)
    }

    fn text(&self, messages: &[String]) -> Vec<u8> {
        let fields = LoginFields {
            id: self.identity.user,
            name: &self.identity.name,
            friends: self.friends,
            groups: self.groups,
            offlinemsg: messages,
            more: false,
        };
        reply::login(self.context.seq, fields)
    }
}
