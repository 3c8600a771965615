//! `customers rebuild`: mends what lists and searches look at, from the customers.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use customers_storage::{DatabaseUrl, Rebuild, RebuildError, Rebuilt};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::Failure;
use crate::output::{show, tell};
use crate::signals::StopSignals;

/// How often a line says how far it is, where no bar is shown.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Mends the database. Stopped by SIGINT or SIGTERM, it keeps what is mended by then.
pub async fn run(database: &DatabaseUrl) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let failed = |source| Failure::Open { url: database.to_string(), source };
    let rebuild = Rebuild::open(database).map_err(failed)?;
    let is_stopped = Arc::new(AtomicBool::new(false));
    let watched = is_stopped.clone();
    let mut work = tokio::task::spawn_blocking(move || work(rebuild, &watched));
    let mended = tokio::select! {
        mended = &mut work => mended,
        () = stop.next() => {
            is_stopped.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let Rebuilt { customers, times, keys, phones, searched, removed, totals, indexes } =
        mended.map_err(Failure::other)?.map_err(Failure::other)?;
    let (live, deleted) = totals;
    show(&format!(
        "Compared {} customers. Mended: times of {times}, search keys of {keys}, phone numbers of {phones}, the search \
         index for {searched}; removed {removed} rows; counts of customers were off by {} and {}; \
         made {indexes} indexes.",
        HumanCount(customers),
        -live,
        -deleted,
    ))
    .map_err(Failure::other)?;
    match is_stopped.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(Failure::other("stopped before the end; run it again for the rest")),
    }
}

/// Takes one step after the other, until the end or until it is stopped.
fn work(mut rebuild: Rebuild, is_stopped: &AtomicBool) -> Result<Rebuilt, RebuildError> {
    let total = rebuild.total();
    let bar = std::io::stderr().is_terminal().then(|| bar(total));
    let mut next = Instant::now() + LINE_EVERY;
    let mut done = Ok(true);
    while let Ok(true) = done
        && !is_stopped.load(Ordering::Relaxed)
    {
        done = rebuild.step();
        let customers = rebuild.rebuilt().customers;
        if let Some(bar) = &bar {
            bar.set_position(customers);
        } else if Instant::now() >= next {
            next = Instant::now() + LINE_EVERY;
            tell(&format!("compared {} of {} customers", HumanCount(customers), HumanCount(total)));
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    done.map(|_| rebuild.rebuilt())
}

fn bar(total: u64) -> ProgressBar {
    let style = "{bar:40} {percent:>3} %  {human_pos} of {human_len}  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::new(total).with_style(style)
}
