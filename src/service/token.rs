//! Login tokens: what a client shows instead of the password to come back.
//!
//! A token is random and is told to its client only; the database holds its
//! hash. There is nothing to guess in it that a slow hash would protect, so a
//! resume costs a SHA-256 and no Argon2id.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::model::TokenHash;

/// 192 bits: beyond guessing, and 48 characters on the wire.
const TOKEN_BYTES: usize = 24;

/// A token as its client has it. Never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Panics
    /// Where the operating system has no randomness: nothing safe can go on then.
    pub fn random() -> Token {
        let mut bytes = [0u8; TOKEN_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        let mut text = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            write!(text, "{byte:02x}").expect("a string takes what is written to it");
        }
        Token(text)
    }

    /// The text for the client.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What the database knows of it.
    pub fn hash(&self) -> TokenHash {
        hash(&self.0)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What the database would know of a token with this text.
pub fn hash(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_unlike_each_other_and_never_shown_by_debug() {
        let (one, other) = (Token::random(), Token::random());
        assert_eq!(one.text().len(), 48);
        assert_ne!(one, other);
        assert_ne!(one.hash(), other.hash());
        assert!(!format!("{one:?}").contains(one.text()));
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-4's example for "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = hash("abc").0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
