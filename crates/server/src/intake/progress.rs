//! How far an import is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::output::tell;

/// Where nobody watches a bar, how far it is gets told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How much is read, and of how much, in whatever the source counts: bytes, rows, customers.
#[derive(Debug, Default)]
pub struct Gauge {
    position: AtomicU64,
    /// 0 where nobody knows.
    length: AtomicU64,
}

impl Gauge {
    /// Sets how much there is to be read.
    pub fn set_length(&self, length: u64) {
        self.length.store(length, Ordering::Relaxed);
    }

    /// Counts what is read.
    pub fn read(&self, more: u64) {
        self.position.fetch_add(more, Ordering::Relaxed);
    }

    fn length(&self) -> Option<u64> {
        Some(self.length.load(Ordering::Relaxed)).filter(|length| *length > 0)
    }
}

/// Tells how far it is.
pub struct Progress {
    bar: Option<ProgressBar>,
    gauge: Arc<Gauge>,
    has_length: bool,
    started: Instant,
    next: Instant,
}

impl Progress {
    pub fn new(gauge: Arc<Gauge>) -> Self {
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::no_length().with_style(style("{spinner} {msg}")));
        let started = Instant::now();
        Self { bar, gauge, has_length: false, started, next: started + LINE_EVERY }
    }

    /// The bar, where there is one: whoever prints something must step around it.
    pub fn bar(&self) -> Option<&ProgressBar> {
        self.bar.as_ref()
    }

    /// Tells that so many rows are done.
    pub fn tell(&mut self, rows: u64) {
        let now = Instant::now();
        let seconds = (now - self.started).as_secs_f64();
        let rate = HumanCount((rows as f64 / seconds) as u64);
        let position = self.gauge.position.load(Ordering::Relaxed);
        let length = self.gauge.length();
        let text = format!("{} rows, {rate}/s", HumanCount(rows));
        if let Some(bar) = &self.bar {
            if let Some(length) = length {
                if !std::mem::replace(&mut self.has_length, true) {
                    bar.set_style(style("{bar:40} {percent:>3} %  {msg}  {eta} left"));
                }
                bar.set_length(length);
            }
            bar.set_message(text);
            bar.set_position(position);
        } else if now >= self.next {
            self.next = now + LINE_EVERY;
            let left = length.and_then(|length| {
                let left = length.saturating_sub(position) as f64;
                Duration::try_from_secs_f64(left / position.max(1) as f64 * seconds).ok()
            });
            let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
            tell(&format!("read {text}{left}"));
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template")
}
