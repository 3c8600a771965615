//! What stands in the way of serving a database, found out without changing anything of it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use customers_domain::FOLD_VERSION;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::drift::{self, Compare};
use crate::error::OpenError;
use crate::reading::Ask;
use crate::url::{DatabaseUrl, Secret};
use crate::{indexes, migrations, postgres, refresh, sqlite};

/// With less room than this, in bytes, writes will soon fail.
const LITTLE_ROOM: u64 = 1 << 30;

/// With less room than this, not even what is written ahead has any.
const NO_ROOM: u64 = 128 << 20;

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: &'static str,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What there is, and where it is not well, what to do.
    pub text: String,
}

/// Whether something is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Good,
    /// It can be served, but somebody should look.
    Doubtful,
    /// It cannot be served.
    Bad,
}

impl Finding {
    /// That something is well.
    pub fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Good, text: text.into() }
    }

    /// That somebody should look at it.
    pub fn doubtful(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Doubtful, text: text.into() }
    }

    /// That it is not well.
    pub fn bad(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Bad, text: text.into() }
    }
}

/// Looks at a database, and at its disk where it is of this machine. Blocks until that is done:
/// SQLite's check reads the whole file. A replica is one of the PostgreSQL database.
pub fn check(url: &DatabaseUrl, replica: Option<&Secret>) -> Vec<Finding> {
    match url {
        DatabaseUrl::Sqlite(path) => check_sqlite(path),
        DatabaseUrl::Postgres(url) => postgres::check(url.expose(), replica.map(Secret::expose))
            .unwrap_or_else(|error| vec![Finding::bad("database", error.to_string())]),
    }
}

fn check_sqlite(path: &Path) -> Vec<Finding> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut findings = check_folder(folder);
    if findings.iter().any(|finding| finding.verdict == Verdict::Bad) {
        return findings;
    }
    if !path.exists() {
        findings.push(Finding::good("database", "is not there yet; serving makes it"));
        return findings;
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(path) {
        findings.push(Finding::bad(
            "database",
            format!("cannot write to {}: {error}; give it to the user that serves", path.display()),
        ));
        return findings;
    }
    match check_file(path) {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::bad("database", error.to_string())),
    }
    findings
}

/// SQLite keeps its log beside the file, so it must be able to make files there.
fn check_folder(folder: &Path) -> Vec<Finding> {
    // What is not there yet is made in the nearest one that is.
    let nearest = folder.ancestors().map(in_working_folder).find(|folder| folder.exists());
    let nearest = nearest.unwrap_or_else(|| PathBuf::from("."));
    let shown = nearest.display();
    if let Err(error) = tempfile::tempfile_in(&nearest) {
        let what = format!("cannot write in {shown}: {error}; give it to the user that serves");
        return vec![Finding::bad("disk", what)];
    }
    match free_bytes(&nearest) {
        Ok(free) => {
            let room = format!("{} MiB are free in {shown}", free >> 20);
            vec![match free {
                ..NO_ROOM => Finding::bad("disk", format!("{room}; make room")),
                NO_ROOM..LITTLE_ROOM => {
                    Finding::doubtful("disk", format!("{room}; make room soon"))
                }
                _ => Finding::good("disk", room),
            }]
        }
        Err(error) => {
            vec![Finding::doubtful("disk", format!("how much is free in {shown}: {error}"))]
        }
    }
}

fn in_working_folder(folder: &Path) -> PathBuf {
    if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() }
}

/// Free for this user.
fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn check_file(path: &Path) -> Result<Vec<Finding>, OpenError> {
    #[derive(QueryableByName)]
    struct Check {
        #[diesel(sql_type = Text)]
        quick_check: String,
    }
    let failed = |error: diesel::result::Error| OpenError::Connect(error.into());
    let mut conn = SqliteConnection::establish(&sqlite::file_name(path)?)
        .map_err(|error| OpenError::Connect(error.into()))?;
    conn.batch_execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON").map_err(failed)?;
    let check: Check =
        diesel::sql_query("PRAGMA quick_check(1)").get_result(&mut conn).map_err(failed)?;
    if check.quick_check != "ok" {
        let damage = check.quick_check.replace('\n', " ");
        return Ok(vec![Finding::bad("integrity", format!("{damage}; restore a backup"))]);
    }
    let pending = migrations::pending_sqlite(&mut conn)?;
    let mut findings = vec![Finding::good("integrity", "the file is sound"), schema(pending)];
    if pending == 0 {
        findings.extend(consistency(conn.transaction(compare)));
    }
    Ok(findings)
}

/// Looks whether all that stands beside the customers is there. To be run in a transaction, on one state
/// of the database.
pub(crate) fn compare(conn: &mut (impl Compare + ?Sized)) -> QueryResult<Vec<Finding>> {
    let mut findings = vec![indexes(conn)?];
    match refresh::newest(conn)? {
        newest if newest > FOLD_VERSION.into() => {
            findings.push(Finding::bad("keys", OpenError::NewerKeys(newest).to_string()));
        }
        _ => findings.extend(drift::findings(conn)?),
    }
    Ok(findings)
}

/// What was found, or that nothing could be.
pub(crate) fn consistency(found: QueryResult<Vec<Finding>>) -> Vec<Finding> {
    found.unwrap_or_else(|error| {
        vec![Finding::doubtful("keys", format!("cannot be compared with the customers: {error}"))]
    })
}

fn indexes(conn: &mut (impl Ask + ?Sized)) -> QueryResult<Finding> {
    let missing = indexes::missing(conn)?;
    if missing.is_empty() {
        return Ok(Finding::good("indexes", "are all there"));
    }
    let set_aside = match indexes::are_set_aside(conn)? {
        true => {
            "an import has set them aside: it puts them back at its end, or a running server does \
                 where the import was stopped, or customers rebuild"
        }
        false => "restore them from a backup of the schema",
    };
    Ok(Finding::doubtful(
        "indexes",
        format!("missing: {} ({}); {set_aside}", missing.len(), missing.join(", ")),
    ))
}

/// What is told of so many migrations that are still to be made.
pub(crate) fn schema(pending: usize) -> Finding {
    match pending {
        0 => Finding::good("schema", "is the one of this version"),
        _ => Finding::good(
            "schema",
            format!("{pending} migrations are to be made; serving makes them"),
        ),
    }
}
