//! Passwords, as they are typed and as they are kept.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::rule::Rule;

/// A password as it was typed: neither trimmed nor stripped of anything, in normal form C, so that
/// the same letters are the same password whatever keyboard they come from.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// The fewest characters of a password that somebody chooses (NIST SP 800-63B).
    pub const MIN_CHARS: usize = 8;

    /// The most characters of a password.
    pub const MAX_CHARS: usize = 1024;

    /// The password that somebody shows.
    ///
    /// # Errors
    ///
    /// [`Rule::Required`] where there is none, [`Rule::MaxChars`] where it is too long.
    pub fn shown(text: &str) -> Result<Self, Rule> {
        match text.chars().count() {
            0 => Err(Rule::Required),
            1..=Self::MAX_CHARS => {
                Ok(Self(ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()))
            }
            _ => Err(Rule::MaxChars(Self::MAX_CHARS as u64)),
        }
    }

    /// The password that somebody shall have from now on.
    ///
    /// # Errors
    ///
    /// [`InvalidPassword`] where it is too short or too long.
    pub fn chosen(text: &str) -> Result<Self, InvalidPassword> {
        let password = Self::shown(text).map_err(|_| InvalidPassword)?;
        let is_long_enough = password.0.chars().count() >= Self::MIN_CHARS;
        if is_long_enough { Ok(password) } else { Err(InvalidPassword) }
    }

    /// What is hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Says nothing of the password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The text cannot be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has {} to {} characters", Password::MIN_CHARS, Password::MAX_CHARS)]
pub struct InvalidPassword;

/// What a password is checked against: a string in PHC's format, which names the function, its
/// parameters and the salt.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash that is written so.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The hash as it is stored.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Says nothing of the hash.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_from_a_password() {
        for text in [" ", " \t secret\u{0}\u{feff} ", "\r"] {
            assert_eq!(Password::shown(text).unwrap().expose(), text);
        }
        assert_eq!(Password::shown("").unwrap_err(), Rule::Required);
        assert_eq!(Password::shown("caf\u{e9}"), Password::shown("cafe\u{301}"));
    }

    #[test]
    fn passwords_are_bounded() {
        assert!(Password::shown(&"é".repeat(1024)).is_ok());
        assert_eq!(Password::shown(&"é".repeat(1025)), Err(Rule::MaxChars(1024)));
        assert!(Password::chosen("1234567").is_err() && Password::chosen("12345678").is_ok());
    }

    #[test]
    fn neither_a_password_nor_its_hash_is_shown() {
        let (password, hash) = (Password::shown("secret"), PasswordHash::new("secret".into()));
        assert!(!format!("{password:?} {hash:?}").contains("secret"));
    }
}
