//! Passwords as Argon2id in PHC strings (RFC 9106; the crate's defaults:
//! 19 MiB, 2 passes, 1 lane). Tens of milliseconds each: only ever called on
//! the small pool of password threads.

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};

/// Hashes a new password with a fresh salt.
///
/// # Errors
/// A sentence for the log where the operating system has no randomness.
pub fn hash(password: &str) -> Result<String, String> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|err| format!("hashing a password failed: {err}"))
}

/// Whether a password belongs to a stored hash. A hash that cannot be read
/// matches nothing.
pub fn verify(password: &str, phc: &str) -> bool {
    PasswordHash::new(phc)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Costs what [`verify`] costs, for accounts that do not exist: otherwise the
/// time of an answer would tell which do.
pub fn verify_nobody(password: &str) {
    static NOBODY: OnceLock<Option<String>> = OnceLock::new();
    if let Some(phc) = NOBODY.get_or_init(|| hash("nobody").ok()) {
        std::hint::black_box(verify(password, phc));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let phc = hash("pä$$").unwrap();
        assert!(phc.starts_with("$argon2id$"), "{phc}");
        assert!(verify("pä$$", &phc));
        assert!(!verify("pa$$", &phc));
        assert_ne!(phc, hash("pä$$").unwrap(), "each hash has a salt of its own");
    }

    #[test]
    fn a_hash_that_is_none_matches_nothing() {
        assert!(!verify("", ""));
        assert!(!verify("secret", "secret"));
    }
}
