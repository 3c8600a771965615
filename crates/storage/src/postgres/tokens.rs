//! Tokens in PostgreSQL.

use async_trait::async_trait;
use customers_domain::token::{AddTokenError, NewToken, Token, TokenDigest, TokenRepository};
use customers_domain::{Name, RepositoryError, Timestamp};
use diesel::dsl::{exists, select};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::PostgresStore;
use crate::error::Abort;
use crate::listing::Dialect;
use crate::queries;
use crate::row::{NamedTokenRow, NewTokenRow, TokenRow, at_most_one, those_readable};
use crate::schema::{tokens, users};

#[async_trait]
impl TokenRepository for PostgresStore {
    async fn add(&self, new: NewToken) -> Result<(), AddTokenError> {
        let mut again = false;
        let add = move |conn: &mut PgConnection| {
            let again = std::mem::replace(&mut again, true);
            let now = Timestamp::now();
            conn.transaction(|conn| {
                let expired = queries::tokens::unrevoked_named(new.name.as_str())
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
                    if again && find(conn, &new.digest)?.is_some() {
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
                let rows = queries::tokens::listed().select(TokenRow::as_select()).load(conn)?;
                let read = rows.into_iter().map(|row| {
                    (
                        row.name.clone().unwrap_or_default(),
                        Token::try_from(NamedTokenRow(row, None)),
                    )
                });
                Ok(those_readable("token", read))
            })
            .await
    }

    async fn revoke(&self, name: &Name) -> Result<bool, RepositoryError> {
        let name = name.clone();
        let mut attempts = Vec::new();
        self.connections
            .query(move |conn| {
                // Another token may have the name by now, where an attempt was done and not heard of.
                let is_done = exists(
                    tokens::table
                        .filter(tokens::name.eq(name.as_str()))
                        .filter(tokens::revoked_at.eq_any(&attempts)),
                );
                if !attempts.is_empty() && select(is_done).get_result(conn)? {
                    return Ok(true);
                }
                let now = Timestamp::now().as_micros();
                attempts.push(now);
                diesel::update(queries::tokens::unrevoked_named(name.as_str()))
                    .set(tokens::revoked_at.eq(now))
                    .execute(conn)
                    .map(|revoked| revoked > 0)
            })
            .await
    }

    async fn revoke_by_digest(&self, digest: &TokenDigest) -> Result<(), RepositoryError> {
        let digest = *digest;
        self.connections
            .query(move |conn| {
                diesel::update(queries::tokens::unrevoked_of_digest(&digest.0))
                    .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
                    .execute(conn)
                    .map(|_| ())
            })
            .await
    }

    async fn find_by_digest(&self, digest: &TokenDigest) -> Result<Option<Token>, RepositoryError> {
        let digest = *digest;
        self.connections.query(move |conn| find(conn, &digest)).await
    }

    async fn used(&self, digest: &TokenDigest, at: Timestamp) -> Result<(), RepositoryError> {
        let digest = *digest;
        self.connections
            .query(move |conn| {
                diesel::update(queries::tokens::last_used_before(&digest.0, at.as_micros()))
                    .set(tokens::last_used_at.eq(at.as_micros()))
                    .execute(conn)
                    .map(|_| ())
            })
            .await
    }

    async fn any(&self) -> Result<bool, RepositoryError> {
        self.connections.query(|conn| queries::tokens::any().get_result(conn)).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let sweep = queries::tokens::sweep(Dialect::Postgres, now);
        let swept = move |conn: &mut PgConnection| RunQueryDsl::execute(sweep.clone(), conn);
        Ok(self.connections.query(swept).await? as u64)
    }
}

fn find(conn: &mut PgConnection, digest: &TokenDigest) -> QueryResult<Option<Token>> {
    at_most_one(
        queries::tokens::unrevoked(&digest.0)
            .select((TokenRow::as_select(), users::name.nullable()))
            .get_result::<NamedTokenRow>(conn),
    )
}
