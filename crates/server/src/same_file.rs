//! Whether something would be written over what it is made of.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use customers_storage::DatabaseUrl;

use crate::Failure;

/// Refuses to write to this file where it is one of those that are read, or the database's.
///
/// # Errors
///
/// [`Failure::Usage`], with what to do.
pub fn refuse<'a>(
    written: &Path,
    read: impl IntoIterator<Item = &'a Path>,
    database: &DatabaseUrl,
) -> Result<(), Failure> {
    if read.into_iter().any(|read| is_same(written, read)) {
        return Err(Failure::Usage(format!(
            "{} is what is read; name another file to write to",
            written.display()
        )));
    }
    if let DatabaseUrl::Sqlite(path) = database {
        // SQLite keeps them beside the file, and not beside a link to it.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let beside = |ending: &str| PathBuf::from(format!("{}{ending}", path.display()));
        if ["", "-wal", "-shm", "-journal", "-lock"]
            .iter()
            .any(|ending| is_same(written, &beside(ending)))
        {
            return Err(Failure::Usage(format!(
                "{} belongs to the database; name another file to write to",
                written.display()
            )));
        }
    }
    Ok(())
}

/// Whether both are one, by whatever name.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => place(one).is_some_and(|of_one| place(other) == Some(of_one)),
    }
}

/// Where a file is, or would be.
fn place(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}
