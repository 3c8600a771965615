//! The customer that a path names.

use actix_web::HttpRequest;
use customers_domain::{AccountKey, Customer, CustomerAccount, CustomerId};
use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// The customer that the segment `{customer}` of a path names.
pub(super) enum Named {
    /// An id; `None` where the digits are beyond all ids.
    Id { id: Option<CustomerId>, digits: String },
    /// An account; `None` where nothing can be called so.
    Account(Option<CustomerAccount>),
}

impl Named {
    /// The one that the last segment of the request's path names.
    pub fn in_path(request: &HttpRequest) -> Self {
        Self::of(segment(request, 0))
    }

    fn of(segment: Option<String>) -> Self {
        match segment {
            Some(digits) if is_id(&digits) => {
                Self::Id { id: digits.parse().ok().and_then(CustomerId::new), digits }
            }
            Some(text) => Self::Account(CustomerAccount::new(&text).ok()),
            None => Self::Account(None),
        }
    }

    /// Whether this customer is the one that is named, by its id or by its account, whatever that
    /// looks like.
    pub fn is(&self, customer: &Customer) -> bool {
        let is_account = |key: AccountKey| key == customer.account.key();
        match self {
            Self::Id { id, digits } => {
                *id == Some(customer.id)
                    || CustomerAccount::new(digits).is_ok_and(|account| is_account(account.key()))
            }
            Self::Account(account) => account.as_ref().is_some_and(|it| is_account(it.key())),
        }
    }
}

/// The id in a path where only an id names a customer.
pub(super) struct IdPath(Named);

impl IdPath {
    /// The one in the last segment of the request's path, or the one in front of so many.
    pub fn of(request: &HttpRequest, behind: usize) -> Self {
        Self(Named::of(segment(request, behind)))
    }

    /// The id, if there is one.
    pub fn id(&self) -> Option<CustomerId> {
        match self.0 {
            Named::Id { id, .. } => id,
            Named::Account(_) => None,
        }
    }

    /// That there is no customer of this id.
    pub fn not_found(&self) -> ApiError {
        match &self.0 {
            Named::Id { digits, .. } => no_customer_of_id(digits),
            Named::Account(_) => ApiError::not_found("Here a customer is named by its id."),
        }
    }
}

/// The account in the last segment of the request's path; `None` where nothing can be called so.
pub(super) fn account_in_path(request: &HttpRequest) -> Option<CustomerAccount> {
    segment(request, 0).and_then(|text| CustomerAccount::new(&text).ok())
}

/// Digits without a leading zero.
fn is_id(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.starts_with(|first| first != '0')
}

/// The segment of the path as it was sent with so many behind it, decoded once; `None` where it is
/// not percent-encoded UTF-8. The framework's own path is no use: it decodes some characters and
/// replaces others.
fn segment(request: &HttpRequest, behind: usize) -> Option<String> {
    let segment = request.uri().path().rsplit('/').nth(behind)?;
    let escapes_are_whole = segment.split('%').skip(1).all(|rest| {
        rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    escapes_are_whole.then(|| decoded.into_owned())
}

/// Accounts have no more characters, and ids have fewer.
const MAX_DIGITS: usize = 255;

pub(super) fn no_customer_of_id(digits: &str) -> ApiError {
    if digits.len() > MAX_DIGITS {
        return ApiError::not_found("No customer has an id or an account of so many digits.");
    }
    ApiError::not_found(format!(
        "No customer has the id {digits}. For an account, call /api/v1/customerAccounts/{digits}."
    ))
}

/// That there is no customer of this account, or none that can be called so.
pub(super) fn no_customer_of_account(account: Option<&CustomerAccount>) -> ApiError {
    ApiError::not_found(match account {
        Some(account) => format!("No customer has the account {account}."),
        None => "No customer has this account.".into(),
    })
}
