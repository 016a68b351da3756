//! Leaving and coming back. Nobody goes before all of its requests are
//! answered; then it closes its side, or says goodbye, and hears the rest.

use mio::Token;

use super::Blend;
use crate::bench::BenchError;
use crate::bench::dialect::{Dialect, Incoming};
use crate::bench::mixed::hands::Entered;
use crate::bench::mixed::member::Presence;
use crate::bench::people::Proof;
use crate::bench::run::Run;

impl Blend {
    pub(super) fn have_somebody_leave(&mut self) {
        let Some(at) = self.somebody_here() else { return };
        let proof = if self.dice.logs_out() { Proof::Password } else { Proof::Token };
        self.members[at].presence = Presence::Leaving(proof);
        self.leaving.push(at);
    }

    /// Those go whose requests are all answered.
    pub(super) fn let_go(&mut self) -> Result<(), BenchError> {
        for at in std::mem::take(&mut self.leaving) {
            let member = &mut self.members[at];
            let (Presence::Leaving(proof), Some(link)) = (member.presence, &mut member.link) else {
                continue;
            };
            if member.under_way > 0 || link.has_output() {
                self.leaving.push(at);
                continue;
            }
            member.presence = Presence::Going(proof);
            match proof {
                Proof::Token => link.finish_sending().map_err(BenchError::connection)?,
                Proof::Password => self.queue(at, |out| out.extend_from_slice(br#"{"msgid":3}"#)),
            }
        }
        self.flush()
    }

    pub(super) fn leave(&mut self, at: usize, proof: Proof) {
        let member = &mut self.members[at];
        member.under_way = 0;
        member.leave();
        self.hands.log_in(at, member.person.clone(), proof);
    }

    /// Somebody is back: what was missed comes first.
    pub(super) fn welcome(&mut self, entered: Entered, run: &mut Run) -> Result<(), BenchError> {
        let Entered { member: at, proof, took, result } = entered;
        let (talk, reply) = result?;
        let mut link = talk.into_link()?;
        link.register(self.poll.registry(), Token(at)).map_err(BenchError::system)?;
        self.blended.login.record(took);
        match proof {
            Proof::Token => self.blended.by_token += 1,
            Proof::Password => self.blended.by_password += 1,
        }
        for missed in reply["offlinemsg"].as_array().into_iter().flatten() {
            let missed = missed.as_str().unwrap_or_default();
            if let Incoming::Push(number) = Dialect::Chat.read(missed.as_bytes()) {
                link.pushes += 1;
                self.copy(at, number, run);
            }
        }
        let member = &mut self.members[at];
        member.person.token = reply["token"].as_str().map(str::to_owned);
        member.link = Some(link);
        member.presence = Presence::Here;
        run.ready.push(at);
        if member.confirm() {
            self.mark_dirty(at);
        }
        Ok(())
    }
}
