//! The page on which the API can be read and tried, without anything from elsewhere.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use utoipa_swagger_ui::Config;

use crate::error::ApiError;
use crate::openapi;

/// The files of Swagger UI that the page uses.
const ASSETS: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"];

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Customers API</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="docs/swagger-ui-bundle.js"></script>
  <script src="docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// Nothing but what this service serves itself; Swagger UI sets styles and draws its icons inline.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::from("openapi.json")
        .try_it_out_enabled(true)
        .display_request_duration(true)
        .display_operation_id(false)
        .use_base_layout();
    Arc::new(config)
});

#[get("/docs")]
pub(crate) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(PAGE)
}

#[get("/docs/{asset}")]
pub(crate) async fn asset(name: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let not_found = || ApiError::not_found("There is no such file.");
    if !ASSETS.contains(&name.as_str()) {
        return Err(not_found());
    }
    let file = utoipa_swagger_ui::serve(&name, CONFIG.clone())
        .map_err(|error| ApiError::internal(error.to_string()))?
        .ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned()))
}

/// The OpenAPI document
#[utoipa::path(
    operation_id = "openapi",
    tag = "documentation",
    responses((
        status = 200, description = "This document.", body = serde_json::Value,
    )),
)]
#[get("/openapi.json")]
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi::document())
}
