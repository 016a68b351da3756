//! Chance that can be had again: the same seed gives the same numbers.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The numbers of one seed; `part` tells users of the same seed apart.
    pub fn new(seed: u64, part: u64) -> Rng {
        let mut rng = Rng(seed ^ part.wrapping_mul(0x2545_f491_4f6c_dd1d));
        Rng(rng.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of these.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Between a half and three halves of `about`.
    pub fn around(&mut self, about: Duration) -> Duration {
        about / 2 + about.mul_f64(self.below(1_000) as f64 / 1_000.0)
    }

    /// A `mid` as the protocol recommends: 128 random bits.
    pub fn mid(&mut self) -> String {
        format!("{:016x}{:016x}", self.next(), self.next())
    }
}

/// The seed of this run: CHAT_FAULT_SEED, or one that nobody has seen before.
pub fn seed() -> u64 {
    let Ok(given) = std::env::var("CHAT_FAULT_SEED") else {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).unwrap();
        // Short enough to be typed.
        return u64::from_le_bytes(bytes) % 1_000_000;
    };
    given.parse().unwrap_or_else(|e| panic!("CHAT_FAULT_SEED is no number: {given:?} ({e})"))
}
