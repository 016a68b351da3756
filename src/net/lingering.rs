//! The end of a connection that has finished: its writing side is shut down,
//! and what still comes is thrown away for a moment, so that no reset
//! overtakes its last bytes.
//!
//! Thread: the reactor's.

use std::net::Shutdown;

use super::connection::{Ending, Phase, ReadOutcome};
use super::core::Core;
use super::{CloseReason, ConnId};

impl Core {
    /// Shuts down the writing side of a connection that has finished.
    pub(super) fn linger(&mut self, id: ConnId) {
        let deadline = self.now + self.config.linger_timeout;
        let Some(conn) = self.get(id) else { return };
        let Phase::Finishing(ending) = &conn.phase else { return };
        let reason = ending.reason.clone();
        let shut = conn.stream.shutdown(Shutdown::Write);
        if shut.is_err() || conn.eof_at.is_some() {
            self.close(id, reason);
            return;
        }
        conn.phase = Phase::Lingering(Box::new(Ending { reason, deadline }));
        self.mark_ready(id.serial);
        self.arm(id.serial);
    }

    /// Throws away what a lingering connection still sends.
    pub(super) fn discard(&mut self, id: ConnId, scratch: &mut [u8]) {
        let mut budget = self.config.read_budget_bytes;
        let now = self.now;
        while budget > 0 {
            let room = budget.min(scratch.len());
            let Some(conn) = self.get(id) else { return };
            match conn.read(&mut scratch[..room], now) {
                ReadOutcome::Bytes(n) => budget -= n,
                ReadOutcome::Nothing => return,
                ReadOutcome::End | ReadOutcome::Failed(_) => {
                    self.close_finished(id, CloseReason::PeerClosed);
                    return;
                }
            }
        }
        self.mark_ready(id.serial);
    }
}
