//! A login's way in, once it is proved: claim, enter the registry as behind,
//! announce the presence, end the session that is taken over, then read and
//! answer.

use std::sync::Arc;
use std::time::Duration;

use log::{info, warn};

use super::account::{Proved, already_online, presence_of};
use super::effects::{Change, Effects, Granted, LoggedIn};
use super::feed::{Ended, MOST_UNCONFIRMED};
use super::releaser::Release;
use super::router::Context;
use super::session::{Identity, LoginId, OwnClaim, Session, SessionId};
use super::slot::{LocalSession, Slot};
use super::takeover::{Former, Successor};
use super::token::Token;
use super::{Service, store_refusal};
use crate::model::{
    Claim, ClaimOutcome, Group, OfflinePage, OfflineRow, Pushed, ServerId, User, UserId,
};
use crate::protocol::reply::{self, LoginFields};
use crate::protocol::request::Login;
use crate::protocol::{Errno, Refusal, bare};

/// How long a login waits for its presence to stand in Redis. Beyond that the
/// sweep of a server without Redis finds what others could not nudge.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a login may find another claim than the one that it replaces.
const CLAIM_ATTEMPTS: usize = 4;

impl Service {
    /// Claims the user and enters the registry. Whether the end of a former
    /// session is to be waited for.
    pub(super) fn enter(
        &self,
        session: SessionId,
        context: Context,
        login: &Login<'_>,
        proved: Proved,
    ) -> Result<(Granted, bool), Refusal> {
        let Proved { user, name, token: presented } = proved;
        let takeover = login.takeover || presented.is_some();
        let (claim, replaced) = self.claim(user, takeover)?;
        let token = Token::random();
        let quoted_name = reply::quoted(&name);
        let identity = Arc::new(Identity { user, quoted_name, claim, token: token.hash() });
        let (acks, seq) = (login.ack, context.seq);
        let granted = Granted { identity, name, token, presented, acks, seq };
        let identity = &granted.identity;
        let number = identity.claim.number;
        let own = self.settings.server_id.clone();
        let successor = Successor { server: own.clone(), user, claim: number };
        let entered = self.registry.with(user, |slot| {
            if slot.revoked.contains(&number) {
                return None;
            }
            let session = LocalSession { id: session, claim: number, behind: true, nudges: 0 };
            let here = slot.session.replace(session);
            let here = here.map(|old| LoginId { session: old.id, claim: old.claim });
            let elsewhere = replaced.clone().filter(|claim| {
                here.is_none_or(|here| claim.server != own || claim.number != here.claim)
            });
            let formers: Vec<Former> =
                here.map(Former::Here).into_iter().chain(elsewhere.map(Former::Claim)).collect();
            if !formers.is_empty() {
                slot.begin_takeover(formers.iter().map(|former| former.server(&own)).collect());
            }
            Some(formers)
        });
        let Some(formers) = entered else {
            // Whose claim it replaced was not told of the newer login.
            self.end_formers(replaced.map(Former::Claim).into_iter().collect(), &successor);
            self.end_session(session, identity, Ended::default(), Default::default());
            return Err(taken_over_meanwhile());
        };
        self.announce(identity);
        if !formers.is_empty() {
            let (peer, formers) = (context.peer, named(&formers, &own));
            let line = format_args!("takeover user={user} peer={peer} from {formers}");
            self.throttle.audit(peer.ip(), line);
        }
        let wait = self.end_formers(formers, &successor);
        Ok((granted, wait))
    }

    /// Takes the user's login for a new claim of this server, and says which
    /// claim it replaced that may still have a session.
    fn claim(&self, user: UserId, takeover: bool) -> Result<(OwnClaim, Option<Claim>), Refusal> {
        let claim = self.new_claim();
        let mut replacing: Option<Claim> = None;
        for _ in 0..CLAIM_ATTEMPTS {
            let holder = match self.store.take_claim(
                user,
                &claim.named(self.server_id()),
                replacing.as_ref(),
            ) {
                Ok(ClaimOutcome::Taken) => return Ok((claim, replacing)),
                Ok(ClaimOutcome::HeldBy(holder)) => holder,
                Err(err) => {
                    // It may have been taken all the same.
                    let server = self.settings.server_id.clone();
                    let successor = Successor { server, user, claim: claim.number };
                    let formers = replacing.map(Former::Claim).into_iter().collect();
                    self.end_formers(formers, &successor);
                    let claim = claim.named(self.server_id());
                    self.releaser.release(Release { user, claim, token: None, then: None });
                    return Err(store_refusal(&err));
                }
            };
            if !takeover && !self.is_stale(&holder).map_err(|err| store_refusal(&err))? {
                return Err(already_online());
            }
            info!(target: "claims", "user={user} replacing a claim of server={}", holder.server);
            replacing = Some(holder);
        }
        Err(taken_over_meanwhile())
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

    /// Reads what a granted login is answered with, and answers it. Asks the
    /// database.
    ///
    /// # Errors
    /// Why the login came to nothing; its session has ended then.
    pub fn finish_login(
        &self,
        session: &mut Session,
        granted: &Granted,
    ) -> Result<Effects, Refusal> {
        let identity = &granted.identity;
        // What this server had handed to where the user was would pin the way
        // of all that follows until its deadline.
        self.store_first(identity.user, Slot::take_handed);
        if self.registry.with(identity.user, |slot| slot.end_takeover_of(identity.claim.number)) {
            self.flush_held(identity.user);
        }
        let result = self.answer_login(granted, session);
        match &result {
            Ok(_) => session.identity = Some(identity.clone()),
            Err(_) => self.end_session(session.id, identity, Ended::default(), Default::default()),
        }
        result
    }

    fn answer_login(&self, granted: &Granted, session: &Session) -> Result<Effects, Refusal> {
        let identity = &granted.identity;
        let here = self.registry.session(identity.user);
        if here.is_none_or(|here| here.claim != identity.claim.number) {
            return Err(taken_over_meanwhile());
        }
        if self.epoch() != identity.claim.epoch {
            return Err(Refusal::new(
                Errno::Unavailable,
                "the server has just rejoined the cluster, log in again",
            ));
        }
        let user = identity.user;
        let unavailable = |err| store_refusal(&err);
        self.store
            .add_token(user, &identity.token, granted.presented.as_ref())
            .map_err(unavailable)?;
        let nudges = self.nudges(user);
        let page = self.read_page(user, &Pushed::default()).map_err(unavailable)?;
        let friends = self.store.friends(user).map_err(unavailable)?;
        let groups = self.store.groups_of(user).map_err(unavailable)?;
        for friend in &friends {
            self.known_users.insert(friend.id);
        }
        let answer = LoginAnswer { granted, friends: &friends, groups: &groups };
        let (reply, rows) = match session.bare {
            true => answer.bare(page.rows),
            false => answer.with_messages(page.rows, self.settings.max_frame),
        };
        let login = LoggedIn {
            identity: identity.clone(),
            acks: granted.acks,
            exhausted: page.exhausted && rows.left_out == 0,
            rows: rows.ids,
            nudges,
        };
        let proof = if granted.presented.is_some() { "token" } else { "password" };
        let (missed, peer) = (login.rows.len(), session.peer);
        let line = format_args!("login user={user} peer={peer} by={proof} missed={missed}");
        self.throttle.audit(peer.ip(), line);
        let change = Change::LoggedIn(Box::new(login));
        Ok(Effects { change, ..Effects::reply(reply) })
    }

    /// Reads the oldest missed messages that were not pushed. Asks the
    /// database.
    ///
    /// # Errors
    /// The database's.
    pub fn read_page(
        &self,
        user: UserId,
        pushed: &Pushed,
    ) -> crate::model::store::Result<OfflinePage> {
        self.store.offline_page(user, pushed, MOST_UNCONFIRMED, self.settings.page_bytes)
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
        self.bus.announce(
            identity.user,
            presence_of(&identity.claim.named(self.server_id())),
            then,
        );
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
}

fn named(formers: &[Former], own: &ServerId) -> String {
    let servers: Vec<String> =
        formers.iter().map(|former| format!("server={}", former.server(own))).collect();
    servers.join(" ")
}

fn taken_over_meanwhile() -> Refusal {
    Refusal::new(
        Errno::Unavailable,
        "another login of this account came in between, try again in a moment",
    )
}

struct LoginAnswer<'a> {
    granted: &'a Granted,
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

    /// The answer for a client of the bare dialect, with what it has room for.
    fn bare(&self, rows: Vec<OfflineRow>) -> (Vec<u8>, AnsweredRows) {
        let (mut ids, messages): (Vec<i64>, Vec<String>) =
            rows.into_iter().map(|row| (row.row, row.message)).unzip();
        let (text, taken) = bare::login(self.granted.seq, &self.fields(&messages));
        let left_out = ids.len() - taken;
        ids.truncate(taken);
        (text, AnsweredRows { ids, left_out })
    }

    fn text(&self, messages: &[String]) -> Vec<u8> {
        reply::login(self.granted.seq, self.fields(messages))
    }

    fn fields<'a>(&'a self, messages: &'a [String]) -> LoginFields<'a> {
        LoginFields {
            id: self.granted.identity.user,
            name: &self.granted.name,
            friends: self.friends,
            groups: self.groups,
            offlinemsg: messages,
            token: self.granted.token.text(),
            more: false,
        }
    }
}
