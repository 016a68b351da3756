//! The end of a server: everything under way is stored, then all of its users
//! are set offline at once, and nobody else's.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::info;

use super::Service;
use super::account::presence_of;
use super::registry::NEVER_POISONED;
use crate::model::StoreError;

/// How often what is under way to other servers is looked at.
const OVERDUE_EVERY: Duration = Duration::from_millis(250);

impl Service {
    /// From now on sessions that end are not released one by one.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// After the reactors have ended: stores what is still on its way to other
    /// servers, and lets the writers, the releaser and the keeper of tokens end
    /// once all is done.
    pub fn finish_writing(&self) {
        self.store_all_under_way();
        let Some(this) = self.this() else { return };
        // After the releases that the writers' barriers still ask for.
        self.writers.stop(move || {
            this.releaser.stop();
            this.token_keeper.stop();
        });
    }

    /// After the writers have ended: takes this server out of the cluster.
    ///
    /// # Errors
    /// The database's; then its users count as online until this server
    /// starts again or is declared dead.
    pub fn leave_cluster(&self) -> Result<(), StoreError> {
        let ended = std::mem::take(&mut *self.ended_in_stop.lock().expect(NEVER_POISONED));
        for (user, claim) in ended {
            self.bus.withdraw(user, presence_of(&claim));
        }
        let freed = self.store.stop_server(self.server_id(), self.epoch())?;
        info!(target: "claims", "users set offline: {freed}");
        Ok(())
    }
}

/// Stores what other servers have not reported on in time, and sends again what
/// could not be sent to them, until `stop` says something or is dropped.
///
/// Thread: "overdue".
pub fn run_overdue(service: &Service, stop: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(OVERDUE_EVERY) {
        let now = Instant::now();
        service.store_overdue(now);
        service.end_overdue_catch_ups(now);
        service.flush_the_rest();
        service.resume_servers();
        service.retry_nudges();
        service.flush_outcomes();
    }
}
