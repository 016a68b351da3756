//! Who does what next, at random.

use crate::bench::people::random;

/// What a person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Writes to somebody, who may be away.
    Message,
    /// Writes to the own group.
    GroupMessage,
    /// Looks at the list of friends.
    Friends,
    /// Makes or ends a friendship.
    Befriend,
    /// Says that it is there.
    Ping,
}

/// Fast pseudo-random numbers (splitmix64): nothing here is a secret.
pub(super) struct Dice(u64);

impl Dice {
    pub fn new() -> Dice {
        Dice(random())
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    /// 80 in 100 write to somebody, 15 to their group.
    pub fn deed(&mut self) -> Deed {
        match self.below(100) {
            0..80 => Deed::Message,
            80..95 => Deed::GroupMessage,
            95..98 => Deed::Friends,
            98 => Deed::Befriend,
            _ => Deed::Ping,
        }
    }

    /// One in ten says goodbye, which ends the tokens, and comes by password.
    pub fn logs_out(&mut self) -> bool {
        self.below(10) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_deeds_are_messages() {
        let mut dice = Dice(7);
        let deeds: Vec<Deed> = (0..10_000).map(|_| dice.deed()).collect();
        let share = |deed| deeds.iter().filter(|d| **d == deed).count() / 100;
        assert!((77..=83).contains(&share(Deed::Message)), "{}", share(Deed::Message));
        assert!((13..=17).contains(&share(Deed::GroupMessage)), "{}", share(Deed::GroupMessage));
    }
}
