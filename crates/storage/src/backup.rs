//! Copies a database while it is in use.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::error::OpenError;
use crate::{DatabaseUrl, sqlite};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for that.
    #[error(
        "this backs up SQLite; for PostgreSQL use its own pg_dump, or continuous archiving, which \
         loses nothing"
    )]
    Postgres,
    /// There is a file already, which might be the last good copy.
    #[error("{0} exists; name a file that does not")]
    Exists(PathBuf),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite could not copy it.
    #[error("cannot copy the database: {0}")]
    Copy(#[from] diesel::result::Error),
    /// The copy cannot be brought to the disk.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Copies an SQLite database, as it is at one moment, into a new file, which is on the disk when this
/// returns. Servers that use the database go on reading and writing.
///
/// The copy is a database itself: to restore it, stop the servers, put it in the place of the
/// database, and remove that one's `-wal` and `-shm` files.
///
/// # Errors
///
/// [`BackupError`]; there is no file under the name then.
pub fn backup(url: &DatabaseUrl, path: &Path) -> Result<(), BackupError> {
    let DatabaseUrl::Sqlite(database) = url else {
        return Err(BackupError::Postgres);
    };
    if path.exists() {
        return Err(BackupError::Exists(path.to_owned()));
    }
    // Under another name until it is whole, so that nobody takes half a copy for one.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = |result: io::Result<()>| {
        result.map_err(|source| BackupError::Write { path: path.to_owned(), source })
    };
    if partial.exists() {
        written(std::fs::remove_file(&partial))?;
    }
    let name = partial.to_str().ok_or_else(|| OpenError::Path(partial.clone()))?;
    let mut conn = sqlite::connect_for_writing(&sqlite::file_name(database)?)?;
    let copied = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(name).execute(&mut conn);
    if let Err(error) = copied {
        // What there is of it is of no use; an error means that there is nothing.
        let _ = std::fs::remove_file(&partial);
        return Err(error.into());
    }
    // SQLite leaves it to others to flush what VACUUM INTO has written.
    written(File::open(&partial).and_then(|file| file.sync_all()))?;
    written(std::fs::rename(&partial, path))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    written(File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()))
}
