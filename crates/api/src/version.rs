//! Which service this is. No token is needed.

use actix_web::{HttpRequest, HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::{OpenFailures, RateLimitFailure};
use crate::{Settings, Shared};

/// Which service this is, and in which version.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// The version of the service.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The software.
    #[schema(example = "customers")]
    vendor: &'static str,
    /// Where the service is found.
    #[schema(example = "http://127.0.0.1:8080")]
    url: String,
}

/// Tells the version
#[utoipa::path(
    operation_id = "getVersion",
    tag = "service",
    security(()),
    responses(
        (status = 200, description = "Which service this is.", body = Version),
        OpenFailures,
        RateLimitFailure,
    ),
)]
#[get("/version")]
pub(crate) async fn version(settings: Shared<Settings>, request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().json(Version {
        version: env!("CARGO_PKG_VERSION"),
        status: "ok",
        vendor: "customers",
        url: settings.location.origin(&request),
    })
}
