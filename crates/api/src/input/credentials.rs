//! What somebody logs in with.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use customers_domain::Rule;
use customers_domain::password::Password;
use customers_domain::user::EmailKey;

use futures_util::future::LocalBoxFuture;

use super::{ForeignErrors, Input, Raw};
use crate::error::{ApiError, sentence};
use crate::problem::FieldErrors;

/// The largest body of a login, in bytes: an address and a password need no more, and no token is needed to
/// send it.
pub(crate) const MAX_LOGIN_BODY: usize = 16 << 10;

/// An address, which need not be anybody's, and a password.
pub(crate) struct Credentials {
    pub email: EmailKey,
    pub password: Password,
}

const EMAIL: &str = "email";
const PASSWORD: &str = "password";

impl FromRequest for Credentials {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let input = Input::of(request.clone(), payload.take(), MAX_LOGIN_BODY);
        Box::pin(async move { input.await?.credentials() })
    }
}

impl Input {
    /// The credentials that were sent. The password is taken as it is: not even trimmed.
    ///
    /// # Errors
    ///
    /// A validation failure that tells everything that is wrong.
    fn credentials(&self) -> Result<Credentials, ApiError> {
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
        let mut foreign = ForeignErrors::default();
        let unknown = self.parameters.keys().filter(|name| ![EMAIL, PASSWORD].contains(&&***name));
        for name in unknown.filter(|_| self.is_strict) {
            foreign.refuse(name, "is unknown");
        }
        errors.extend(foreign.listed);
        match (email, password) {
            (Ok(email), Ok(password)) if errors.is_empty() => Ok(Credentials { email, password }),
            _ => Err(ApiError::validation_beside(errors, foreign.unlisted)),
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
