//! One customer is asked for, by id or by account.

use actix_web::{HttpRequest, HttpResponse, get};
use customers_domain::{Customer, CustomerAccount, CustomerRepository};

use super::answer::not_modified;
use super::path::{Named, account_in_path, no_customer_of_account, no_customer_of_id};
use crate::conditional::is_known;
use crate::error::ApiError;
use crate::input::{Raw, query};
use crate::openapi::{
    AccountPath, AccountQuery, CustomerFound, IfNoneMatch, NamedCustomerPath, ReadFailures,
};
use crate::{Settings, Shared};

/// Gets a customer by its id or account
///
/// Digits without a leading zero are an id, anything else is an account. Where the parameter
/// `customerAccount` is present, it decides: the answer is the customer of that account, provided
/// that the path names the same one.
#[utoipa::path(
    operation_id = "getCustomer",
    tag = "customers",
    security(("token" = [])),
    params(NamedCustomerPath, AccountQuery, IfNoneMatch),
    responses(CustomerFound, ReadFailures),
)]
#[get("/customers/{customer}")]
pub(crate) async fn get(
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
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
    Ok(found(&customer, &settings, &request))
}

/// Gets a customer by its account
///
/// The account is percent-encoded, slashes included: `a/b` is `a%2Fb`.
#[utoipa::path(
    operation_id = "getCustomerByAccount",
    tag = "customers",
    security(("token" = [])),
    params(AccountPath, IfNoneMatch),
    responses(CustomerFound, ReadFailures),
)]
#[get("/customerAccounts/{customerAccount}")]
pub(crate) async fn get_by_account(
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let customer = find_by_account(&customers, account_in_path(&request)).await?;
    Ok(found(&customer, &settings, &request))
}

fn account_in_query(account: &Raw) -> Option<CustomerAccount> {
    match account {
        Raw::Text(text) => CustomerAccount::new(text).ok(),
        _ => None,
    }
}

async fn find_by_account(
    customers: &Shared<dyn CustomerRepository>,
    account: Option<CustomerAccount>,
) -> Result<Customer, ApiError> {
    let customer = match &account {
        Some(account) => customers.find_by_account(&account.key()).await?,
        None => None,
    };
    customer.ok_or_else(|| no_customer_of_account(account.as_ref()))
}

fn found(customer: &Customer, settings: &Settings, request: &HttpRequest) -> HttpResponse {
    let representation = settings.representation();
    match is_known(request.headers(), customer, representation) {
        true => not_modified(&representation.tag(customer)),
        false => representation.found(customer).into_response(),
    }
}
