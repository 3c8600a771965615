//! `customers backup`: copies an SQLite database and tells how far it is.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use customers_storage::{Backup, DatabaseUrl, Progress};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use tokio::sync::oneshot;

use crate::Failure;
use crate::output::{print, tell};
use crate::signals::StopSignals;

/// Where nobody watches a bar, how far it is gets told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Makes the copy. Stopped by SIGINT or SIGTERM, it leaves nothing of it.
pub async fn run(database: &DatabaseUrl, path: &Path) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let backup = Backup::new(database, path).map_err(Failure::other)?;
    let folder = backup.folder().to_owned();
    let bar = std::io::stderr().is_terminal().then(bar);
    let progress = bar.clone();
    let (done, copied) = oneshot::channel();
    // A thread that the end of the process does not wait for.
    std::thread::spawn(move || {
        let copied = match progress {
            Some(bar) => backup.run(|progress| draw(&bar, progress)),
            None => backup.run(lines()),
        };
        // An error means that the process is about to end.
        let _ = done.send(copied);
    });
    let copied = tokio::select! {
        copied = copied => copied.map_err(Failure::other)?.map_err(Failure::other),
        () = stop.next() => {
            // An error means that the copy has just been finished, or has failed.
            let _ = std::fs::remove_dir_all(folder);
            Err(Failure::other("stopped before the copy was made"))
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    copied?;
    print(&format!("The database is copied to {}.", path.display()))?;
    Ok(())
}

fn bar() -> ProgressBar {
    let style = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
    let style = ProgressStyle::with_template(style).expect("a valid template");
    ProgressBar::no_length().with_style(style)
}

fn draw(bar: &ProgressBar, Progress { written, total }: Progress) {
    bar.set_length(total);
    bar.set_position(written);
}

/// Prints a line at the start and now and then.
fn lines() -> impl FnMut(Progress) {
    let started = Instant::now();
    let mut next = None;
    move |Progress { written, total }| {
        let now = Instant::now();
        match next {
            None => tell(&format!("copying {}", HumanBytes(total))),
            Some(next) if now < next => return,
            Some(_) => {
                let rate = written as f64 / (now - started).as_secs_f64();
                let left = Duration::try_from_secs_f64((total - written) as f64 / rate);
                let left =
                    left.map_or("an unknown time".into(), |left| HumanDuration(left).to_string());
                let (written, rate) = (HumanBytes(written), HumanBytes(rate as u64));
                tell(&format!("copied {written} of {}, {rate}/s, {left} left", HumanBytes(total)));
            }
        }
        next = Some(now + LINE_EVERY);
    }
}
