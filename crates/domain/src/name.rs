//! What tokens and users are called.

use std::fmt;
use std::str::FromStr;

use crate::attribute::broken_by_text;
use crate::text::trim;

/// The name of a token or of a user: 1 to 255 characters without control characters, trimmed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 255 characters, none of them a control character")]
pub struct InvalidName;

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = trim(text);
        if broken_by_text(name, 1, 255).is_empty() {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}
