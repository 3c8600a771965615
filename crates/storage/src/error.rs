//! What goes wrong, in the words of the port.

use std::error::Error as StdError;
use std::path::PathBuf;

use customers_domain::RepositoryError;
use diesel::result::{DatabaseErrorKind, Error};

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the file is not there and cannot be made.
    #[error("cannot create the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The path cannot be given to SQLite.
    #[error("the path of the database is not UTF-8: {0}")]
    Path(PathBuf),
    /// The database cannot be reached, or the file cannot be read.
    #[error("cannot open the database: {0}")]
    Connect(#[source] Box<dyn StdError + Send + Sync>),
    /// Another process puts a copy in its place.
    #[error("{0} is being restored; start again when that is done")]
    Restoring(PathBuf),
    /// A newer version has migrated it.
    #[error(
        "the database belongs to a newer version of customers, which has migrated it to {0}; run \
         that version, or restore a backup that was made before"
    )]
    Newer(String),
    /// A newer version of folding has made its search keys.
    #[error(
        "the search keys of the database are of version {0}, which is newer than this version of \
         customers: run the newer version again, or, to go back, rebuild them with customers rebuild"
    )]
    NewerKeys(i64),
    /// A migration failed.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[source] Box<dyn StdError + Send + Sync>),
    /// The server keeps text in another encoding.
    #[error(
        "the database keeps text as {0}; customers needs one with the encoding UTF8: CREATE \
         DATABASE customers ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding(String),
}

/// Why the work of a transaction is not kept.
#[derive(Debug)]
pub(crate) enum Abort<E> {
    /// The data do not allow it.
    Refused(E),
    /// The database failed.
    Failed(Error),
}

impl<E> From<Error> for Abort<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A refusal that does not occur.
pub(crate) type Never = std::convert::Infallible;

pub(crate) fn unavailable(reason: impl Into<Box<dyn StdError + Send + Sync>>) -> RepositoryError {
    RepositoryError::Unavailable(reason.into())
}

/// What SQLite says (`sqlite3_errstr`, always in English) when the file is locked, the disk full or
/// gone: matters of the machine that pass or that its operator mends.
const SQLITE_UNAVAILABLE: [&str; 8] = [
    "database is locked",
    "database table is locked",
    "locking protocol",
    "out of memory",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
    "attempt to write a readonly database",
];

/// Another connection kept the write lock for as long as it was waited for.
pub(crate) fn is_locked(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information)
        if information.message() == "database is locked")
}

pub(crate) fn from_sqlite(error: Error) -> RepositoryError {
    match &error {
        // The connection is replaced before the next request.
        Error::BrokenTransactionManager => unavailable(error),
        Error::DatabaseError(DatabaseErrorKind::Unknown, information)
            if SQLITE_UNAVAILABLE.contains(&information.message()) =>
        {
            unavailable(error)
        }
        _ => RepositoryError::Internal(error.into()),
    }
}

pub(crate) fn from_postgres(error: Error) -> RepositoryError {
    match &error {
        Error::BrokenTransactionManager => unavailable(error),
        _ if is_away(&error) || is_conflict(&error) || is_exhausted(&error) => unavailable(error),
        _ => RepositoryError::Internal(error.into()),
    }
}

/// The server's machine ran out of something, most of the time of room on the disk (53100), or somebody
/// there has ended the statement.
///
/// diesel hands on no SQLSTATE, and what the server says may be in any language; but it names the
/// file that could not be written, below its data directory.
fn is_exhausted(error: &Error) -> bool {
    const FOLDERS: [&str; 5] = ["base/", "global/", "pg_tblspc/", "pg_wal/", "pg_xact/"];
    const MESSAGES: [&str; 5] = [
        "out of memory",
        "out of shared memory",
        "canceling statement due to statement timeout",
        "canceling statement due to lock timeout",
        "canceling statement due to user request",
    ];
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information)
        if FOLDERS.iter().any(|folder| information.message().contains(folder))
            || MESSAGES.contains(&information.message()))
}

/// The connection is of no use any more: it is closed, or leads to a server that takes no writes.
pub(crate) fn is_away(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ReadOnlyTransaction,
            _
        )
    )
}

/// The transaction stood in the way of another and works when it is done again.
///
/// diesel hands on no SQLSTATE: a deadlock (40P01) is known only by its message, in English.
pub(crate) fn is_conflict(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            information.message() == "deadlock detected"
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_in_any_language() {
        let is_exhausted = |message: &str| {
            let information = Box::new(message.to_owned());
            is_exhausted(&Error::DatabaseError(DatabaseErrorKind::Unknown, information))
        };
        assert!(is_exhausted(
            "could not extend file \"base/16384/16390\": No space left on device"
        ));
        assert!(is_exhausted(
            "n'a pas pu étendre le fichier « pg_tblspc/16385/PG_15_202209061/5/16386 » : \
             Aucun espace disponible sur le périphérique"
        ));
        assert!(!is_exhausted("column customers.website does not exist"));
    }
}
