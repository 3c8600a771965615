//! Users in SQLite.

use async_trait::async_trait;
use customers_domain::password::PasswordHash;
use customers_domain::user::{AddUserError, EmailKey, NewLogin, NewUser, User, UserRepository};
use customers_domain::{RepositoryError, Timestamp};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::SqliteStore;
use crate::error::Abort;
use crate::queries;
use crate::row::{NewTokenRow, NewUserRow, UserRow, at_most_one, those_readable};
use crate::schema::{tokens, users};

#[async_trait]
impl UserRepository for SqliteStore {
    async fn add(&self, new: NewUser) -> Result<(), AddUserError> {
        let add = move |conn: &mut SqliteConnection| {
            let added = diesel::insert_into(users::table)
                .values(NewUserRow::new(&new, Timestamp::now()))
                .on_conflict(users::email_key)
                .do_nothing()
                .execute(conn)?;
            if added == 1 { Ok(()) } else { Err(Abort::Refused(AddUserError::EmailTaken)) }
        };
        self.writer.run(add).await?
    }

    async fn list(&self) -> Result<Vec<User>, RepositoryError> {
        self.readers.read(|conn| {
            let rows = users::table.order(users::email_key).select(UserRow::as_select());
            let rows = rows.load(conn)?.into_iter();
            Ok(those_readable(
                "user",
                rows.map(|row| {
                    (row.id.to_string(), <(User, _)>::try_from(row).map(|(user, _)| user))
                }),
            ))
        })
    }

    async fn find_by_email(
        &self,
        email: &EmailKey,
    ) -> Result<Option<(User, PasswordHash)>, RepositoryError> {
        self.readers.read(|conn| {
            at_most_one(
                queries::users::of_email(email.as_str())
                    .select(UserRow::as_select())
                    .get_result(conn),
            )
        })
    }

    async fn log_in(&self, login: NewLogin) -> Result<bool, RepositoryError> {
        self.write(move |conn| {
            let scope: Option<String> =
                queries::users::scope_of_login(login.user.get(), login.password.expose())
                    .get_result(conn)
                    .optional()?;
            let Some(scope) = scope else { return Ok(false) };
            diesel::insert_into(tokens::table)
                .values(NewTokenRow::of_login(&login, &scope, Timestamp::now()))
                .execute(conn)?;
            Ok(true)
        })
        .await
    }

    async fn set_password(
        &self,
        email: &EmailKey,
        password: PasswordHash,
    ) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.write(move |conn| {
            let changed = diesel::update(queries::users::of_email(email.as_str()))
                .set(users::password_hash.eq(password.expose()))
                .execute(conn)?;
            revoke_tokens(conn, &email)?;
            Ok(changed > 0)
        })
        .await
    }

    async fn disable(&self, email: &EmailKey) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.write(move |conn| {
            let changed = diesel::update(queries::users::of_email(email.as_str()))
                .set(users::disabled_at.eq(Timestamp::now().as_micros()))
                .execute(conn)?;
            revoke_tokens(conn, &email)?;
            Ok(changed > 0)
        })
        .await
    }

    async fn enable(&self, email: &EmailKey) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.write(move |conn| {
            diesel::update(queries::users::of_email(email.as_str()))
                .set(users::disabled_at.eq(None::<i64>))
                .execute(conn)
                .map(|changed| changed > 0)
        })
        .await
    }
}

fn revoke_tokens(conn: &mut SqliteConnection, email: &EmailKey) -> QueryResult<usize> {
    diesel::update(queries::tokens::unrevoked_of_user(email.as_str()))
        .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
        .execute(conn)
}
