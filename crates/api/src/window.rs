//! Counts of what happens within a minute, by whoever does it.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// How long a window is, from the first that is counted in it.
const LENGTH: Duration = Duration::from_secs(60);

/// The most windows that are kept: some 20 MB. Of more, the one that was not asked for the longest
/// is forgotten.
const MOST: u64 = 100_000;

/// One window for each key that something was counted of lately.
pub(crate) struct Windows<K>(Cache<K, Arc<Window>>);

struct Window {
    end: Instant,
    count: AtomicU32,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How much was counted.
    pub count: u32,
    /// When it begins anew, in seconds: at least 1.
    pub seconds_left: u64,
}

impl Window {
    fn tally(&self, count: u32) -> Tally {
        let left = self.end.saturating_duration_since(Instant::now());
        Tally { count, seconds_left: (left.as_secs_f64().ceil() as u64).max(1) }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Windows<K> {
    pub fn new() -> Self {
        let policy = EvictionPolicy::lru();
        let cache =
            Cache::builder().max_capacity(MOST).eviction_policy(policy).time_to_live(LENGTH);
        Self(cache.build())
    }

    /// Counts one more; what there is with it.
    pub fn add(&self, key: K) -> Tally {
        let begin = || Arc::new(Window { end: Instant::now() + LENGTH, count: 0.into() });
        let window = self.0.get_with(key, begin);
        let before = window.count.fetch_add(1, Ordering::Relaxed);
        window.tally(before.saturating_add(1))
    }

    /// What there is, if there is anything.
    pub fn tally(&self, key: &K) -> Option<Tally> {
        let window = self.0.get(key)?;
        Some(window.tally(window.count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_counted_by_itself() {
        let windows = Windows::new();
        assert_eq!(windows.tally(&1), None);
        assert_eq!([windows.add(1), windows.add(2), windows.add(1)].map(|it| it.count), [1, 1, 2]);
        let tally = windows.tally(&1).unwrap();
        assert_eq!(tally.count, 2);
        assert!((1..=60).contains(&tally.seconds_left));
    }

    #[test]
    fn nothing_is_lost_where_many_count_at_once() {
        let windows = Windows::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).map(|_| windows.add("key").count).max());
            }
        });
        assert_eq!(windows.tally(&"key").unwrap().count, 8000);
    }
}
