//! The customers in SQLite.

use async_trait::async_trait;
use customers_domain::history::HistoryEntry;
use customers_domain::search::SearchTerm;
use customers_domain::selection::{Listing, Order, Page, Selection, Stretch};
use customers_domain::{
    AccountKey, Customer, CustomerAccount, CustomerChanges, CustomerId, CustomerRepository,
    NewCustomer, Outcome, RepositoryError, Timestamp, Write, WriteError,
};
use diesel::prelude::*;

use super::lanes::Cost;
use super::reads;
use super::writes::Writing;
use super::{SqliteStore, scrubbing};
use crate::change::Change;
use crate::error::{Abort, unavailable};
use crate::listing::Dialect;
use crate::row::{CustomerRow, HistoryRow, at_most_one};
use crate::{erasing, migrations, queries, reading};

/// Runs a list or a search on one state of the database.
fn on_snapshot<T>(
    ask: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
) -> impl FnOnce(&mut SqliteConnection) -> QueryResult<T> {
    |conn| conn.transaction(ask)
}

impl SqliteStore {
    /// Runs a write that has much to go with it.
    async fn make<T: Send + 'static>(
        &self,
        write: Write,
        mut work: impl FnMut(&mut Writing<'_>) -> Result<T, Abort<WriteError>> + Send + 'static,
    ) -> Result<T, WriteError> {
        self.writer
            .run_deferring(move |conn, deferred| {
                work(&mut Writing { conn, deferred, write: &write })
            })
            .await?
    }
}

#[async_trait]
impl CustomerRepository for SqliteStore {
    async fn create(&self, new: NewCustomer, write: Write) -> Result<Outcome, WriteError> {
        let numbering = self.numbering.clone();
        self.make(write, move |writing| writing.create(&new, &numbering)).await
    }

    async fn find(&self, id: CustomerId) -> Result<Option<Customer>, RepositoryError> {
        self.readers.read(|conn| {
            at_most_one(
                queries::live_customer(id.get()).select(CustomerRow::as_select()).get_result(conn),
            )
        })
    }

    async fn find_by_account(&self, key: &AccountKey) -> Result<Option<Customer>, RepositoryError> {
        self.readers.read(|conn| {
            at_most_one(
                queries::live_customer_of(key.as_str())
                    .select(CustomerRow::as_select())
                    .get_result(conn),
            )
        })
    }

    async fn update(
        &self,
        id: CustomerId,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<Customer, WriteError> {
        let change = Change::Update(changes);
        self.make(write, move |writing| writing.change(id, &change)).await
    }

    async fn upsert(
        &self,
        account: CustomerAccount,
        changes: CustomerChanges,
        write: Write,
    ) -> Result<(Customer, bool), WriteError> {
        let numbering = self.numbering.clone();
        self.make(write, move |writing| writing.upsert(&account, &changes, &numbering)).await
    }

    async fn delete(&self, id: CustomerId, write: Write) -> Result<(), WriteError> {
        self.make(write, move |writing| writing.change(id, &Change::Delete).map(drop)).await
    }

    async fn restore(&self, id: CustomerId, write: Write) -> Result<Outcome, WriteError> {
        self.make(write, move |writing| writing.restore(id)).await
    }

    async fn erase(&self, id: CustomerId, write: Write) -> Result<(Customer, bool), WriteError> {
        // Nothing is forgotten before a precondition is tested.
        let mut behind = write.precondition.is_none().then_some(0);
        while let Some(entry) = behind {
            behind = self.write(move |conn| erasing::forget_ahead(conn, id, entry)).await?;
        }
        let erased = self.make(write, move |writing| writing.erase(id)).await?;
        self.file.check()?;
        let file = self.file.clone();
        let scrubbed = tokio::task::spawn_blocking(move || scrubbing::scrub(file.name())).await;
        let scrubbed = scrubbed.map_err(|panic| RepositoryError::Internal(panic.into()))?;
        scrubbed.map_err(|reason| {
            unavailable(format!(
                "customer {id} is erased, but the file still holds what it was, because {reason}; \
                 erase it again"
            ))
        })?;
        Ok(erased)
    }

    async fn list(
        &self,
        selection: Selection,
        order: Order,
        page: Page,
    ) -> Result<Listing, RepositoryError> {
        match reads::cost(&selection, &order, page.skip, page.take) {
            Cost::Bounded => {
                self.readers.read(on_snapshot(|conn| reading::list(conn, selection, &order, page)))
            }
            cost => {
                self.lanes
                    .read(cost, move |conn| reading::list(conn, selection, &order, page))
                    .await
            }
        }
    }

    async fn walk(
        &self,
        selection: Selection,
        order: Order,
        stretch: Stretch,
    ) -> Result<Vec<Customer>, RepositoryError> {
        match reads::cost(&selection, &order, 0, stretch.take) {
            Cost::Bounded => self
                .readers
                .read(on_snapshot(|conn| reading::walk(conn, selection, &order, &stretch))),
            cost => {
                self.lanes
                    .read(cost, move |conn| reading::walk(conn, selection, &order, &stretch))
                    .await
            }
        }
    }

    async fn search(&self, term: SearchTerm, page: Page) -> Result<Listing, RepositoryError> {
        self.lanes.read(Cost::Unknown, move |conn| reading::search(conn, &term, page)).await
    }

    async fn history(
        &self,
        id: CustomerId,
        before: Option<i64>,
        take: u32,
    ) -> Result<Option<Vec<HistoryEntry>>, RepositoryError> {
        let before = before.unwrap_or(i64::MAX);
        let is_inline = u64::from(take) <= reads::INLINE;
        let read = self.readers.read(|conn| {
            let exists = queries::customer_exists(id.get()).get_result::<bool>(conn)?;
            if !exists || !is_inline {
                return Ok(exists.then(Vec::new));
            }
            let rows = queries::history(id.get(), before, take.into())
                .select(HistoryRow::as_select())
                .load(conn)?;
            rows.into_iter().map(HistoryEntry::try_from).collect::<QueryResult<_>>().map(Some)
        })?;
        match read {
            // Each entry may hold a long text twice.
            Some(_) if !is_inline => self
                .lanes
                .read(Cost::Unknown, move |conn| conn.history(id, before, take))
                .await
                .map(Some),
            read => Ok(read),
        }
    }

    async fn complete_until(&self) -> Result<Timestamp, RepositoryError> {
        Ok(self.horizon.get())
    }

    async fn sweep(&self, now: Timestamp) -> Result<u64, RepositoryError> {
        self.sweep_with(queries::sweep_answers(Dialect::Sqlite, now)).await
    }

    async fn ready(&self) -> Result<(), RepositoryError> {
        self.file.check()?;
        let ready = self.readers.read(|conn| {
            queries::nobody().select(CustomerRow::as_select()).load(conn)?;
            queries::nobodys_keys().get_results::<i64>(conn)?;
            queries::tokens::probe().get_result::<bool>(conn)?;
            migrations::is_current_sqlite(conn)
        });
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
