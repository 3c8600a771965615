//! What a running server does for PostgreSQL beside answering requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use customers_domain::RepositoryError;
use diesel::result::Error;

use super::ddl::{self, Ddl};
use super::{PostgresStore, import, search_index};
use crate::error::{from_postgres, unavailable};
use crate::indexes;
use crate::upkeep::Upkeep;

/// What is known of the database, and where it is.
pub(super) struct State {
    url: String,
    has_search_index: Arc<AtomicBool>,
    missing_indexes: Arc<AtomicU64>,
}

impl State {
    pub fn new(url: &str, has_search_index: bool) -> Self {
        Self {
            url: url.to_owned(),
            has_search_index: Arc::new(AtomicBool::new(has_search_index)),
            missing_indexes: Arc::default(),
        }
    }

    /// Whether there is an index of all that is searched.
    pub fn has_search_index(&self) -> bool {
        self.has_search_index.load(Ordering::Relaxed)
    }

    /// How many indexes there should be and were not, when they were looked at last.
    pub fn missing_indexes(&self) -> u64 {
        self.missing_indexes.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn restore_index(&self) -> Result<bool, RepositoryError> {
        let State { url, has_search_index, missing_indexes } = &self.upkeep;
        let url = url.clone();
        let (has_search_index, missing) = (has_search_index.clone(), missing_indexes.clone());
        let restore = move || {
            let mut ddl = Ddl::connect(&url).map_err(unavailable)?;
            restore(&mut ddl, &has_search_index, &missing).map_err(from_postgres)
        };
        let restored = tokio::task::spawn_blocking(restore).await;
        restored.unwrap_or_else(|panic| Err(RepositoryError::Internal(panic.into())))
    }
}

fn restore(
    ddl: &mut Ddl,
    has_search_index: &AtomicBool,
    missing: &AtomicU64,
) -> Result<bool, Error> {
    let look = |ddl: &mut Ddl| {
        let count = indexes::missing(&mut import::target(ddl.conn()))?.len();
        missing.store(count as u64, Ordering::Relaxed);
        has_search_index.store(search_index::exists(ddl.conn())?, Ordering::Relaxed);
        Ok::<_, Error>(())
    };
    look(ddl)?;
    if ddl::is_importing(ddl.conn())? {
        return Ok(false);
    }
    if !ddl.restore_index()? && !ddl.build_search_index()? {
        return Ok(false);
    }
    look(ddl)?;
    Ok(true)
}
