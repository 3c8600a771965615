//! `customers restore`: puts a copy of an SQLite database in the place of the database.

use std::path::Path;

use customers_storage::{DatabaseUrl, Restore};
use tokio::sync::oneshot;

use crate::Failure;
use crate::output::print;
use crate::signals::StopSignals;

/// Restores the copy. Stopped by SIGINT or SIGTERM before the database is touched, it leaves everything as
/// it was.
pub async fn run(database: &DatabaseUrl, copy: &Path) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let restore = Restore::new(database, copy).map_err(Failure::other)?;
    let folder = restore.folder().to_owned();
    let (done, prepared) = oneshot::channel();
    // A thread that the end of the process does not wait for.
    std::thread::spawn(move || {
        // An error means that the process is about to end.
        let _ = done.send(restore.prepare());
    });
    let prepared = tokio::select! {
        prepared = prepared => prepared.map_err(Failure::other)?.map_err(Failure::other)?,
        () = stop.next() => {
            // An error means that the copy has just been prepared, or has failed.
            let _ = std::fs::remove_dir_all(folder);
            return Err(Failure::other("stopped before anything was restored"));
        }
    };
    // From here on it takes moments, and is not stopped.
    let customers = prepared.replace().map_err(Failure::other)?;
    print(&format!(
        "Restored {}: the database has {customers} customers now, deleted ones included.",
        copy.display()
    ))?;
    Ok(())
}
