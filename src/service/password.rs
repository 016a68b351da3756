//! Passwords as Argon2id in PHC strings (RFC 9106; the crate's defaults:
//! 19 MiB, 2 passes, 1 lane). Tens of milliseconds each: only ever called on
//! the small pool of password threads.
//!
//! The memory of a hash is kept for the next one. Asked for 19 MiB again and
//! again, by several threads, the allocator held on to hundreds of MiB.
//!
//! Thread: any that may take so long. One lock, a leaf, held for taking memory
//! and for giving it back.
//! Invariants: there is memory for as many hashes as were under way at once,
//! each as large as the largest hash that it served.

use std::sync::{Mutex, OnceLock};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{
    self, CustomizedPasswordHasher, PasswordHasher, PasswordVerifier, Version as VersionNumber,
};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::registry::NEVER_POISONED;

/// Makes and checks password hashes.
#[derive(Default)]
pub struct Passwords {
    hasher: Hasher,
    /// A hash of no account's; `None` where none could be made.
    nobody: OnceLock<Option<String>>,
}

impl Passwords {
    /// Hashes a new password with a fresh salt.
    ///
    /// # Errors
    /// A sentence for the log where the operating system has no randomness, or
    /// no memory.
    pub fn hash(&self, password: &str) -> Result<String, String> {
        self.hasher
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|err| format!("hashing a password failed: {err}"))
    }

    /// Whether a password belongs to a stored hash, of whatever parameters. A
    /// hash that cannot be read matches nothing.
    pub fn verify(&self, password: &str, phc: &str) -> bool {
        PasswordHash::new(phc)
            .is_ok_and(|hash| self.hasher.verify_password(password.as_bytes(), &hash).is_ok())
    }

    /// Costs what [`Passwords::verify`] costs, for accounts that do not exist:
    /// otherwise the time of an answer would tell which do.
    pub fn verify_nobody(&self, password: &str) {
        if let Some(phc) = self.nobody.get_or_init(|| self.hash("nobody").ok()) {
            std::hint::black_box(self.verify(password, phc));
        }
    }
}

/// [`Argon2`] in memory that is used again. The crate itself makes PHC strings
/// only in memory of its own; verifying, with a comparison in constant time, is
/// [`PasswordVerifier`]'s for whoever can hash.
#[derive(Default)]
struct Hasher {
    /// Memory that no hash uses just now.
    idle: Mutex<Vec<Vec<Block>>>,
}

impl Hasher {
    /// Argon2 writes each block before it reads it: what an earlier hash left
    /// there does no harm.
    fn hash_into(
        &self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        output: &mut [u8],
    ) -> argon2::Result<()> {
        let mut memory = self.idle.lock().expect(NEVER_POISONED).pop().unwrap_or_default();
        let hashed = grow(&mut memory, argon2.params().block_count()).and_then(|()| {
            argon2.hash_password_into_with_memory(password, salt, output, &mut memory[..])
        });
        self.idle.lock().expect(NEVER_POISONED).push(memory);
        hashed
    }
}

fn grow(memory: &mut Vec<Block>, blocks: usize) -> argon2::Result<()> {
    let more = blocks.saturating_sub(memory.len());
    memory.try_reserve_exact(more).map_err(|_| argon2::Error::OutOfMemory)?;
    memory.resize(memory.len() + more, Block::default());
    Ok(())
}

impl PasswordHasher<PasswordHash> for Hasher {
    fn hash_password_with_salt(
        &self,
        password: &[u8],
        salt: &[u8],
    ) -> password_hash::Result<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, Params::default())
    }
}

impl CustomizedPasswordHasher<PasswordHash> for Hasher {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<VersionNumber>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let salt = Salt::new(salt)?;
        let mut output = [0; Output::MAX_LENGTH];
        let len = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = output.get_mut(..len).ok_or(password_hash::Error::OutputSize)?;
        let argon2 = Argon2::new(algorithm, version, params);
        self.hash_into(&argon2, password, &salt, output)?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: ParamsString::try_from(argon2.params())?,
            salt: Some(salt),
            hash: Some(Output::new(output)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the password `password`, by the reference implementation: more
    /// memory than ours, less and two lanes, and another algorithm.
    const OTHER_HASHES: [&str; 3] = [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
    ];

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::default();
        let phc = passwords.hash("pä$$").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(passwords.verify("pä$$", &phc));
        assert!(!passwords.verify("pa$$", &phc));
        assert_ne!(phc, passwords.hash("pä$$").unwrap(), "each hash has a salt of its own");
    }

    #[test]
    fn hashes_and_those_of_the_crate_itself_are_the_same() {
        let passwords = Passwords::default();
        let phc = passwords.hash("secret").unwrap();
        Argon2::default().verify_password(b"secret", phc.as_str()).unwrap();
        let theirs: PasswordHash = Argon2::default().hash_password(b"secret").unwrap();
        assert!(passwords.verify("secret", &theirs.to_string()));
    }

    #[test]
    fn a_hash_is_verified_by_its_own_parameters_whatever_the_memory_was_used_for() {
        let passwords = Passwords::default();
        let own = passwords.hash("secret").unwrap();
        for phc in OTHER_HASHES.iter().chain(&OTHER_HASHES) {
            assert!(passwords.verify("password", phc), "{phc}");
            assert!(!passwords.verify("passwort", phc), "{phc}");
            assert!(passwords.verify("secret", &own));
        }
    }

    #[test]
    fn a_hash_that_is_none_matches_nothing() {
        let passwords = Passwords::default();
        let unknown = OTHER_HASHES[1].replace("argon2id", "argon3");
        let cut = OTHER_HASHES[1].rsplit_once('$').unwrap().0;
        for phc in ["", "secret", &unknown, cut] {
            assert!(!passwords.verify("password", phc), "{phc}");
        }
        assert!(passwords.verify("password", OTHER_HASHES[1]));
    }

    #[test]
    fn memory_is_used_again() {
        let passwords = Passwords::default();
        let phc = passwords.hash("secret").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        passwords.verify("secret", &phc);
                        passwords.verify_nobody("secret");
                    }
                });
            }
        });
        let idle = passwords.hasher.idle.lock().unwrap();
        assert!(idle.len() <= 2, "for {} hashes at once", idle.len());
        for memory in idle.iter() {
            assert_eq!(memory.capacity(), Params::default().block_count());
        }
    }
}
