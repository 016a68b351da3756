//! Register, log in, and the end of a session.

use std::net::SocketAddr;
use std::time::Instant;

use log::error;

use super::effects::Effects;
use super::feed::Ended;
use super::password::Passwords;
use super::registry::NEVER_POISONED;
use super::releaser::Release;
use super::router::{Context, Handled};
use super::session::{Identity, LoginId, Session, SessionId};
use super::{Change, Service, store_refusal, token};
use crate::bus::Presence;
use crate::model::{Claim, Credentials, TokenHash, UserId};
use crate::protocol::reply::{self, Registered};
use crate::protocol::request::{Account, Login, Proof};
use crate::protocol::{Errno, MsgId, Refusal, Request};

/// Who somebody has proved to be.
pub(super) struct Proved {
    pub user: UserId,
    pub name: Box<str>,
    /// The token that was the proof, if one was.
    pub token: Option<TokenHash>,
}

/// How a session ends.
#[derive(Default)]
pub struct End {
    /// Whether it was logged out, which ends its tokens too.
    pub logged_out: bool,
    /// Called once what it left is committed; after a log-out once its claim
    /// is released, too, or is sure to be.
    pub then: Option<Box<dyn FnOnce() + Send>>,
}

impl Service {
    /// REG_MSG. Hashes a password and asks the database.
    pub(super) fn register(
        &self,
        context: Context,
        name: &str,
        password: &str,
    ) -> Result<Handled, Refusal> {
        let peer = context.peer;
        self.throttle.registered(peer.ip(), Instant::now());
        let hash = self.passwords.hash(password).map_err(|err| {
            error!(target: "account", "{err}");
            store_refusal(&crate::model::StoreError::Internal(err))
        })?;
        let id = self.store.create_user(name, &hash).map_err(|err| store_refusal(&err))?;
        self.known_users.insert(id);
        self.throttle.audit(peer.ip(), format_args!("registered user={id} peer={peer}"));
        Ok(Handled::Done(Effects::reply(reply::done(
            MsgId::Register,
            context.seq,
            Registered { id },
        ))))
    }

    /// LOGIN_MSG, on a session where nobody is logged in. Asks the database
    /// and, for a password, hashes it.
    pub(super) fn login(
        &self,
        session: &mut Session,
        context: Context,
        login: &Login<'_>,
    ) -> Result<Handled, Refusal> {
        let proved = self.prove(session.peer, login)?;
        let user = proved.user;
        let takeover = login.takeover || proved.token.is_some();
        self.registry.with(user, |slot| {
            if slot.logging_in && takeover {
                return Err(Refusal::new(
                    Errno::Unavailable,
                    "another login of this account is under way, try again in a moment",
                ));
            }
            if slot.logging_in || (slot.session.is_some() && !takeover) {
                return Err(already_online());
            }
            slot.logging_in = true;
            Ok(())
        })?;
        let entered = self.enter(session.id, context, login, proved);
        self.registry.with(user, |slot| {
            slot.logging_in = false;
            slot.revoked.clear();
        });
        let (granted, wait) = entered?;
        if wait {
            let change = Change::TakingOver(Box::new(granted));
            return Ok(Handled::Done(Effects { change, ..Effects::default() }));
        }
        self.finish_login(session, &granted).map(Handled::Done)
    }

    /// Checks a login's proof and keeps account of wrong ones.
    fn prove(&self, peer: SocketAddr, login: &Login<'_>) -> Result<Proved, Refusal> {
        let proved = self.check_proof(login);
        let account = &login.account;
        match (&proved, &login.proof) {
            (Ok(_), Proof::Password(_)) => self.throttle.logged_in(peer.ip(), account),
            (Ok(_), Proof::Token(_)) => {}
            (Err(refusal), proof) if refusal.errno == Errno::WrongOrTaken => {
                let by = match proof {
                    Proof::Password(_) => {
                        self.throttle.login_failed(peer.ip(), account, Instant::now());
                        "password"
                    }
                    // Not to be guessed, and not refused by a count either:
                    // whoever has many wrong ones must not keep its
                    // neighbours' passwords out.
                    Proof::Token(_) => "token",
                };
                let line = format_args!("login failed {account} peer={peer} by={by}");
                self.throttle.audit(peer.ip(), line);
            }
            (Err(_), _) => {}
        }
        proved
    }

    /// Whether this address may try this now: asked on the reactor, so that
    /// what may not costs next to nothing, and again when its turn has come.
    pub(super) fn may_try(&self, peer: SocketAddr, request: &Request<'_>) -> Result<(), Refusal> {
        let (what, granted) = match request {
            Request::Login(Login { account, proof: Proof::Password(_), .. }) => (
                "there were too many wrong passwords from your address",
                self.throttle.may_log_in(peer.ip(), account, Instant::now()),
            ),
            Request::Register { .. } => (
                "there were too many registrations from your address",
                self.throttle.may_register(peer.ip(), Instant::now()),
            ),
            _ => return Ok(()),
        };
        granted.map_err(|wait| {
            let which =
                if matches!(request, Request::Login(_)) { "logins" } else { "registrations" };
            self.throttle.audit(peer.ip(), format_args!("throttled {which} peer={peer}"));
            Refusal::slow_down(what, wait)
        })
    }

    fn check_proof(&self, login: &Login<'_>) -> Result<Proved, Refusal> {
        let unavailable = |err| store_refusal(&err);
        let credentials = match (&login.proof, &login.account) {
            (Proof::Token(text), Account::Id(user)) => {
                let token = token::hash(text);
                let name = self.store.token_user(*user, &token).map_err(unavailable)?;
                let name = name.ok_or_else(|| {
                    Refusal::new(
                        Errno::WrongOrTaken,
                        "this token is not valid (any more), log in with the password",
                    )
                })?;
                return Ok(Proved { user: *user, name: name.into(), token: Some(token) });
            }
            (Proof::Token(_), Account::Name(_)) => {
                return Err(Refusal::malformed("id is missing: a token goes with an id"));
            }
            (Proof::Password(password), Account::Id(id)) => {
                let found = self.store.credentials_by_id(*id).map_err(unavailable)?;
                check_password(&self.passwords, password, found)
            }
            (Proof::Password(password), Account::Name(name)) => {
                let found = self.store.credentials_by_name(name).map_err(unavailable)?;
                check_password(&self.passwords, password, found)
            }
        }?;
        Ok(Proved { user: credentials.id, name: credentials.name.into(), token: None })
    }

    /// A session is over: by log-out, by the end of its connection, or because
    /// its login could not be answered. What it had not confirmed is stored;
    /// then its claim is let go.
    pub fn end_session(&self, session: SessionId, identity: &Identity, left: Ended, end: End) {
        let user = identity.user;
        let Ended { unconfirmed, deletions } = left;
        self.store_first(user, |slot| {
            slot.session.take_if(|here| here.id == session && here.claim == identity.claim.number);
            unconfirmed
        });
        if !deletions.is_empty() {
            let login = LoginId { session, claim: identity.claim.number };
            self.writers.delete(user, login, deletions);
        }
        let flush = self.registry.with(user, |slot| slot.session.is_none() && slot.end_waits());
        if flush {
            self.flush_held(user);
        }
        let claim = identity.claim.named(self.server_id());
        if self.is_stopping() && !end.logged_out {
            // The stop lets go of all claims at once, after all is stored.
            self.ended_in_stop.lock().expect(NEVER_POISONED).push((user, claim));
            if let Some(then) = end.then {
                self.writers.after_all_for(user, then);
            }
            return;
        }
        let Some(this) = self.this() else { return };
        let (token, after_release, after_commit) = match end.logged_out {
            true => (Some(identity.token), end.then, None),
            // Whoever waits for it has the claim: there is nothing to release.
            false => (None, None, end.then),
        };
        let release = Release { user, claim, token, then: after_release };
        self.writers.after_all_for(user, move || {
            if let Some(then) = after_commit {
                then();
            }
            this.releaser.release(release);
        });
    }

    /// A frame has come on a connection after its login's answer: its client
    /// has the new token, and the ones before it end.
    pub fn token_arrived(&self, identity: &Identity) {
        self.token_keeper.drop_older(identity.user, identity.token);
    }
}

fn check_password(
    passwords: &Passwords,
    password: &str,
    found: Option<Credentials>,
) -> Result<Credentials, Refusal> {
    match found {
        Some(credentials) if passwords.verify(password, &credentials.password_hash) => {
            return Ok(credentials);
        }
        Some(_) => {}
        None => passwords.verify_nobody(password),
    }
    Err(Refusal::new(Errno::WrongOrTaken, "wrong id or password: check both, or register first"))
}

pub(super) fn presence_of(claim: &Claim) -> Presence {
    Presence { server: claim.server.clone(), epoch: claim.epoch, claim: claim.number }
}

pub(super) fn already_online() -> Refusal {
    Refusal::new(
        Errno::AlreadyOnline,
        "this account is online already: log out there first, wait until that connection ends, \
         or log in with takeover",
    )
}
