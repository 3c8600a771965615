//! How far an export is: a bar on a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};

use crate::output::tell;

/// Where nobody watches a bar, how far it is gets told so often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells on stderr how far it is.
pub struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    started: Instant,
    next: Instant,
}

impl Progress {
    /// One of so many customers, as a bar where somebody watches.
    pub fn new(total: u64, is_watched: bool) -> Self {
        let bar = is_watched.then(|| {
            let style =
                "{bar:40} {percent:>3} %  {human_pos} of {human_len}  {per_sec}  {eta} left";
            let style = ProgressStyle::with_template(style).expect("a valid template");
            ProgressBar::new(total).with_style(style)
        });
        let started = Instant::now();
        Self { bar, total, done: 0, started, next: started + LINE_EVERY }
    }

    /// How many customers are done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Tells that so many more are done.
    pub fn add(&mut self, customers: usize) {
        self.done += customers as u64;
        let now = Instant::now();
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if now >= self.next {
            self.next = now + LINE_EVERY;
            let rate = self.done as f64 / (now - self.started).as_secs_f64();
            let left = self.total.saturating_sub(self.done) as f64 / rate;
            let left = Duration::try_from_secs_f64(left).ok();
            let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
            let [done, total] = [self.done, self.total].map(HumanCount);
            tell(&format!("exported {done} of {total}, {}/s{left}", HumanCount(rate as u64)));
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
