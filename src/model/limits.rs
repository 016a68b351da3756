//! How many friends, groups and members there may be.

/// At most so many; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit(pub u32);

impl Limit {
    /// Whether there is a limit at all: without one nobody has to count.
    pub fn is_on(self) -> bool {
        self.0 > 0
    }

    /// Whether so many are too many.
    pub fn is_exceeded_by(self, count: i64) -> bool {
        self.is_on() && count > i64::from(self.0)
    }
}

/// What a store counts before it lets one more in. The default is no limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Friends of one user.
    pub friends: Limit,
    /// Groups that one user is in.
    pub groups: Limit,
    /// Members of one group.
    pub members: Limit,
}
