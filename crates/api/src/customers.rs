//! The customers: thin handlers, each under its description.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use customers_domain::{AccountKey, Customer, CustomerAccount, CustomerId, CustomerRepository};
use percent_encoding::percent_decode_str;

use crate::auth::MayWrite;
use crate::error::ApiError;
use crate::input::{Input, Raw, query};
use crate::openapi::{
    AccountPath, AccountQuery, AccountTakenFailures, CustomerInput, CustomerPath, CustomerQuery,
    NotFoundFailure, ReadFailures, WriteFailures, customer_example, customer_input_example,
};

/// Creates a customer
///
/// Parameters are taken from the query and from the body, merged by name; the body wins. An account
/// is made where none is given.
///
/// Unknown parameters are ignored, unless the request says `Prefer: handling=strict`, which every
/// new client should.
#[utoipa::path(
    operation_id = "createCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerQuery),
    request_body(
        description = "The same parameters as in the query. Text is trimmed; empty text and null \
                       mean that the parameter is not given. Text may be sent as a number, numbers \
                       and booleans as text (`\"1\"`, `\"true\"`, `\"on\"`, `\"yes\"`).",
        content(
            (CustomerInput = "application/json", example = json!(customer_input_example())),
            (CustomerInput = "application/x-www-form-urlencoded"),
            (CustomerInput = "multipart/form-data"),
        ),
    ),
    responses(
        (
            status = 201, description = "The customer.",
            headers(("Location" = String, description = "Where the customer is found by its id.")),
            body = crate::openapi::Customer, example = json!(customer_example()),
        ),
        WriteFailures,
        AccountTakenFailures,
    ),
)]
#[post("/customers")]
pub(crate) async fn create(
    _: MayWrite,
    customers: web::Data<dyn CustomerRepository>,
    input: Input,
) -> Result<HttpResponse, ApiError> {
    let customer = customers.create(input.new_customer()?).await?;
    let location = format!("/api/v1/customers/{}", customer.id);
    let mut response = answer(&mut HttpResponse::Created(), &customer);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Gets a customer by its id or account
///
/// Digits without a leading zero are an id, anything else is an account. Where the parameter
/// `customerAccount` is present, it decides: the answer is the customer of that account, provided
/// that the path names the same one.
#[utoipa::path(
    operation_id = "getCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, AccountQuery),
    responses(
        (
            status = 200, description = "The customer.", body = crate::openapi::Customer,
            example = json!(customer_example()),
        ),
        ReadFailures,
        NotFoundFailure,
    ),
)]
#[get("/customers/{customer}")]
pub(crate) async fn get(
    customers: web::Data<dyn CustomerRepository>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let named = Named::in_path(&request);
    let customer = match query(&request)?.get("customerAccount") {
        Some(account) => {
            let customer = find_by_account(&customers, account_in_query(account)).await?;
            if !named.is(&customer) {
                return Err(ApiError::not_found(
                    "The path and customerAccount do not name the same customer.",
                ));
            }
            customer
        }
        None => match named {
            Named::Id { id, digits } => {
                let customer = match id {
                    Some(id) => customers.find(id).await?,
                    None => None,
                };
                customer.ok_or_else(|| no_customer_of_id(&digits))?
            }
            Named::Account(account) => find_by_account(&customers, account).await?,
        },
    };
    Ok(answer(&mut HttpResponse::Ok(), &customer))
}

/// Gets a customer by its account
///
/// The account is percent-encoded, slashes included: `a/b` is `a%2Fb`.
#[utoipa::path(
    operation_id = "getCustomerByAccount",
    tag = "customers",
    security(("token" = [])),
    params(AccountPath),
    responses(
        (
            status = 200, description = "The customer.", body = crate::openapi::Customer,
            example = json!(customer_example()),
        ),
        ReadFailures,
        NotFoundFailure,
    ),
)]
#[get("/customerAccounts/{customerAccount}")]
pub(crate) async fn get_by_account(
    customers: web::Data<dyn CustomerRepository>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let account = last_segment(&request).and_then(|text| CustomerAccount::new(&text).ok());
    let customer = find_by_account(&customers, account).await?;
    Ok(answer(&mut HttpResponse::Ok(), &customer))
}

/// The customer that the segment `{customer}` of a path names.
enum Named {
    /// An id; `None` where the digits are beyond all ids.
    Id { id: Option<CustomerId>, digits: String },
    /// An account; `None` where nothing can be called so.
    Account(Option<CustomerAccount>),
}

impl Named {
    fn in_path(request: &HttpRequest) -> Self {
        match last_segment(request) {
            Some(digits) if is_id(&digits) => {
                Self::Id { id: digits.parse().ok().and_then(CustomerId::new), digits }
            }
            Some(text) => Self::Account(CustomerAccount::new(&text).ok()),
            None => Self::Account(None),
        }
    }

    /// Whether this customer is the one that is named, by its id or by its account, whatever that
    /// looks like.
    fn is(&self, customer: &Customer) -> bool {
        let is_account = |key: AccountKey| key == customer.customer_account.key();
        match self {
            Self::Id { id, digits } => {
                *id == Some(customer.id)
                    || CustomerAccount::new(digits).is_ok_and(|account| is_account(account.key()))
            }
            Self::Account(account) => account.as_ref().is_some_and(|it| is_account(it.key())),
        }
    }
}

/// Digits without a leading zero.
fn is_id(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.starts_with(|first| first != '0')
}

/// The last segment of the path as it was sent, decoded once; `None` where it is not percent-encoded
/// UTF-8. The framework's own path is no use: it decodes some characters and replaces others.
fn last_segment(request: &HttpRequest) -> Option<String> {
    let segment = request.uri().path().rsplit('/').next()?;
    let escapes_are_whole = segment.split('%').skip(1).all(|rest| {
        rest.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    escapes_are_whole.then(|| decoded.into_owned())
}

fn account_in_query(account: &Raw) -> Option<CustomerAccount> {
    match account {
        Raw::Text(text) => CustomerAccount::new(text).ok(),
        _ => None,
    }
}

async fn find_by_account(
    customers: &web::Data<dyn CustomerRepository>,
    account: Option<CustomerAccount>,
) -> Result<Customer, ApiError> {
    let Some(account) = account else {
        return Err(ApiError::not_found("No customer has this account."));
    };
    let customer = customers.find_by_account(&account.key()).await?;
    customer.ok_or_else(|| ApiError::not_found(format!("No customer has the account {account}.")))
}

fn no_customer_of_id(digits: &str) -> ApiError {
    ApiError::not_found(format!(
        "No customer has the id {digits}. For an account, call /api/v1/customerAccounts/{digits}."
    ))
}

/// A single customer: private to the caller, and to be asked for again each time.
fn answer(response: &mut actix_web::HttpResponseBuilder, customer: &Customer) -> HttpResponse {
    response
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")))
        .insert_header((header::VARY, HeaderValue::from_static("Authorization, Accept")))
        .json(customer)
}
