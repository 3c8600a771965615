//! How far a walk through a list is, and the file that keeps it.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
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

impl Place {
    /// The number of the page; 1 where it has none.
    pub fn number(&self) -> u64 {
        match self {
            Self::Page(number) => *number,
            Self::Start | Self::Cursor(_) => 1,
        }
    }
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

/// How long a list with numbered pages is, as each of its pages says: where it moves, customers have moved to
/// other pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub total: Option<u64>,
    pub last_page: Option<u64>,
}

/// Keeps the place in a list.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The file that it is kept in.
    pub file: PathBuf,
    /// Which list it is a place in.
    pub of: String,
}

/// The longest file that is read: longer than any that is kept.
const LONGEST_FILE: u64 = 1 << 20;

/// Reads the beginning of a file, which may be any that `--resume` names by mistake.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(LONGEST_FILE).read_to_end(&mut text)?;
    Ok(text)
}

#[derive(Serialize, Deserialize)]
struct Kept {
    of: String,
    place: Place,
    /// Nothing where the list is known to have moved before this place.
    #[serde(default)]
    size: Option<Size>,
}

impl Keeper {
    /// The place that was kept, and how long the list was up to it; the start where none was.
    ///
    /// # Errors
    ///
    /// Where it is a place in another list, or cannot be read.
    pub fn place(&self) -> Result<(Place, Option<Size>), Failure> {
        let file = self.file.display();
        let text = match read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Place::Start, None)),
            Err(error) => return Err(Failure::other(format!("cannot read {file}: {error}"))),
        };
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.of == self.of => Ok((kept.place, kept.size)),
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
    pub fn keep(&self, place: &Place, size: Option<Size>) -> io::Result<()> {
        let folder = match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let mut file = NamedTempFile::new_in(folder)?;
        let kept = Kept { of: self.of.clone(), place: place.clone(), size };
        serde_json::to_writer(&mut file, &kept)?;
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
