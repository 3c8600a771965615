//! Users in PostgreSQL.

use async_trait::async_trait;
use customers_domain::password::PasswordHash;
use customers_domain::user::{AddUserError, EmailKey, NewLogin, NewUser, User, UserRepository};
use customers_domain::{RepositoryError, Timestamp};
use diesel::prelude::*;

use super::PostgresStore;
use crate::error::Abort;
use crate::queries;
use crate::row::{NewTokenRow, NewUserRow, UserRow, at_most_one, those_readable};
use crate::schema::{tokens, users};

#[async_trait]
impl UserRepository for PostgresStore {
    async fn add(&self, new: NewUser) -> Result<(), AddUserError> {
        let mut again = false;
        let add = move |conn: &mut PgConnection| {
            let again = std::mem::replace(&mut again, true);
            let added = diesel::insert_into(users::table)
                .values(NewUserRow::new(&new, Timestamp::now()))
                .on_conflict(users::email_key)
                .do_nothing()
                .execute(conn)?;
            if added == 1 {
                return Ok(());
            }
            // The user of the address may be this one, if its commit was not heard of: the hash has
            // a salt of its own.
            let found = find(conn, &new.email.key())?;
            match found {
                Some((_, password)) if again && password == new.password => Ok(()),
                _ => Err(Abort::Refused(AddUserError::EmailTaken)),
            }
        };
        self.connections.run(add).await?
    }

    async fn list(&self) -> Result<Vec<User>, RepositoryError> {
        self.connections
            .query(|conn| {
                let rows = users::table.order(users::email_key).select(UserRow::as_select());
                let rows = rows.load(conn)?.into_iter();
                Ok(those_readable(
                    "user",
                    rows.map(|row| {
                        (row.id.to_string(), <(User, _)>::try_from(row).map(|(user, _)| user))
                    }),
                ))
            })
            .await
    }

    async fn find_by_email(
        &self,
        email: &EmailKey,
    ) -> Result<Option<(User, PasswordHash)>, RepositoryError> {
        let email = email.clone();
        self.connections.query(move |conn| find(conn, &email)).await
    }

    async fn log_in(&self, login: NewLogin) -> Result<bool, RepositoryError> {
        self.connections
            .query(move |conn| {
                conn.transaction(|conn| {
                    // Locked, so that nobody disables the user or changes the password before the
                    // token is there to be revoked.
                    let scope: Option<String> =
                        queries::users::scope_of_login(login.user.get(), login.password.expose())
                            .for_share()
                            .get_result(conn)
                            .optional()?;
                    let Some(scope) = scope else { return Ok(false) };
                    diesel::insert_into(tokens::table)
                        .values(NewTokenRow::of_login(&login, &scope, Timestamp::now()))
                        // It is there already if its commit was not heard of.
                        .on_conflict(tokens::digest)
                        .do_nothing()
                        .execute(conn)?;
                    Ok(true)
                })
            })
            .await
    }

    async fn set_password(
        &self,
        email: &EmailKey,
        password: PasswordHash,
    ) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.connections
            .query(move |conn| {
                conn.transaction(|conn| {
                    let changed = diesel::update(queries::users::of_email(email.as_str()))
                        .set(users::password_hash.eq(password.expose()))
                        .execute(conn)?;
                    revoke_tokens(conn, &email)?;
                    Ok(changed > 0)
                })
            })
            .await
    }

    async fn disable(&self, email: &EmailKey) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.connections
            .query(move |conn| {
                conn.transaction(|conn| {
                    let changed = diesel::update(queries::users::of_email(email.as_str()))
                        .set(users::disabled_at.eq(Timestamp::now().as_micros()))
                        .execute(conn)?;
                    revoke_tokens(conn, &email)?;
                    Ok(changed > 0)
                })
            })
            .await
    }

    async fn enable(&self, email: &EmailKey) -> Result<bool, RepositoryError> {
        let email = email.clone();
        self.connections
            .query(move |conn| {
                diesel::update(queries::users::of_email(email.as_str()))
                    .set(users::disabled_at.eq(None::<i64>))
                    .execute(conn)
                    .map(|changed| changed > 0)
            })
            .await
    }
}

fn find(conn: &mut PgConnection, email: &EmailKey) -> QueryResult<Option<(User, PasswordHash)>> {
    at_most_one(
        queries::users::of_email(email.as_str()).select(UserRow::as_select()).get_result(conn),
    )
}

/// To be called when the row of the user is locked already: after what keeps further tokens away.
fn revoke_tokens(conn: &mut PgConnection, email: &EmailKey) -> QueryResult<usize> {
    diesel::update(queries::tokens::unrevoked_of_user(email.as_str()))
        .set(tokens::revoked_at.eq(Timestamp::now().as_micros()))
        .execute(conn)
}
