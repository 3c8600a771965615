//! Copies a database while it is in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tempfile::{TempDir, TempPath};

use crate::error::OpenError;
use crate::{DatabaseUrl, sqlite};

/// How far a copy is gets told so often.
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// A copy of an SQLite database that is still to be made.
///
/// It grows in a folder of its own, so that nobody takes half a copy for one.
#[derive(Debug)]
pub struct Backup {
    /// The file that is copied.
    database: PathBuf,
    /// The file that the copy will be.
    path: PathBuf,
    /// Where it grows, beside that; removed with all that is in it.
    folder: TempDir,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The bytes that are written.
    pub written: u64,
    /// The bytes that there will be: fewer, where the database's pages have room left in them.
    pub total: u64,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for that.
    #[error(
        "this backs up SQLite; for PostgreSQL use its own pg_dump, or continuous archiving, which \
         loses nothing"
    )]
    Postgres,
    /// There is no such database.
    #[error("there is no database {0}")]
    Missing(PathBuf),
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

impl Backup {
    /// Looks whether the database can be copied to a new file of this name, and makes the folder that
    /// the copy grows in.
    ///
    /// # Errors
    ///
    /// [`BackupError`] where there is no such database, or such a file already.
    pub fn new(url: &DatabaseUrl, path: &Path) -> Result<Self, BackupError> {
        let DatabaseUrl::Sqlite(database) = url else {
            return Err(BackupError::Postgres);
        };
        // It would be created.
        if !database.exists() {
            return Err(BackupError::Missing(database.to_owned()));
        }
        if path.exists() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        let folder = tempfile::Builder::new()
            .prefix(&name)
            .suffix(".partial")
            .tempdir_in(parent(path))
            .map_err(|source| BackupError::Write { path: path.to_owned(), source })?;
        Ok(Self { database: database.to_owned(), path: path.to_owned(), folder })
    }

    /// The folder that the copy grows in, to be removed by whoever ends the process before the copy
    /// is made.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies the database as it is at one moment, and returns when the copy is on the disk and has
    /// its name. Servers that use the database go on reading and writing.
    ///
    /// The copy is a database itself. [`Restore`](crate::Restore) puts it in the place of the database.
    ///
    /// # Errors
    ///
    /// [`BackupError`]; there is no copy then.
    pub fn run(self, progress: impl FnMut(Progress) + Send) -> Result<(), BackupError> {
        let Self { database, path, folder } = self;
        let partial = folder.path().join("copy");
        let name = partial.to_str().ok_or_else(|| OpenError::Path(partial.clone()))?;
        let mut conn = sqlite::connect_for_writing(&sqlite::file_name(&database)?)?;
        let total = size(&mut conn)?;
        std::thread::scope(|scope| {
            let (done, is_done) = mpsc::channel::<()>();
            scope.spawn(|| watch(&partial, total, progress, is_done));
            let copied =
                diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(name).execute(&mut conn);
            drop(done);
            copied
        })?;
        let finish = || {
            // As readable as the database is.
            fs::set_permissions(&partial, fs::metadata(&database)?.permissions())?;
            // SQLite leaves it to others to flush what VACUUM INTO has written.
            File::open(&partial)?.sync_all()?;
            TempPath::try_from_path(&partial)?.persist_noclobber(&path)?;
            File::open(parent(&path))?.sync_all()
        };
        finish().map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => BackupError::Exists(path.clone()),
            _ => BackupError::Write { path: path.clone(), source },
        })
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How many bytes of the file are in use.
fn size(conn: &mut SqliteConnection) -> QueryResult<u64> {
    #[derive(QueryableByName)]
    struct Size {
        #[diesel(sql_type = BigInt)]
        bytes: i64,
    }
    let size: Size = diesel::sql_query(
        "SELECT (page_count - freelist_count) * page_size AS bytes
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .get_result(conn)?;
    Ok(size.bytes.unsigned_abs())
}

/// SQLite does not tell how far it is, but how long the file is by now does.
fn watch(
    partial: &Path,
    total: u64,
    mut progress: impl FnMut(Progress),
    is_done: mpsc::Receiver<()>,
) {
    while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(TOLD_EVERY) {
        let written = fs::metadata(partial).map_or(0, |partial| partial.len());
        progress(Progress { written: written.min(total), total });
    }
}
