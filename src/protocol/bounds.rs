//! The bounds of every field that a person writes. "Characters" are Unicode
//! scalar values.

/// The highest user or group id: 2^31 - 1.
pub const MAX_ID: u32 = i32::MAX as u32;
/// The longest user or group name, in characters.
pub const MAX_NAME_CHARS: usize = 50;
/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 128;
/// The longest group description, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 200;
/// The longest `time` text, in bytes.
pub const MAX_TIME_BYTES: usize = 64;
/// The longest `mid`, in bytes.
pub const MAX_MID_BYTES: usize = 64;

/// Checks a user's or group's name; the error is a sentence about `field`.
pub fn check_name(field: &str, name: &str) -> Result<(), String> {
    let chars = name.chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS {
        return Err(format!(
            "{field} must have 1 to {MAX_NAME_CHARS} characters, this one has {chars}"
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("{field} must not hold control characters"));
    }
    if name.trim() != name {
        return Err(format!("{field} must not begin or end with white space"));
    }
    Ok(())
}

/// Checks a password; the error is a sentence that does not repeat it.
pub fn check_password(password: &str) -> Result<(), String> {
    check_bytes("password", password, 1, MAX_PASSWORD_BYTES)
}

/// Checks a group's description.
pub fn check_description(description: &str) -> Result<(), String> {
    let chars = description.chars().count();
    if chars > MAX_DESCRIPTION_CHARS {
        return Err(format!(
            "groupdesc must have at most {MAX_DESCRIPTION_CHARS} characters, this one has {chars}"
        ));
    }
    Ok(())
}

/// Checks the `time` of a message.
pub fn check_time(time: &str) -> Result<(), String> {
    check_bytes("time", time, 0, MAX_TIME_BYTES)
}

/// Checks the `mid` of a message.
pub fn check_mid(mid: &str) -> Result<(), String> {
    check_bytes("mid", mid, 1, MAX_MID_BYTES)
}

fn check_bytes(field: &str, text: &str, least: usize, most: usize) -> Result<(), String> {
    let len = text.len();
    if len < least || len > most {
        return Err(format!("{field} must have {least} to {most} bytes, this one has {len}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_50_characters_whatever_their_bytes() {
        assert!(check_name("name", "").is_err());
        assert!(check_name("name", "a").is_ok());
        assert!(check_name("name", &"字".repeat(50)).is_ok());
        assert!(check_name("name", &"😀".repeat(51)).is_err());
    }

    #[test]
    fn a_name_holds_no_control_characters_and_no_white_space_at_its_ends() {
        assert!(check_name("name", "a b").is_ok());
        for bad in [" a", "a ", "a\u{3000}", "\u{a0}a", "a\tb", "a\0b", "a\u{85}b"] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_and_mids_are_bounded_in_bytes() {
        assert!(check_password("").is_err());
        assert!(check_password(&"x".repeat(128)).is_ok());
        assert!(check_password(&"é".repeat(65)).is_err());
        assert!(check_mid("").is_err());
        assert!(check_mid(&"m".repeat(65)).is_err());
        assert!(check_time("").is_ok());
        assert!(check_time(&"t".repeat(65)).is_err());
    }
}
