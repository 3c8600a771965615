//! The page on which the API can be read and tried, without anything from elsewhere.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{self, ContentEncoding, EntityTag, IfNoneMatch};
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, get, routes};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use crate::openapi::{self, OpenFailures};

const PAGE: &str = include_str!("docs/page.html");

/// Swagger UI with its settings. Its own initializer would need a second bundle of 250 kB for a bar
/// in which to type the URL of another document.
const START: &str = include_str!("docs/start.js");

/// Nothing but what this service serves itself; Swagger UI has its icons in `data:` URLs.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";

/// A file that the page loads.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: Bytes,
    /// Whether the content is compressed, which a build feature of Swagger UI decides.
    gzipped: bool,
    etag: EntityTag,
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: Bytes, gzipped: bool) -> Self {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&content));
        Self { name, content_type, content, gzipped, etag: EntityTag::new_strong(digest) }
    }

    fn of_swagger_ui(name: &'static str, content_type: &'static str) -> Self {
        let file = utoipa_swagger_ui::serve(name, Arc::default()).ok().flatten();
        let file = file.expect("a file that is embedded as it is");
        let content = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Self::new(name, content_type, content, file.gzpipped)
    }
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
    [
        Asset::of_swagger_ui("swagger-ui.css", CSS),
        Asset::of_swagger_ui("swagger-ui-bundle.js", JAVASCRIPT),
        Asset::new("start.js", JAVASCRIPT, Bytes::from_static(START.as_bytes()), false),
    ]
});

#[get("/docs")]
pub(crate) async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(PAGE)
}

/// The page names its files relative to itself, so they are found under any prefix; and where it is
/// opened as `/docs/`, they are one folder further down.
#[routes]
#[get("/docs/{asset}")]
#[get("/docs/docs/{asset}")]
pub(crate) async fn asset(
    name: web::Path<String>,
    known: Option<web::Header<IfNoneMatch>>,
) -> Result<HttpResponse, ApiError> {
    let asset = ASSETS.iter().find(|asset| asset.name == *name);
    let asset = asset.ok_or_else(|| ApiError::not_found("There is no such file."))?;
    let is_known = known.is_some_and(|known| match &*known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(&asset.etag)),
    });

    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Another version of the service has other files under the same names: the browser keeps them
    // and asks each time whether they are still right.
    response
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header(header::ETag(asset.etag.clone()));
    if is_known {
        return Ok(response.finish());
    }
    if asset.gzipped {
        response.insert_header(ContentEncoding::Gzip);
    }
    Ok(response.content_type(asset.content_type).body(asset.content.clone()))
}

/// The OpenAPI document
#[utoipa::path(
    operation_id = "openapi",
    tag = "documentation",
    security(()),
    responses((status = 200, description = "This document.", body = serde_json::Value), OpenFailures),
)]
#[get("/openapi.json")]
pub(crate) async fn document() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(openapi::document())
}
