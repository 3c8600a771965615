//! Logging in with e-mail and password, and out again.

mod failed;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, post};
use customers_domain::Timestamp;
use customers_domain::password::PasswordHash;
use customers_domain::user::{NewLogin, User, UserRepository};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::Shared;
use crate::auth::{Authenticator, Caller, MintedToken};
use crate::client_address::{TrustedProxies, network};
use crate::error::ApiError;
use crate::input::Credentials;
use crate::observer::Observer;
use crate::openapi::{LoginFailures, LogoutFailures};
use crate::password::{Turns, is_right};
use crate::problem::Code;
use failed::FailedLogins;

/// What logging in takes.
pub(crate) struct Logins {
    users: Arc<dyn UserRepository>,
    /// How long the token of a login is good for.
    token_ttl: Duration,
    proxies: Arc<TrustedProxies>,
    turns: Turns,
    failed: FailedLogins,
    observer: Arc<dyn Observer>,
}

impl Logins {
    pub fn new(
        users: Arc<dyn UserRepository>,
        token_ttl: Duration,
        proxies: Arc<TrustedProxies>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (turns, failed) = (Turns::new(), FailedLogins::new());
        Self { users, token_ttl, proxies, turns, failed, observer }
    }

    /// The user of these credentials, and a token.
    async fn log_in(
        &self,
        credentials: Credentials,
        address: IpAddr,
    ) -> Result<(User, MintedToken), ApiError> {
        let Credentials { email, password } = credentials;
        let attempt = self.failed.attempt(address, &email)?;
        let found = self.users.find_by_email(&email).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let found = found.filter(|(user, _)| user.disabled_at.is_none());
        let may_log_in = found.is_some();
        let observer = self.observer.clone();
        let checked = self.turns.take(move |memory| {
            // Others may have failed while this one waited.
            attempt.check()?;
            let is_right =
                is_right(&password, hash.as_ref(), memory).map_err(ApiError::internal)?;
            if !is_right || !may_log_in {
                // Here and not later, when whoever asked may have gone.
                attempt.failed();
                observer.login_failed();
            }
            Ok::<_, ApiError>(is_right)
        });
        let is_right = checked.await??;
        let (user, hash) = found.filter(|_| is_right).ok_or_else(invalid_credentials)?;
        let minted = self.mint(&user, hash).await?.ok_or_else(invalid_credentials)?;
        Ok((user, minted))
    }

    /// A token for the user, whose password was found right by this hash; `None` where it is no
    /// longer.
    async fn mint(
        &self,
        user: &User,
        password: PasswordHash,
    ) -> Result<Option<MintedToken>, ApiError> {
        let minted = MintedToken::mint().map_err(|error| ApiError::internal(error.to_string()))?;
        let new = NewLogin {
            user: user.id,
            password,
            digest: minted.digest,
            expires_at: Timestamp::now().saturating_add(self.token_ttl),
        };
        Ok(self.users.log_in(new).await?.then_some(minted))
    }
}

pub(crate) fn invalid_credentials() -> ApiError {
    ApiError::new(Code::InvalidCredentials, "These credentials do not match our records.")
}

/// What somebody logs in with.
#[derive(ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[schema(as = Credentials)]
pub(crate) struct CredentialsInput {
    /// The e-mail address, in any case. Required, here or in the body.
    #[schema(max_length = 255)]
    #[param(required = false, max_length = 255)]
    #[allow(dead_code)]
    email: String,
    /// The password, of which not even spaces at its ends are taken away. Required, here or in the
    /// body, which is the better place: URLs tend to be kept.
    #[schema(format = Password, max_length = 1024)]
    #[param(required = false, format = Password, max_length = 1024)]
    #[allow(dead_code)]
    password: String,
}

/// A token, and whose it is.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoggedIn {
    /// The token, which is shown only now.
    token: String,
    user: LoggedInUser,
    /// Always empty: there are no teams.
    #[schema(value_type = Vec<Object>, max_items = 0)]
    teams: [(); 0],
    /// Always empty: there are no teams.
    #[schema(value_type = Vec<Object>, max_items = 0)]
    support_teams: [(); 0],
}

/// Who has logged in.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
struct LoggedInUser {
    /// The number that the registry gave the user.
    #[schema(minimum = 1)]
    id: i64,
    /// What the user is called.
    name: String,
    /// The address, as it was written when the user was made.
    email: String,
    /// What the token permits: `read` or `write`, which includes reading.
    #[schema(pattern = "^(read|write)$")]
    scope: &'static str,
}

/// Logs in
///
/// The token works like one that is made on the command line, until it expires (after 24 hours,
/// unless the service is told otherwise), somebody logs out with it, or the user is disabled or gets
/// another password.
///
/// Failed attempts are limited: 5 a minute from one address at one account, 30 from one address. It
/// takes as long to be told that there is no such user as that the password is wrong.
#[utoipa::path(
    operation_id = "login",
    tag = "login",
    security(()),
    params(CredentialsInput),
    request_body(
        description = "The same parameters as in the query.",
        content(
            (CredentialsInput = "application/json", example = json!({
                "email": "zoe@example.com", "password": "correct horse battery staple"
            })),
            (CredentialsInput = "application/x-www-form-urlencoded"),
            (CredentialsInput = "multipart/form-data"),
        ),
    ),
    responses(
        (status = 200, description = "A token, and whose it is.", body = LoggedIn, example = json!({
            "token": "cus_EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXA",
            "user": { "id": 1, "name": "Zoé Martin", "email": "zoe@example.com", "scope": "write" },
            "teams": [],
            "support_teams": [],
        })),
        LoginFailures,
    ),
)]
#[post("/login")]
pub(crate) async fn login(
    logins: Shared<Logins>,
    request: HttpRequest,
    credentials: Credentials,
) -> Result<HttpResponse, ApiError> {
    let address = network(logins.proxies.client_of(&request));
    let (user, minted) = logins.log_in(credentials, address).await?;
    Ok(HttpResponse::Ok().json(LoggedIn {
        token: minted.text,
        user: LoggedInUser {
            id: user.id.get(),
            name: user.name.to_string(),
            email: user.email.to_string(),
            scope: user.scope.as_str(),
        },
        teams: [],
        support_teams: [],
    }))
}

/// Logs out
///
/// The token that is shown is revoked, be it of a login or made on the command line. Other servers on
/// the same database refuse it within 5 seconds.
#[utoipa::path(
    operation_id = "logout",
    tag = "login",
    security(("token" = [])),
    responses((status = 204, description = "The token is revoked."), LogoutFailures),
)]
#[post("")]
pub(crate) async fn logout(
    authenticator: Shared<Authenticator>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    authenticator.revoke(&caller).await?;
    Ok(HttpResponse::NoContent().finish())
}
