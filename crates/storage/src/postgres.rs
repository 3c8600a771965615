//! The adapter for PostgreSQL and what speaks its protocol: everything on threads, as many as there
//! are connections.

mod connections;
mod customers;
mod ids;
mod reads;
mod search_index;
mod writes;

use async_trait::async_trait;
use customers_domain::token::{
    AddTokenError, NewToken, Token, TokenDigest, TokenName, TokenRepository,
};
use customers_domain::{AccountNumbering, RepositoryError, Timestamp};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::Text;

use crate::error::{Abort, OpenError};
use crate::row::{NewTokenRow, TokenRow, at_most_one};
use crate::schema::tokens;
use crate::{Options, migrations, queries, refresh};
use connections::Connections;
use ids::Ids;
use reads::Asked;

pub(crate) struct PostgresStore {
    connections: Connections,
    ids: Ids,
    numbering: AccountNumbering,
    has_search_index: bool,
}

impl PostgresStore {
    pub fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let mut conn = connect(url)?;
        check_encoding(&mut conn)?;
        migrations::migrate_postgres(&mut conn, || connect(url))?;
        let failed = |error: Error| OpenError::Migrate(error.into());
        let has_search_index = search_index::ensure(&mut conn).map_err(failed)?;
        refresh::refresh(|| {
            conn.transaction(|conn| refresh::step(&mut Asked { conn, has_search_index }))
        })
        .map_err(failed)?;
        let connections = Connections::new(url, options.connections)
            .map_err(|error| OpenError::Connect(error.into()))?;
        Ok(Self {
            connections,
            ids: Ids::default(),
            numbering: options.numbering,
            has_search_index,
        })
    }
}

fn connect(url: &str) -> Result<PgConnection, OpenError> {
    PgConnection::establish(url).map_err(|error| {
        OpenError::Connect(if may_repeat_password(url, &error.to_string()) {
            "it cannot be told why without showing parts of the URL; check that its user, password \
             and parameters are percent-encoded"
                .into()
        } else {
            error.into()
        })
    })
}

/// libpq repeats the parts of a URL that make no sense to it. These are parts of the password where
/// that was not percent-encoded and ended too early.
fn may_repeat_password(url: &str, message: &str) -> bool {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    login.is_some_and(|(login, _)| login.contains(['@', '/', '?']))
        || ["percent-encoded", "URI query parameter"].iter().any(|part| message.contains(part))
}

fn check_encoding(conn: &mut PgConnection) -> Result<(), OpenError> {
    let encoding = diesel::select(diesel::dsl::sql::<Text>("current_setting('server_encoding')"))
        .get_result::<String>(conn)
        .map_err(|error| OpenError::Connect(error.into()))?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding(encoding)) }
}

fn find_token(conn: &mut PgConnection, digest: &TokenDigest) -> QueryResult<Option<Token>> {
    at_most_one(queries::unrevoked_token(&digest.0).select(TokenRow::as_select()).get_result(conn))
}

#[async_trait]
impl TokenRepository for PostgresStore {
    async fn add(&self, new: NewToken) -> Result<(), AddTokenError> {
        let mut again = false;
        let add = move |conn: &mut PgConnection| {
            let again = std::mem::replace(&mut again, true);
            let now = Timestamp::now();
            conn.transaction(|conn| {
                let expired = queries::unrevoked_token_named(new.name.as_str())
                    .filter(tokens::expires_at.le(now.as_micros()));
                diesel::update(expired)
                    .set(tokens::revoked_at.eq(now.as_micros()))
                    .execute(conn)?;
                diesel::insert_into(tokens::table)
                    .values(NewTokenRow::new(&new, now))
                    .execute(conn)
                    .map(|_| ())
            })
            .or_else(|error| match error {
                // The digest of 256 random bits is nobody else's: it is the name. The token that
                // has it may be this one, if its commit was not heard of.
                Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                    if again && find_token(conn, &new.digest)?.is_some() {
                        return Ok(());
                    }
                    Err(Abort::Refused(AddTokenError::NameTaken))
                }
                error => Err(Abort::Failed(error)),
            })
        };
        self.connections.run(add).await?
    }

    async fn list(&self) -> Result<Vec<Token>, RepositoryError> {
        self.connections
            .query(|conn| {
                let rows = queries::unrevoked_tokens().order(tokens::name);
                let rows = rows.select(TokenRow::as_select()).load(conn)?;
                rows.into_iter().map(Token::try_from).collect()
            })
            .await
    }

    async fn revoke(&self, name: &TokenName) -> Result<bool, RepositoryError> {
        let name = name.clone();
        self.connections
            .query(move |conn| {
                diesel::update(queries::unrevoked_token_named(name.as_str()))
                    .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
                    .execute(conn)
                    .map(|revoked| revoked > 0)
            })
            .await
    }

    async fn find_by_digest(&self, digest: &TokenDigest) -> Result<Option<Token>, RepositoryError> {
        let digest = *digest;
        self.connections.query(move |conn| find_token(conn, &digest)).await
    }

    async fn used(&self, digest: &TokenDigest, at: Timestamp) -> Result<(), RepositoryError> {
        let digest = *digest;
        self.connections
            .query(move |conn| {
                diesel::update(queries::token_last_used_before(&digest.0, at.as_micros()))
                    .set(tokens::last_used_at.eq(at.as_micros()))
                    .execute(conn)
                    .map(|_| ())
            })
            .await
    }

    async fn any(&self) -> Result<bool, RepositoryError> {
        self.connections.query(|conn| queries::any_token().get_result(conn)).await
    }
}
