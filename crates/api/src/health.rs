//! Whether the service lives, and whether it can answer. No token is needed.

use actix_web::{HttpResponse, get, web};
use customers_domain::CustomerRepository;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::error::ApiError;
use crate::leaving::Leaving;
use crate::openapi::{OpenFailures, UnavailableFailure};

/// That all is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// Whether the process runs
///
/// For a supervisor that restarts what does not answer. Says nothing of the database.
#[utoipa::path(
    operation_id = "live",
    tag = "health",
    security(()),
    responses((status = 200, description = "The process runs.", body = Health), OpenFailures),
)]
#[get("/health/live")]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(OK)
}

/// Whether requests can be answered
///
/// For a balancer: the database can be reached and is migrated, and this server is not about to stop.
#[utoipa::path(
    operation_id = "ready",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Requests can be answered.", body = Health),
        OpenFailures,
        UnavailableFailure,
    ),
)]
#[get("/health/ready")]
pub(crate) async fn ready(
    customers: Shared<dyn CustomerRepository>,
    leaving: web::Data<Leaving>,
) -> Result<HttpResponse, ApiError> {
    if leaving.has_begun() {
        return Err(ApiError::leaving());
    }
    customers.ready().await?;
    Ok(HttpResponse::Ok().json(OK))
}
