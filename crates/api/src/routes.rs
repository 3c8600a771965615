//! All routes on one screen. Routing a handler is what documents it.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt, scope};

use crate::auth::require_token;
use crate::customers::{history, lists, reading, writing};
use crate::envelope::{Surroundings, envelope};
use crate::error::ApiError;
use crate::rate_limit::rate_limit;
use crate::{Api, Shared, docs, health, login, openapi, version};

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(
            scope("/api/v1")
                .wrap(from_fn(rate_limit))
                // What is wrapped around later comes first.
                .wrap(from_fn(require_token))
                .service(lists::list)
                .service(writing::create)
                .service(lists::search)
                // No customer is called so here, and another method is none of this path.
                .route("/customers/search", web::route().to(no_route))
                // Read the most, so their paths are compared first.
                .service(reading::get)
                .service(reading::get_by_account)
                .service(writing::update)
                .service(writing::put)
                .service(writing::delete)
                .service(writing::restore)
                .service(history::history)
                .service(writing::upsert),
        )
        .service(
            scope("/api/logout")
                .wrap(from_fn(rate_limit))
                .wrap(from_fn(require_token))
                .service(login::logout),
        )
        .service(
            scope("/api").wrap(from_fn(rate_limit)).service(login::login).service(version::version),
        )
        .service(health::live)
        .service(health::ready)
        .service(docs::document)
        .map(|config| config.service(docs::page).service(docs::asset));
}

/// Whether a route is about logins, tokens or administration: the log keeps room for its lines.
pub fn is_administrative(route: &str) -> bool {
    matches!(route, "/api/login" | "/api/logout")
}

/// The application that serves the API, the same in production and in tests.
pub fn app(
    api: &Api,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let (app, _) = App::new().into_utoipa_app().configure(routes).split_for_parts();
    app.app_data(Shared::new(api.customers.clone()))
        .app_data(Shared::new(api.authenticator.clone()))
        .app_data(Shared::new(api.logins.clone()))
        .app_data(Shared::new(api.rate_limiter.clone()))
        .app_data(Shared::new(api.settings.clone()))
        .app_data(Shared::new(api.large_answers.clone()))
        .app_data(web::Data::new(api.leaving.clone()))
        .app_data(Surroundings::of(api))
        .app_data(api.large_bodies.clone())
        .default_service(web::to(no_route))
        .wrap(from_fn(envelope))
}

/// Each handler is a resource of its own, so a known path ends here too when its method is another.
async fn no_route(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    match openapi::allowed_methods(request.match_info().as_str()) {
        Some(allow) => Err(ApiError::method_not_allowed(allow)),
        None => Err(ApiError::not_found(
            "There is no such endpoint. /openapi.json and /docs tell which ones there are.",
        )),
    }
}
