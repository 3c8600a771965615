//! What somebody logs in with.

use customers_domain::Rule;
use customers_domain::password::Password;
use customers_domain::user::EmailKey;

use super::{Input, Raw};
use crate::error::{ApiError, sentence};
use crate::problem::FieldErrors;

/// An address, which need not be anybody's, and a password.
pub(crate) struct Credentials {
    pub email: EmailKey,
    pub password: Password,
}

const EMAIL: &str = "email";
const PASSWORD: &str = "password";

impl Input {
    /// The credentials that were sent. The password is taken as it is: not even trimmed.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    pub fn credentials(&self) -> Result<Credentials, ApiError> {
        let text = |name| text(self.parameters.get(name));
        let email = text(EMAIL).and_then(EmailKey::of);
        let password = text(PASSWORD).and_then(Password::shown);

        let mut errors = FieldErrors::new();
        let mut refuse = |name: &str, what: &str| {
            errors.entry(name.to_owned()).or_default().push(sentence(name, what));
        };
        for (name, rule) in [(EMAIL, email.as_ref().err()), (PASSWORD, password.as_ref().err())] {
            if let Some(rule) = rule {
                refuse(name, &rule.to_string());
            }
        }
        let unknown = self.parameters.keys().filter(|name| ![EMAIL, PASSWORD].contains(&&***name));
        for name in unknown.filter(|_| self.is_strict) {
            refuse(name, "is unknown");
        }
        match (email, password) {
            (Ok(email), Ok(password)) if errors.is_empty() => Ok(Credentials { email, password }),
            _ => Err(ApiError::validation(errors)),
        }
    }
}

/// The text that was sent, which may be written as a JSON number.
fn text(raw: Option<&Raw>) -> Result<&str, Rule> {
    match raw {
        None | Some(Raw::Null) => Err(Rule::Required),
        Some(Raw::Text(text) | Raw::Number(text)) => Ok(text),
        Some(Raw::Boolean(_) | Raw::Composite | Raw::File) => Err(Rule::Text),
    }
}
