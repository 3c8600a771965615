//! The customers in PostgreSQL.

use async_trait::async_trait;
use customers_domain::history::HistoryEntry;
use customers_domain::search::SearchTerm;
use customers_domain::selection::{Filter, Listing, Order, Page, Selection, Stretch};
use customers_domain::{
    AccountKey, Customer, CustomerAccount, CustomerChanges, CustomerId, CustomerRepository,
    NewCustomer, Outcome, RepositoryError, Timestamp, Write, WriteError,
};
use diesel::prelude::*;

use super::readers::Key;
use super::reads::Asked;
use super::sequences;
use super::writes::Writing;
use super::{PostgresStore, horizon};
use crate::change::Change;
use crate::error::{Abort, unavailable};
use crate::listing::Dialect;
use crate::row::{CustomerRow, HistoryRow};
use crate::{erasing, migrations, queries, reading};

/// How many queries a read takes.
#[derive(Clone, Copy)]
enum Queries {
    /// One, which sees one state of the database by itself.
    One,
    /// Several, which need a transaction for that: two more ways to the server and back.
    Several,
}

impl Queries {
    /// How many the customers of a selection take: what a term finds is asked for before.
    fn of(selection: &Selection) -> Self {
        match selection.filters.iter().any(|filter| matches!(filter, Filter::Term(_))) {
            true => Self::Several,
            false => Self::One,
        }
    }
}

impl PostgresStore {
    /// Runs a write, again where it has to be.
    async fn make<T: Send + 'static>(
        &self,
        write: Write,
        mut work: impl FnMut(&mut Writing, &mut PgConnection) -> Result<T, Abort<WriteError>>
        + Send
        + 'static,
    ) -> Result<T, WriteError> {
        let mending = self.mending.clone();
        let mut writing = Writing::new(write, self.ids.clone(), self.numbering.clone(), mending);
        let run = move |conn: &mut PgConnection| match work(&mut writing, conn) {
            Err(Abort::Failed(error)) if sequences::is_behind(&error) => {
                sequences::catch_up(conn)?;
                work(&mut writing, conn)
            }
            done => done,
        };
        self.connections.run(run).await?
    }

    /// Runs a list or a search, on one state of the database.
    async fn ask<T: Send + 'static>(
        &self,
        queries: Queries,
        mut query: impl FnMut(&mut Asked<'_>) -> QueryResult<T> + Clone + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let has_search_index = self.upkeep.has_search_index();
        let read = move |conn: &mut PgConnection| {
            if let Queries::One = queries {
                return query(&mut Asked { conn, has_search_index });
            }
            conn.build_transaction()
                .repeatable_read()
                .read_only()
                .run(|conn| query(&mut Asked { conn, has_search_index }))
        };
        if let Some(replica) = &self.replica
            && let Some(found) = replica.ask(&self.connections, read.clone()).await
        {
            return Ok(found);
        }
        self.connections.list(read).await
    }
}

#[async_trait]
impl CustomerRepository for PostgresStore {
    async fn create(&self, new: NewCustomer, write: Write) -> Result<Outcome, WriteError> {
        self.make(write, move |writing, conn| writing.create(conn, &new)).await
    }

    async fn find(&self, id: CustomerId) -> Result<Option<Customer>, RepositoryError> {
        self.readers.find(Key::Id(id.get())).await
    }

    async fn find_by_account(&self, key: &AccountKey) -> Result<Option<Customer>, RepositoryError> {
        self.readers.find(Key::Account(key.as_str().to_owned())).await
    }

    async fn update(
        &self,
        id: CustomerId,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<Customer, WriteError> {
        let change = Change::Update(changes);
        self.make(write, move |writing, conn| writing.change(conn, id, &change)).await
    }

    async fn upsert(
        &self,
        account: CustomerAccount,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<(Customer, bool), WriteError> {
        self.make(write, move |writing, conn| writing.upsert(conn, &account, &changes)).await
    }

    async fn delete(&self, id: CustomerId, write: Write) -> Result<(), WriteError> {
        self.make(write, move |writing, conn| writing.change(conn, id, &Change::Delete).map(drop))
            .await
    }

    async fn restore(&self, id: CustomerId, write: Write) -> Result<Outcome, WriteError> {
        self.make(write, move |writing, conn| writing.restore(conn, id)).await
    }

    async fn erase(&self, id: CustomerId, write: Write) -> Result<(Customer, bool), WriteError> {
        // Nothing is forgotten before a precondition is tested.
        let mut behind = write.precondition.is_none().then_some(0);
        while let Some(entry) = behind {
            let ahead = move |conn: &mut PgConnection| {
                let conn = &mut Asked { conn, has_search_index: false };
                erasing::forget_ahead(conn, id, entry)
            };
            behind = self.connections.query(ahead).await?;
        }
        self.make(write, move |writing, conn| writing.erase(conn, id)).await
    }

    async fn list(
        &self,
        selection: Selection,
        order: Order,
        page: Page,
    ) -> Result<Listing, RepositoryError> {
        if let Queries::One = Queries::of(&selection) {
            let (selection, order) = (selection.clone(), order.clone());
            let at_once = move |conn: &mut Asked<'_>| conn.page_at_once(&selection, &order, page);
            if let Some(listing) = self.ask(Queries::One, at_once).await? {
                return Ok(listing);
            }
        }
        self.ask(Queries::Several, move |conn| reading::list(conn, selection.clone(), &order, page))
            .await
    }

    async fn walk(
        &self,
        selection: Selection,
        order: Order,
        stretch: Stretch,
    ) -> Result<Vec<Customer>, RepositoryError> {
        let queries = Queries::of(&selection);
        self.ask(queries, move |conn| reading::walk(conn, selection.clone(), &order, &stretch))
            .await
    }

    async fn search(&self, term: SearchTerm, page: Page) -> Result<Listing, RepositoryError> {
        self.ask(Queries::Several, move |conn| reading::search(conn, &term, page)).await
    }

    async fn history(
        &self,
        id: CustomerId,
        before: Option<i64>,
        take: u32,
    ) -> Result<Option<Vec<HistoryEntry>>, RepositoryError> {
        self.connections
            .query(move |conn| {
                let rows = queries::history(id.get(), before.unwrap_or(i64::MAX), take.into())
                    .select(HistoryRow::as_select())
                    .load(conn)?;
                // Every customer has a history but those of before there was one.
                if rows.is_empty()
                    && !queries::customer_exists(id.get()).get_result::<bool>(conn)?
                {
                    return Ok(None);
                }
                rows.into_iter().map(HistoryEntry::try_from).collect::<QueryResult<_>>().map(Some)
            })
            .await
    }

    async fn complete_until(&self) -> Result<Timestamp, RepositoryError> {
        self.connections.list(horizon::complete_until).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        let sweep = queries::sweep_answers(Dialect::Postgres, now);
        let swept = move |conn: &mut PgConnection| RunQueryDsl::execute(sweep.clone(), conn);
        Ok(self.connections.query(swept).await? as u64)
    }

    async fn ready(&self) -> Result<(), RepositoryError> {
        let ready = self
            .connections
            .query(|conn| {
                queries::nobody().select(CustomerRow::as_select()).load(conn)?;
                queries::nobodys_keys().get_results::<i64>(conn)?;
                queries::tokens::probe().get_result::<bool>(conn)?;
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
