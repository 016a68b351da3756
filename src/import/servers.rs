//! Servers that live on the target: their beats move. One that runs would not
//! hear of what is imported under it.

use std::time::{Duration, Instant};

use crate::model::store::Result;
use crate::model::{ServerId, ServerRow, Store};
use crate::service::claims::DEAD_AFTER;

/// How often the beats are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the servers' rows were when they were first looked at.
pub struct Servers {
    first: Vec<ServerRow>,
}

impl Servers {
    /// Looks until one is seen alive, or for as long as servers give each
    /// other. Where no server has a row, as after a clean stop, that is no time.
    ///
    /// # Errors
    /// The database's.
    pub fn watch(store: &dyn Store) -> Result<Servers> {
        let servers = Servers { first: store.servers()? };
        let until = Instant::now() + DEAD_AFTER;
        while !servers.first.is_empty()
            && Instant::now() < until
            && servers.running(store)?.is_none()
        {
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(servers)
    }

    /// One that has given a sign of life since.
    ///
    /// # Errors
    /// The database's.
    pub fn running(&self, store: &dyn Store) -> Result<Option<ServerId>> {
        let now = store.servers()?;
        Ok(now.into_iter().find(|row| !self.first.contains(row)).map(|row| row.id))
    }
}
