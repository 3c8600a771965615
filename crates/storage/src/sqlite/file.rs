//! The file of a database, and whether it is still the one under its path.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use customers_domain::RepositoryError;

use crate::error::unavailable;

/// The file that a database was opened from.
///
/// SQLite goes on with the file that it has open where another takes its name, as when a backup is
/// restored beside a running server: everything written then would be lost. Who is about to write, or to
/// open another connection, asks first.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    /// The path, as SQLite takes it.
    name: String,
    /// Device and inode.
    identity: (u64, u64),
}

impl DatabaseFile {
    /// The file that is now under this path.
    pub fn of(name: &str) -> io::Result<Self> {
        Ok(Self { name: name.to_owned(), identity: identity(name)? })
    }

    /// The path, as SQLite takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Refuses to go on where the file is no longer under its path.
    ///
    /// # Errors
    ///
    /// [`RepositoryError::Unavailable`] where another file is, or none.
    pub fn check(&self) -> Result<(), RepositoryError> {
        self.replaced().map_or(Ok(()), |reason| Err(unavailable(reason)))
    }

    /// What has become of the file; `None` where it is still under its path.
    pub fn replaced(&self) -> Option<String> {
        let name = &self.name;
        match identity(name) {
            Ok(identity) if identity == self.identity => None,
            Ok(_) => {
                Some(format!("another file has taken the place of {name}; restart the server"))
            }
            Err(error) => Some(format!("{name} is not there any more: {error}")),
        }
    }
}

/// Device and inode of the file under a path.
fn identity(name: &str) -> io::Result<(u64, u64)> {
    fs::metadata(name).map(|file| (file.dev(), file.ino()))
}
