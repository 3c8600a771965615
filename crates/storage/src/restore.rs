//! Puts a copy of a database in the place of the database.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::sql::Sql;
use crate::sqlite::presence::{self, Presence, beside, resolved};
use crate::{DatabaseUrl, migrations, sqlite};

/// What SQLite keeps beside a database, and would take for a part of any file of the database's name.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A copy that is to be put in the place of a database. For as long as this lives, no process opens the
/// database.
#[derive(Debug)]
pub struct Restore {
    /// The copy that was named.
    copy: PathBuf,
    /// The file of the database, behind all links.
    database: PathBuf,
    /// Where the new file is made, beside the database.
    folder: TempDir,
    _alone: Presence,
}

/// A copy that is known to be sound, beside the database.
#[derive(Debug)]
pub struct Prepared {
    restore: Restore,
    file: PathBuf,
    customers: u64,
}

/// Why a copy is not restored. But for [`RestoreError::Replace`], nothing of the database was touched.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// PostgreSQL has tools of its own for that.
    #[error("this restores SQLite; for PostgreSQL use its own pg_restore or psql")]
    Postgres,
    /// There is no such copy.
    #[error("there is no file {0}")]
    Missing(PathBuf),
    /// The copy is the database.
    #[error("{0} is the database itself; name a copy of it")]
    Same(PathBuf),
    /// The database is in use.
    #[error("{path} is in use{}; stop the servers and all commands that use it first", by(.process))]
    InUse {
        /// The database, or the copy.
        path: PathBuf,
        /// The process that uses it, where that is known.
        process: Option<i32>,
    },
    /// The copy cannot take the place of a database.
    #[error("{path} is not restored: {reason}")]
    Unsound {
        /// The copy.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("cannot restore {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The copy could not take the place of the database.
    #[error(
        "cannot put the copy in the place of {path}: {source}; the database may be incomplete now: \
         restore the copy again before a server starts"
    )]
    Replace {
        /// The database.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

fn by(process: &Option<i32>) -> String {
    process.map_or_else(String::new, |process| format!(" by process {process}"))
}

impl Restore {
    /// Looks whether the copy can be restored, and keeps all processes from opening the database.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; nothing was changed then.
    pub fn new(url: &DatabaseUrl, copy: &Path) -> Result<Self, RestoreError> {
        let DatabaseUrl::Sqlite(path) = url else {
            return Err(RestoreError::Postgres);
        };
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| RestoreError::File { path, source }
        };
        if !copy.is_file() {
            return Err(RestoreError::Missing(copy.to_owned()));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed(folder))?;
        }
        let database = resolved(path);
        if resolved(copy) == database {
            return Err(RestoreError::Same(copy.to_owned()));
        }
        let alone = Presence::alone(&database).map_err(failed(&database))?;
        let Some(alone) = alone else {
            return Err(RestoreError::InUse { path: path.to_owned(), process: None });
        };
        let folder = tempfile::Builder::new()
            .prefix(".restore.")
            .tempdir_in(database.parent().unwrap_or(Path::new("/")))
            .map_err(failed(&database))?;
        let restore = Self { copy: copy.to_owned(), database, folder, _alone: alone };
        restore.expect_unused(&restore.database)?;
        restore.expect_unused(&restore.copy)?;
        Ok(restore)
    }

    /// The folder that the new file is made in, to be removed by whoever ends the process before it is
    /// in its place.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies the copy, so that it stays what it is, and looks whether it is a sound database that this
    /// version can serve.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]; the database is as it was then.
    pub fn prepare(self) -> Result<Prepared, RestoreError> {
        let file = self.folder.path().join("database");
        let copy = |ending| fs::copy(beside(&self.copy, ending), beside(&file, ending));
        let copied = copy("").and_then(|_| match copy("-wal") {
            // As beside each copy that `backup` makes.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            copied => copied,
        });
        copied.map_err(|source| self.failed(source))?;
        let customers = inspect(&file)
            .map_err(|reason| RestoreError::Unsound { path: self.copy.clone(), reason })?;
        let finish = || {
            // As readable as the database was, and the property of the same user.
            let like = fs::metadata(&self.database).or_else(|_| fs::metadata(&self.copy))?;
            fs::set_permissions(&file, like.permissions())?;
            let made = fs::metadata(&file)?;
            if self.database.exists() && (made.uid(), made.gid()) != (like.uid(), like.gid()) {
                chown(&file, Some(like.uid()), Some(like.gid()))?;
            }
            File::open(&file)?.sync_all()
        };
        finish().map_err(|source| self.failed(source))?;
        Ok(Prepared { restore: self, file, customers })
    }

    fn expect_unused(&self, file: &Path) -> Result<(), RestoreError> {
        let user = presence::user(file);
        match user.map_err(|source| RestoreError::File { path: file.to_owned(), source })? {
            Some(user) => {
                let process = (user != Pid::INIT).then(|| user.as_raw_nonzero().get());
                Err(RestoreError::InUse { path: file.to_owned(), process })
            }
            None => Ok(()),
        }
    }

    fn failed(&self, source: io::Error) -> RestoreError {
        RestoreError::File { path: self.copy.clone(), source }
    }
}

impl Prepared {
    /// Puts the new file in the place of the database, and returns when that is on the disk. How many
    /// customers are in it, deleted ones included.
    ///
    /// The log of the replaced database goes first: with it, SQLite would change the new file.
    ///
    /// # Errors
    ///
    /// [`RestoreError::InUse`], where nothing was done, and [`RestoreError::Replace`].
    pub fn replace(self) -> Result<u64, RestoreError> {
        let Self { restore, file, customers } = self;
        let database = &restore.database;
        // An older version knows nothing of the lock, and may have been started meanwhile.
        restore.expect_unused(database)?;
        let replace = || {
            for ending in BESIDE {
                match fs::remove_file(beside(database, ending)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            let folder = File::open(database.parent().unwrap_or(Path::new("/")))?;
            folder.sync_all()?;
            let made = fs::metadata(&file)?;
            fs::rename(&file, database)?;
            folder.sync_all()?;
            let there = fs::metadata(database)?;
            match (made.dev(), made.ino()) == (there.dev(), there.ino()) {
                true => Ok(()),
                false => Err(io::Error::other("another file has taken its place")),
            }
        };
        replace().map_err(|source| RestoreError::Replace { path: database.clone(), source })?;
        Ok(customers)
    }
}

/// Looks whether a file is a sound database of ours, and brings what was written ahead of it into it. How
/// many customers it has; or why it is none.
fn inspect(file: &Path) -> Result<u64, String> {
    let name = sqlite::file_name(file).map_err(|error| error.to_string())?;
    let unreadable = |error: diesel::result::Error| format!("SQLite cannot read it: {error}");
    let mut conn = SqliteConnection::establish(&name).map_err(|error| error.to_string())?;
    // In no other mode is everything in one file.
    conn.batch_execute("PRAGMA journal_mode = DELETE").map_err(unreadable)?;
    let check = Sql::new("PRAGMA quick_check(1)").typed::<Text>();
    let damage: String = check.get_result(&mut conn).map_err(unreadable)?;
    if damage != "ok" {
        return Err(format!("it is damaged: {}", damage.replace('\n', " ")));
    }
    if !migrations::is_ours_sqlite(&mut conn).map_err(|error| error.to_string())? {
        return Err("it is no database of customers".to_owned());
    }
    let count = Sql::new("SELECT count(*) FROM customers").typed::<BigInt>();
    let customers: i64 = count.get_result(&mut conn).map_err(unreadable)?;
    drop(conn);
    match BESIDE.iter().find(|ending| beside(file, ending).exists()) {
        Some(ending) => Err(format!("what is in its {ending} file cannot be brought into it")),
        None => Ok(customers.unsigned_abs()),
    }
}
