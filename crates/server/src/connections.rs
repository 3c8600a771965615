//! How many clients may be connected at once: as many as the process may have files open, but a few.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that are none of a client: of the database, of the log, and a few to spare. Without them
/// a crowd of idle clients would keep a customer from being written.
const OTHERS: u64 = 256;

/// The connections to the metrics at once. They are among the files that are kept from clients.
pub const FOR_METRICS: usize = 64;

/// As many a worker has at least, however low the limit is.
const FEWEST: usize = 16;

/// As many a worker has at most, as the framework has it.
const MOST: usize = 25_600;

/// Raises the limit of open files as far as the system allows, as it is lower than that for programs
/// that cannot do with many; how many connections each of so many workers may have then.
pub fn per_worker(workers: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        log::warn!(error:%; "the limit of open files stays as it is");
    }
    share(getrlimit(Resource::Nofile).current, workers)
}

/// The share of a worker; there is no limit where it is `None`.
fn share(files: Option<u64>, workers: usize) -> usize {
    let clients = files.map_or(u64::MAX, |files| files.saturating_sub(OTHERS));
    let each = clients / workers.max(1) as u64;
    usize::try_from(each).unwrap_or(MOST).clamp(FEWEST, MOST)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn some_files_are_kept_for_the_database() {
        assert_eq!(share(Some(1024), 2), 384);
        assert_eq!(share(Some(20_000), 2), 9_872);
        assert_eq!(share(Some(64), 2), 16);
        assert_eq!(share(None, 1), 25_600);
    }
}
