//! Puts back indexes that are missing, while the process serves.

use std::sync::Arc;
use std::time::Duration;

use customers_storage::Upkeep;

use crate::causes;

/// How often the indexes are looked at.
const EVERY: Duration = Duration::from_secs(60);

/// The pause after each index that was put back. On SQLite, writes wait while one is made.
const PAUSE: Duration = Duration::from_secs(2);

/// Looks for missing indexes for as long as the process runs.
pub async fn look_after(upkeep: Arc<dyn Upkeep>) {
    let mut told = String::new();
    loop {
        let pause = match upkeep.restore_index().await {
            Ok(true) => {
                log::info!("an index that was missing is back");
                PAUSE
            }
            Ok(false) => {
                told.clear();
                EVERY
            }
            Err(error) => {
                // The same every minute would hide other warnings.
                let cause = causes(&error);
                let level = if cause == told { log::Level::Debug } else { log::Level::Warn };
                log::log!(level, "cannot put missing indexes back: {cause}");
                told = cause;
                EVERY
            }
        };
        actix_web::rt::time::sleep(pause).await;
    }
}
