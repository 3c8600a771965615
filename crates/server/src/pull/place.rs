//! How far a walk through a list is, and the file that keeps it.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::Failure;

/// The page that is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The first.
    Start,
    /// The one behind this cursor.
    Cursor(String),
    /// The one of this number.
    Page(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("the first page"),
            Self::Cursor(cursor) => write!(f, "the cursor {cursor}"),
            Self::Page(number) => write!(f, "page {number}"),
        }
    }
}

/// Keeps the place in a list.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The file that it is kept in.
    pub file: PathBuf,
    /// Which list it is a place in.
    pub of: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    of: String,
    place: Place,
}

impl Keeper {
    /// The place that was kept; the start where none was.
    ///
    /// # Errors
    ///
    /// Where it is a place in another list, or cannot be read.
    pub fn place(&self) -> Result<Place, Failure> {
        let file = self.file.display();
        let text = match fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::Start),
            Err(error) => return Err(Failure::other(format!("cannot read {file}: {error}"))),
        };
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.of == self.of => Ok(kept.place),
            Ok(kept) => Err(Failure::Usage(format!(
                "{file} is of {}, and this is {}; name another file with --resume",
                kept.of, self.of
            ))),
            Err(error) => {
                Err(Failure::Usage(format!("{file} does not tell how far it is: {error}")))
            }
        }
    }

    /// Keeps the place: this one or, where that fails, the one of before.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn keep(&self, place: &Place) -> io::Result<()> {
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, &Kept { of: self.of.clone(), place: place.clone() })?;
        file.flush()?;
        file.as_file().sync_data()?;
        file.persist(&self.file)?;
        Ok(())
    }

    /// Removes the file: there is nothing left to go on with.
    ///
    /// # Errors
    ///
    /// Where it is there, and stays.
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
