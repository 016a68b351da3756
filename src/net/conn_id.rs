//! The name of a connection.

use crate::serial::Serial;

/// One accepted connection, for the life of the process. Never reused, so a
/// late reply to a closed connection finds nothing instead of a stranger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Which sub-reactor owns it.
    pub reactor: u16,
    /// Which of that reactor's.
    pub serial: Serial,
}

impl std::fmt::Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.reactor, self.serial)
    }
}

impl std::fmt::Debug for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
