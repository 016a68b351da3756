//! Login tokens: proof of a former login, so that a client may come back
//! without its password.

use std::time::Duration;

/// How long a token is good for after its last use.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// The same in seconds, as the database's clock counts.
pub(super) const TOKEN_LIFETIME_SECONDS: i64 = TOKEN_LIFETIME.as_secs() as i64;

/// A login leaves so many of the user's other tokens, the newest: more answers
/// than that are not lost in a row.
const KEPT_OTHERS: usize = 3;

/// Expired tokens that one call removes at most.
pub(super) const MOST_EXPIRED: usize = 10_000;

/// The SHA-256 of a login token. The token itself is never kept: who reads the
/// database cannot log in by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It stays out of logs.
        f.write_str("TokenHash(..)")
    }
}

/// What a new login does to a token that its user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its life begins anew.
    Renewed,
    /// It is deleted.
    Dropped,
}

/// What adding `new` does to the user's tokens, which come with their row ids
/// in ascending order; those that are not named stay as they are. In the same
/// order, so that every transaction locks them in it.
///
/// `new` is among them where an answer was lost and the login is repeated.
/// Others are left to the first frame after the login: of two logins at once
/// the one that is superseded must not end the other's token.
pub(super) fn fates(
    tokens: &[(i64, TokenHash)],
    new: &TokenHash,
    presented: Option<&TokenHash>,
) -> Vec<(i64, Fate)> {
    let is_used = |hash: &TokenHash| hash == new || Some(hash) == presented;
    let others = tokens.iter().filter(|(_, hash)| !is_used(hash)).map(|(id, _)| *id);
    // Others below this row go.
    let kept_from = others.rev().take(KEPT_OTHERS).last();
    let fate = |(id, hash): &(i64, TokenHash)| {
        if is_used(hash) {
            Some((*id, Fate::Renewed))
        } else if kept_from.is_none_or(|first| *id < first) {
            Some((*id, Fate::Dropped))
        } else {
            None
        }
    };
    tokens.iter().filter_map(fate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: u8) -> TokenHash {
        TokenHash([name; 32])
    }

    /// The fates of tokens 1, 2, … as `+` renewed, `-` dropped, `=` as it was.
    fn fates_of(count: u8, new: u8, presented: Option<u8>) -> String {
        let tokens: Vec<_> = (1..=count).map(|name| (i64::from(name), hash(name))).collect();
        let fates = fates(&tokens, &hash(new), presented.map(hash).as_ref());
        assert!(fates.is_sorted_by_key(|(id, _)| *id));
        (1..=i64::from(count))
            .map(|id| match fates.iter().find(|(of, _)| *of == id) {
                Some((_, Fate::Renewed)) => '+',
                Some((_, Fate::Dropped)) => '-',
                None => '=',
            })
            .collect()
    }

    #[test]
    fn a_login_leaves_the_newest_three_others() {
        assert_eq!(fates_of(0, 9, None), "");
        assert_eq!(fates_of(3, 9, None), "===");
        assert_eq!(fates_of(5, 9, None), "--===");
    }

    #[test]
    fn a_token_login_leaves_what_it_presented_too() {
        assert_eq!(fates_of(4, 9, Some(2)), "=+==");
        assert_eq!(fates_of(6, 9, Some(1)), "+--===");
        assert_eq!(fates_of(2, 9, Some(8)), "==", "what it presented has gone meanwhile");
    }

    #[test]
    fn a_repeated_login_renews_its_own_and_spares_newer_ones() {
        assert_eq!(fates_of(4, 4, None), "===+");
        assert_eq!(fates_of(5, 3, None), "-=+==");
        assert_eq!(fates_of(4, 4, Some(1)), "+==+");
        assert_eq!(fates_of(6, 3, Some(1)), "+-+===");
    }

    #[test]
    fn a_hash_is_not_shown() {
        assert_eq!(format!("{:?}", hash(7)), "TokenHash(..)");
    }
}
