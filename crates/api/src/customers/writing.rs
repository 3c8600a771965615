//! Customers are created, changed, deleted and brought back.

use actix_web::{HttpRequest, HttpResponse, delete, patch, post, put};
use customers_domain::{
    Customer, CustomerRepository, Idempotency, Outcome, Precondition, Write, WriteError,
};

use super::PATH;
use super::answer::Answer;
use super::path::{IdPath, account_in_path, no_customer_of_account};
use crate::auth::{Caller, MayWrite};
use crate::conditional::Conditions;
use crate::envelope::RequestId;
use crate::error::ApiError;
use crate::idempotency::{IdempotencyKey, empty_fingerprint, fingerprint};
use crate::input::{IgnoredBody, Input};
use crate::openapi::{
    AccountPath, ChangesQuery, CreateFailures, CustomerChanged, CustomerChanges, CustomerCreated,
    CustomerDeleted, CustomerInput, CustomerPath, CustomerPut, CustomerQuery, CustomerRestored,
    CustomerUpserted, DeleteFailures, IdempotencyHeader, IfMatch, IfNoneMatch, PreferHeader,
    RestoreFailures, UpdateFailures, changes_example, customer_input_example,
};
use crate::{Settings, Shared};

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
    params(CustomerQuery, PreferHeader, IdempotencyHeader),
    request_body(content(
        (CustomerInput = "application/json", example = json!(customer_input_example())),
        (CustomerInput = "application/x-www-form-urlencoded"),
        (CustomerInput = "multipart/form-data"),
    )),
    responses(CustomerCreated, CreateFailures),
)]
#[post("/customers")]
pub(crate) async fn create(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    input: Input,
) -> Result<HttpResponse, ApiError> {
    let representation = settings.representation();
    let answer = move |customer: &Customer| representation.created(customer);
    let key = IdempotencyKey::of(&request, &caller.0.principal, PATH)?;
    let new = input.new_customer()?;
    let idempotency = key.map(|key| key.with(fingerprint(&new)));
    let write = write(&caller.0, &request_id, Precondition::default(), idempotency);
    respond(customers.create(new, write).await?, answer)
}

/// Changes a customer
///
/// Only what is given changes, taken from the query and from the body, merged by name; the body wins.
/// Null or empty text clears what may be without a value. A change that makes no difference leaves
/// everything as it is.
#[utoipa::path(
    operation_id = "updateCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, ChangesQuery, PreferHeader, IfMatch, IfNoneMatch),
    request_body(content(
        (CustomerChanges = "application/json", example = json!(changes_example())),
        (CustomerChanges = "application/merge-patch+json"),
        (CustomerChanges = "application/x-www-form-urlencoded"),
        (CustomerChanges = "multipart/form-data"),
    )),
    responses(CustomerChanged, UpdateFailures),
)]
#[patch("/customers/{customer}")]
pub(crate) async fn update(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    input: Input,
) -> Result<HttpResponse, ApiError> {
    let customer = make_changes(caller, customers, &settings, request, request_id, input).await?;
    Ok(settings.representation().changed(&customer).into_response())
}

/// Changes a customer, as PATCH does
///
/// Kept for clients that know no PATCH: what is not given stays as it is. The answer has no ETag.
#[utoipa::path(
    operation_id = "putCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, ChangesQuery, PreferHeader, IfMatch, IfNoneMatch),
    request_body(content(
        (CustomerChanges = "application/json", example = json!(changes_example())),
        (CustomerChanges = "application/x-www-form-urlencoded"),
        (CustomerChanges = "multipart/form-data"),
    )),
    responses(CustomerPut, UpdateFailures),
)]
#[put("/customers/{customer}")]
pub(crate) async fn put(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    input: Input,
) -> Result<HttpResponse, ApiError> {
    let customer = make_changes(caller, customers, &settings, request, request_id, input).await?;
    Ok(settings.representation().put(&customer, false).into_response())
}

async fn make_changes(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: &Settings,
    request: HttpRequest,
    request_id: RequestId,
    input: Input,
) -> Result<Customer, ApiError> {
    let conditions = Conditions::in_headers(request.headers())?;
    let path = IdPath::of(&request, 0);
    let changes = input.changes_of(path.id())?;
    let id = path.id().ok_or_else(|| path.not_found())?;
    let representation = settings.representation();
    let precondition = conditions.precondition(representation, customers.find(id)).await?;
    let write = write(&caller.0, &request_id, precondition, None);
    customers.update(id, changes, write).await.map_err(|error| about(&path, error))
}

/// Changes the customer of an account, or creates it
///
/// In one step. What is not given stays as it is, or takes its default where the customer is new;
/// `name` is required only then. A customer that exists keeps the spelling of its account. With
/// `If-None-Match: *` it is only created.
#[utoipa::path(
    operation_id = "putCustomerByAccount",
    tag = "customers",
    security(("token" = [])),
    params(AccountPath, ChangesQuery, PreferHeader, IfMatch, IfNoneMatch),
    request_body(content(
        (CustomerChanges = "application/json", example = json!(customer_input_example())),
        (CustomerChanges = "application/x-www-form-urlencoded"),
        (CustomerChanges = "multipart/form-data"),
    )),
    responses(CustomerUpserted, UpdateFailures),
)]
#[put("/customerAccounts/{customerAccount}")]
pub(crate) async fn upsert(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    input: Input,
) -> Result<HttpResponse, ApiError> {
    let representation = settings.representation();
    let conditions = Conditions::in_headers(request.headers())?;
    let account = account_in_path(&request);
    let changes = input.changes_of_account(account.as_ref())?;
    let account = account.ok_or_else(|| no_customer_of_account(None))?;
    let key = account.key();
    let read = customers.find_by_account(&key);
    let precondition = conditions.precondition(representation, read).await?;
    let write = write(&caller.0, &request_id, precondition, None);
    let (customer, is_new) = customers.upsert(account, changes, write).await?;
    Ok(representation.put(&customer, is_new).into_response())
}

/// Deletes a customer
///
/// It is kept and hidden until it is restored, and its account stays its own. A body is ignored.
#[utoipa::path(
    operation_id = "deleteCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, IfMatch, IfNoneMatch),
    responses(CustomerDeleted, DeleteFailures),
)]
#[delete("/customers/{customer}")]
pub(crate) async fn delete(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    _: IgnoredBody,
) -> Result<HttpResponse, ApiError> {
    let conditions = Conditions::in_headers(request.headers())?;
    let path = IdPath::of(&request, 0);
    let id = path.id().ok_or_else(|| path.not_found())?;
    let representation = settings.representation();
    let precondition = conditions.precondition(representation, customers.find(id)).await?;
    let write = write(&caller.0, &request_id, precondition, None);
    customers.delete(id, write).await.map_err(|error| about(&path, error))?;
    Ok(HttpResponse::NoContent().finish())
}

/// Restores a deleted customer
///
/// One that is not deleted stays as it is. A body is ignored.
#[utoipa::path(
    operation_id = "restoreCustomer",
    tag = "customers",
    security(("token" = [])),
    params(CustomerPath, IfMatch, IfNoneMatch, IdempotencyHeader),
    responses(CustomerRestored, RestoreFailures),
)]
#[post("/customers/{customer}/restore")]
pub(crate) async fn restore(
    caller: MayWrite,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    request: HttpRequest,
    request_id: RequestId,
    _: IgnoredBody,
) -> Result<HttpResponse, ApiError> {
    let representation = settings.representation();
    let answer = move |customer: &Customer| representation.changed(customer);
    let conditions = Conditions::in_headers(request.headers())?;
    let path = IdPath::of(&request, 1);
    let id = path.id().ok_or_else(|| path.not_found())?;
    let precondition = conditions.precondition(representation, customers.find(id)).await?;
    let key = IdempotencyKey::of(&request, &caller.0.principal, &format!("{PATH}/{id}/restore"))?;
    let idempotency = key.map(|key| key.with(empty_fingerprint()));
    let write = write(&caller.0, &request_id, precondition, idempotency);
    let outcome = customers.restore(id, write).await.map_err(|error| about(&path, error))?;
    respond(outcome, answer)
}

fn write(
    caller: &Caller,
    request_id: &RequestId,
    precondition: Precondition,
    idempotency: Option<Idempotency>,
) -> Write {
    let (actor, request_id) = (caller.actor.to_string(), request_id.as_str().to_owned());
    Write { actor, request_id, precondition, idempotency }
}

/// The failure of a change of the customer that this path names.
fn about(path: &IdPath, error: WriteError) -> ApiError {
    match error {
        WriteError::NotFound => path.not_found(),
        error => error.into(),
    }
}

/// The answer to a change that is made, or was made before.
fn respond(
    outcome: Outcome,
    answer: impl Fn(&Customer) -> Answer,
) -> Result<HttpResponse, ApiError> {
    match outcome {
        Outcome::Applied(customer) => Ok(answer(&customer).into_response()),
        Outcome::Replayed(customer) => Ok(answer(&customer).into_replay()),
        Outcome::ReplayedAnswer(kept) => Answer::replay_kept(&kept),
    }
}
