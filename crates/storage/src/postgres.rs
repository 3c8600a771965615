//! The adapter for PostgreSQL and what speaks its protocol: everything on threads, as many as there
//! are connections.

mod connections;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use customers_domain::token::{
    AddTokenError, NewToken, Token, TokenDigest, TokenName, TokenRepository,
};
use customers_domain::{
    AccountKey, AccountNumbering, CreateError, Customer, CustomerId, CustomerRepository,
    NewCustomer, RepositoryError, Timestamp,
};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Integer, Text};

use crate::error::{Abort, OpenError, unavailable};
use crate::row::{CustomerRow, NewTokenRow, TokenRow, at_most_one, customer_id};
use crate::schema::{customers, tokens};
use crate::{Options, migrations, queries};
use connections::Connections;

/// Ids are drawn so many at once, which saves a round trip for most customers. A process that stops
/// leaves a gap of no more than this.
const IDS_AT_ONCE: i32 = 32;

pub(crate) struct PostgresStore {
    connections: Connections,
    /// Ids that were drawn and not used yet, the next one last.
    ids: Arc<Mutex<Vec<i64>>>,
    numbering: AccountNumbering,
}

impl PostgresStore {
    pub fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let url = &connections::with_time_limits(url);
        let mut conn = connect(url)?;
        check_encoding(&mut conn)?;
        migrations::migrate_postgres(&mut conn, || connect(url))?;
        let connections = Connections::new(url, options.connections)
            .map_err(|error| OpenError::Connect(error.into()))?;
        Ok(Self { connections, ids: Default::default(), numbering: options.numbering })
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

#[async_trait]
impl CustomerRepository for PostgresStore {
    async fn create(&self, new: NewCustomer) -> Result<Customer, CreateError> {
        let ids = self.ids.clone();
        let numbering = self.numbering.clone();
        let mut drawn = None;
        self.connections
            .run(move |conn| {
                let again = drawn.is_some();
                let id = match drawn {
                    Some(id) => id,
                    None => *drawn.insert(customer_id(next_id(conn, &ids)?)?),
                };
                let created = create(conn, &new, id, &numbering);
                // The work is done again, with the same id, when a connection was lost. What stands
                // in its way then may be its own first attempt, whose commit was not heard of.
                if again
                    && created.is_err()
                    && let Some(customer) = find(conn, id)?
                {
                    return Ok(customer);
                }
                if let Err(Abort::Refused(_)) = created {
                    give_back(id, &ids);
                }
                created
            })
            .await?
    }

    async fn find(&self, id: CustomerId) -> Result<Option<Customer>, RepositoryError> {
        self.connections.query(move |conn| find(conn, id)).await
    }

    async fn find_by_account(&self, key: &AccountKey) -> Result<Option<Customer>, RepositoryError> {
        let key = key.clone();
        self.connections
            .query(move |conn| {
                at_most_one(
                    queries::live_customer_of(key.as_str())
                        .select(CustomerRow::as_select())
                        .get_result(conn),
                )
            })
            .await
    }

    async fn ready(&self) -> Result<(), RepositoryError> {
        let ready = self
            .connections
            .query(|conn| {
                queries::nobody().select(CustomerRow::as_select()).load(conn)?;
                queries::any_token().get_result::<bool>(conn)?;
                migrations::is_current_postgres(conn)
            })
            .await;
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(unavailable("the database is not migrated")),
            // Whatever is wrong with it, requests cannot be answered.
            Err(RepositoryError::Unavailable(cause) | RepositoryError::Internal(cause)) => {
                Err(unavailable(cause))
            }
        }
    }
}

/// Keeps an id that was drawn and is not used for the next customer.
fn give_back(id: CustomerId, ids: &Mutex<Vec<i64>>) {
    ids.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(id.get());
}

/// The next id, of those drawn or newly drawn.
fn next_id(conn: &mut PgConnection, ids: &Mutex<Vec<i64>>) -> QueryResult<i64> {
    let take = || ids.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
    if let Some(id) = take() {
        return Ok(id);
    }
    #[derive(QueryableByName)]
    struct Drawn {
        #[diesel(sql_type = BigInt)]
        id: i64,
    }
    let drawn: Vec<Drawn> =
        diesel::sql_query("SELECT nextval('customers_id') AS id FROM generate_series(1, $1)")
            .bind::<Integer, _>(IDS_AT_ONCE)
            .load(conn)?;
    let mut drawn: Vec<i64> = drawn.into_iter().map(|Drawn { id }| id).collect();
    drawn.sort_unstable_by(|a, b| b.cmp(a));
    let next = drawn.pop().ok_or(Error::NotFound)?;
    // Smaller ids are used first, also where two threads drew at once.
    let mut ids = ids.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    ids.extend(drawn);
    ids.sort_unstable_by(|a, b| b.cmp(a));
    Ok(next)
}

fn create(
    conn: &mut PgConnection,
    new: &NewCustomer,
    id: CustomerId,
    numbering: &AccountNumbering,
) -> Result<Customer, Abort<CreateError>> {
    queries::insert_under_free_account(new, id, numbering, |row| {
        let inserted = diesel::insert_into(customers::table)
            .values(row)
            .on_conflict(customers::account_key)
            .do_nothing()
            .execute(conn)?;
        Ok(inserted == 1)
    })
    .map_err(|abort| {
        abort.or_refused(|key| queries::account_taken(queries::owner_of(&key).get_result(conn)))
    })
}

fn find(conn: &mut PgConnection, id: CustomerId) -> QueryResult<Option<Customer>> {
    at_most_one(queries::live_customer(id.get()).select(CustomerRow::as_select()).get_result(conn))
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
