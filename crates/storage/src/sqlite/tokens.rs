//! Tokens in SQLite.

use async_trait::async_trait;
use customers_domain::token::{AddTokenError, NewToken, Token, TokenDigest, TokenRepository};
use customers_domain::{Name, RepositoryError, Timestamp};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::SqliteStore;
use crate::error::Abort;
use crate::listing::Dialect;
use crate::queries;
use crate::row::{NamedTokenRow, NewTokenRow, TokenRow, at_most_one, those_readable};
use crate::schema::{tokens, users};

#[async_trait]
impl TokenRepository for SqliteStore {
    async fn add(&self, new: NewToken) -> Result<(), AddTokenError> {
        let add = move |conn: &mut SqliteConnection| {
            let now = Timestamp::now();
            let expired = queries::tokens::unrevoked_named(new.name.as_str())
                .filter(tokens::expires_at.le(now.as_micros()));
            diesel::update(expired).set(tokens::revoked_at.eq(now.as_micros())).execute(conn)?;
            let named = queries::tokens::unrevoked_named(new.name.as_str());
            if named.count().get_result::<i64>(conn)? > 0 {
                return Err(Abort::Refused(AddTokenError::NameTaken));
            }
            diesel::insert_into(tokens::table).values(NewTokenRow::new(&new, now)).execute(conn)?;
            Ok(())
        };
        self.writer.run(add).await?
    }

    async fn list(&self) -> Result<Vec<Token>, RepositoryError> {
        self.readers.read(|conn| {
            let rows = queries::tokens::listed().select(TokenRow::as_select()).load(conn)?;
            let read = rows.into_iter().map(|row| {
                (row.name.clone().unwrap_or_default(), Token::try_from(NamedTokenRow(row, None)))
            });
            Ok(those_readable("token", read))
        })
    }

    async fn revoke(&self, name: &Name) -> Result<bool, RepositoryError> {
        let name = name.clone();
        self.write(move |conn| {
            diesel::update(queries::tokens::unrevoked_named(name.as_str()))
                .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
                .execute(conn)
                .map(|revoked| revoked > 0)
        })
        .await
    }

    async fn revoke_by_digest(&self, digest: &TokenDigest) -> Result<(), RepositoryError> {
        let digest = *digest;
        self.write(move |conn| {
            diesel::update(queries::tokens::unrevoked_of_digest(&digest.0))
                .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
                .execute(conn)
                .map(|_| ())
        })
        .await
    }

    async fn find_by_digest(&self, digest: &TokenDigest) -> Result<Option<Token>, RepositoryError> {
        self.readers.read(|conn| {
            at_most_one(
                queries::tokens::unrevoked(&digest.0)
                    .select((TokenRow::as_select(), users::name.nullable()))
                    .get_result::<NamedTokenRow>(conn),
            )
        })
    }

    async fn used(&self, digest: &TokenDigest, at: Timestamp) -> Result<(), RepositoryError> {
        let digest = *digest;
        self.write(move |conn| {
            diesel::update(queries::tokens::last_used_before(&digest.0, at.as_micros()))
                .set(tokens::last_used_at.eq(at.as_micros()))
                .execute(conn)
                .map(|_| ())
        })
        .await
    }

    async fn any(&self) -> Result<bool, RepositoryError> {
        self.readers.read(|conn| queries::tokens::any().get_result(conn))
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        self.sweep_with(queries::tokens::sweep(Dialect::Sqlite, now)).await
    }
}
