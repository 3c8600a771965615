//! Which processes have a database open, so that no file is put in its place meanwhile.
//!
//! Beside the database lies an empty file, `…-lock`, which a process locks together with others while it
//! opens the database, and a server for as long as it serves. Restoring locks the file alone. The lock is
//! one of the operating system (`flock`): it ends with its process, whatever happens, and says nothing of
//! what is in the database, which may be damaged. The file itself is never removed: two processes could
//! hold locks of two files of that name.
//!
//! A version of this service from before that lock, and other programs, hold the locks of SQLite itself on
//! the database and on its `-shm` file. Those are asked for, too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

use crate::error::OpenError;

/// How long a process that opens the database waits for one that restores it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause before the lock is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// The lock of a database, until it is dropped.
#[derive(Debug)]
pub(crate) struct Presence {
    /// `None` where the file system has no such locks, or nothing can be made in the folder.
    _file: Option<File>,
}

impl Presence {
    /// The lock that is held together with others. Waits while the database is restored.
    ///
    /// # Errors
    ///
    /// [`OpenError::Restoring`] where that takes too long.
    pub fn share(database: &Path) -> Result<Self, OpenError> {
        let deadline = Instant::now() + PATIENCE;
        let file = match open(database) {
            Ok(file) => file,
            Err(error) => return Ok(Self::none(&error)),
        };
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::Restoring(database.to_owned()));
                }
                Err(TryLockError::Error(error)) => return Ok(Self::none(&error)),
            }
        }
    }

    /// The lock that is held alone; `None` where another process has the database open.
    ///
    /// # Errors
    ///
    /// Where it cannot be found out.
    pub fn alone(database: &Path) -> io::Result<Option<Self>> {
        let file = open(database)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// A database is opened all the same: it could be before there was this lock.
    fn none(error: &io::Error) -> Self {
        log::debug!(error:%; "the lock file of the database is not used");
        Self { _file: None }
    }
}

/// The process that has this database open as SQLite sees it, other than this one.
///
/// # Errors
///
/// Where it cannot be found out.
pub(crate) fn user(database: &Path) -> io::Result<Option<Pid>> {
    for file in [database.to_owned(), beside(database, "-shm")] {
        // To close a file gives back all locks that this process has of it: it must have none.
        let held = match File::open(&file) {
            Ok(file) => fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(held) = held {
            // A process of another container has no number here.
            return Ok(Some(held.pid.unwrap_or(Pid::INIT)));
        }
    }
    Ok(None)
}

/// The file of a database, behind all links: SQLite keeps its own files beside that one.
pub(crate) fn resolved(database: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(database) {
        return path;
    }
    // It is not there yet.
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    match (folder, database.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => database.to_owned(),
    }
}

/// The file whose name has this behind that of the database.
pub(crate) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens the lock file, which is made where it is not there. To lock it takes no right to write to it.
fn open(database: &Path) -> io::Result<File> {
    let path = beside(&resolved(database), "-lock");
    match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().read(true).append(true).create(true).open(path)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_share_the_lock_and_one_has_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let shared = [(); 2].map(|()| Presence::share(&database).unwrap());
        assert!(Presence::alone(&database).unwrap().is_none());
        drop(shared);
        let alone = Presence::alone(&database).unwrap();
        assert!(alone.is_some());
        assert!(Presence::alone(&database).unwrap().is_none());
        drop(alone);
        Presence::share(&database).unwrap();
    }

    #[test]
    fn whoever_opens_a_database_waits_while_it_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let restoring = Presence::alone(&database).unwrap();
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| Presence::share(&database));
            std::thread::sleep(PAUSE * 3);
            assert!(!opening.is_finished());
            drop(restoring);
            assert!(opening.join().unwrap().is_ok());
        });
    }

    #[test]
    fn a_link_to_a_database_has_the_lock_of_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let [database, link] = ["a.db", "b.db"].map(|name| folder.path().join(name));
        fs::write(&database, "").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let _shared = Presence::share(&link).unwrap();
        assert!(Presence::alone(&database).unwrap().is_none());
    }
}
