//! What a store is doing at the moment, in figures, for whoever watches over it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::mending::MendedStatistics;

/// Whatever can tell what it is doing.
pub trait Instrumented: Send + Sync {
    /// The figures of this moment. Takes no lock for longer than counting takes.
    fn statistics(&self) -> Statistics;
}

/// The figures of a store.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// The connections, by what they are for.
    pub pools: Vec<PoolStatistics>,
    /// The thread that does all writing, where there is one.
    pub writer: Option<WriterStatistics>,
    /// What writes have found missing, and put back.
    pub mended: MendedStatistics,
    /// Indexes that there should be and were not, when they were [looked at](crate::Upkeep) last.
    pub missing_indexes: u64,
}

/// The figures of a pool of connections.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolStatistics {
    /// What the connections are for.
    pub name: &'static str,
    /// The most that are open at once.
    pub size: u32,
    /// Those that are open.
    pub open: u32,
    /// Those that are in use.
    pub used: u32,
    /// Requests that wait for one.
    pub waiting: u32,
}

impl PoolStatistics {
    /// Of a pool that nobody waits for, because there are no fewer connections than threads.
    pub(crate) fn of(name: &'static str, size: u32, state: r2d2::State) -> Self {
        let used = state.connections.saturating_sub(state.idle_connections);
        Self { name, size, open: state.connections, used, waiting: 0 }
    }

    /// The same with those that wait, of whom there may be so many: who is served or waits has a
    /// permit of `admitted`, and who is at work one of `free`, perhaps after nobody waits for it any
    /// more.
    pub(crate) fn with_waiting(
        self,
        admitted: &Semaphore,
        free: &Semaphore,
        waiting: usize,
    ) -> Self {
        let size = self.size as usize;
        let admitted = (size + waiting).saturating_sub(admitted.available_permits());
        let at_work = size.saturating_sub(free.available_permits());
        Self { waiting: admitted.saturating_sub(at_work) as u32, ..self }
    }
}

/// The figures of the writing thread.
#[derive(Debug, Clone, PartialEq)]
pub struct WriterStatistics {
    /// Writes that wait.
    pub queued: usize,
    /// The most that may wait.
    pub capacity: usize,
    /// How many transactions had how many writes, since the start: at most so many and more than in
    /// the entry before, and how many transactions that were.
    pub groups: Vec<(u64, u64)>,
    /// The writes in all of them.
    pub writes: u64,
    /// The length of what was written ahead, in bytes.
    pub wal_bytes: u64,
}

/// As many sizes as there are powers of two up to the most writes of a transaction.
const SIZES: usize = 8;

/// Counts transactions by the number of writes in them.
#[derive(Default)]
pub(crate) struct Groups {
    /// Of at most 1, 2, 4, … writes.
    counts: [AtomicU64; SIZES],
    writes: AtomicU64,
}

impl Groups {
    /// Counts one of so many writes, of which there is at least one.
    pub fn add(&self, writes: usize) {
        let size = writes.next_power_of_two().trailing_zeros() as usize;
        self.counts[size.min(SIZES - 1)].fetch_add(1, Ordering::Relaxed);
        self.writes.fetch_add(writes as u64, Ordering::Relaxed);
    }

    /// How many there were of each size.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let counts = self.counts.iter().enumerate();
        counts.map(|(size, count)| (1 << size, count.load(Ordering::Relaxed))).collect()
    }

    /// The writes in all of them.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_by_powers_of_two() {
        let groups = Groups::default();
        for writes in [1, 2, 3, 4, 5, 128] {
            groups.add(writes);
        }
        let counts = [(1, 1), (2, 1), (4, 2), (8, 1), (16, 0), (32, 0), (64, 0), (128, 1)];
        assert_eq!(groups.counts(), counts);
        assert_eq!(groups.writes(), 143);
    }
}
