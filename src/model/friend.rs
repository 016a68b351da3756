//! Friendships: two-sided, one row per side.
//!
//! A friend as others see one is a [`super::User`]; this module only holds
//! what is common to the stores.

use super::UserId;

/// The two rows that make one friendship, in an order that every transaction
/// keeps, so that two people befriending each other at once cannot deadlock.
pub fn both_sides(a: UserId, b: UserId) -> [(UserId, UserId); 2] {
    if a <= b { [(a, b), (b, a)] } else { [(b, a), (a, b)] }
}
