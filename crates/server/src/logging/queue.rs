//! The lines that wait for the thread that writes the log: bounded in bytes, and never waited for.

use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most bytes that wait to be written.
const CAPACITY: usize = 1 << 20;

/// The bytes beyond [`CAPACITY`] that only important lines take.
const RESERVE: usize = 256 << 10;

/// The most bytes of one write: a pipe takes so many at once, so that the lines of several processes
/// that share a pipe do not mix (POSIX, `PIPE_BUF` of Linux).
const CHUNK: usize = 4096;

/// How long a line waits for others that are written together with it.
const COLLECTED_FOR: Duration = Duration::from_millis(10);

/// How long the writer waits where the log takes nothing at the moment.
const BLOCKED_FOR: Duration = Duration::from_millis(10);

/// Lines on their way to the log.
///
/// Any thread [pushes](Self::push) lines and never waits for the log. One thread
/// [writes](Self::write_to) them. A line that does not fit is dropped and counted.
pub struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    pushed: Condvar,
    /// Nothing is left to write.
    written: Condvar,
}

struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// Whether the writer has taken lines that it has not written yet.
    is_writing: bool,
    /// Whether a caller waits for the lines to be written.
    is_flushed: bool,
    /// Whether a thread writes at all.
    has_writer: bool,
    /// Whether the last lines could not be written.
    is_failing: bool,
    /// The lines that were dropped so far.
    dropped: u64,
    /// How many of them the log tells of.
    reported: u64,
}

impl Queue {
    /// An empty queue.
    pub const fn new() -> Self {
        let state = State {
            waiting: Vec::new(),
            is_writing: false,
            is_flushed: false,
            has_writer: false,
            is_failing: false,
            dropped: 0,
            reported: 0,
        };
        Self { state: Mutex::new(state), pushed: Condvar::new(), written: Condvar::new() }
    }

    /// Adds a line, which ends with a line break. An important line may take the reserve.
    pub fn push(&self, line: &[u8], is_important: bool) {
        let mut state = self.state();
        let before = state.waiting.len();
        let limit = if is_important { CAPACITY + RESERVE } else { CAPACITY };
        if before + line.len() > limit {
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        let is_first = before == 0;
        let fills_chunk = before < CHUNK && state.waiting.len() >= CHUNK;
        drop(state);
        if is_first || fills_chunk {
            self.pushed.notify_one();
        }
    }

    /// The number of lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Whether a thread writes the lines.
    pub fn has_writer(&self) -> bool {
        self.state().has_writer
    }

    /// Waits until every line is written, at most as long as `limit`.
    pub fn flush(&self, limit: Duration) {
        let mut state = self.state();
        state.is_flushed = true;
        self.pushed.notify_one();
        let is_busy =
            |state: &mut State| state.has_writer && (state.is_writing || !state.waiting.is_empty());
        let (mut state, _) = self
            .written
            .wait_timeout_while(state, limit, is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_flushed = false;
    }

    /// Says that a thread is about to [write](Self::write_to).
    pub fn expect_writer(&self) {
        self.state().has_writer = true;
    }

    /// Writes lines as they come, without end. `report` pushes a line that tells how many were dropped.
    pub fn write_to(&self, mut log: impl Write, report: impl Fn(u64)) {
        let mut lines = Vec::new();
        loop {
            let unreported = self.take(&mut lines);
            if unreported > 0 {
                // Now there is room for it.
                report(unreported);
            }
            let lost = write(&mut log, &lines);
            lines.clear();
            // After a flood the memory goes back.
            lines.shrink_to(CHUNK);
            let mut state = self.state();
            state.dropped += lost;
            state.is_writing = false;
            state.is_failing = lost > 0;
            drop(state);
            self.written.notify_all();
        }
    }

    /// Takes the lines that wait, as soon as there are some; how many dropped lines are to be reported.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let is_empty = |state: &mut State| state.waiting.is_empty();
        let state = self.state();
        let state = self.pushed.wait_while(state, is_empty).unwrap_or_else(PoisonError::into_inner);
        let is_short = |state: &mut State| state.waiting.len() < CHUNK && !state.is_flushed;
        let (mut state, _) = self
            .pushed
            .wait_timeout_while(state, COLLECTED_FOR, is_short)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, lines);
        state.is_writing = true;
        if state.is_failing {
            // A report would fail, too, and its failure would be reported, and so on.
            return 0;
        }
        let dropped = state.dropped;
        dropped - std::mem::replace(&mut state.reported, dropped)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes whole lines; how many could not be written.
fn write(log: &mut impl Write, mut lines: &[u8]) -> u64 {
    let mut lost = 0;
    while !lines.is_empty() {
        let (chunk, rest) = lines.split_at(end_of_chunk(lines));
        if write_chunk(log, chunk).is_err() {
            lost += chunk.iter().filter(|&&byte| byte == b'\n').count() as u64;
        }
        lines = rest;
    }
    lost
}

/// Where the last line ends that fits a chunk, or else the first.
fn end_of_chunk(lines: &[u8]) -> usize {
    let fitting = &lines[..lines.len().min(CHUNK)];
    let end = fitting.iter().rposition(|&byte| byte == b'\n');
    let end = end.or_else(|| lines.iter().position(|&byte| byte == b'\n'));
    end.map_or(lines.len(), |end| end + 1)
}

/// Writes all of a chunk, to a log that does not block too.
fn write_chunk(log: &mut impl Write, mut chunk: &[u8]) -> io::Result<()> {
    while !chunk.is_empty() {
        match log.write(chunk) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => chunk = &chunk[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(BLOCKED_FOR);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// More than any of this takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A log whose every write waits for a permit.
    struct Slow {
        permits: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.written.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Log {
        queue: &'static Queue,
        permits: mpsc::Sender<()>,
        written: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl Log {
        fn start() -> Self {
            let queue: &'static Queue = Box::leak(Box::new(Queue::new()));
            let (permits, receiver) = mpsc::channel();
            let written = Arc::<Mutex<Vec<Vec<u8>>>>::default();
            let log = Slow { permits: receiver, written: written.clone() };
            queue.expect_writer();
            std::thread::spawn(move || {
                queue.write_to(log, |dropped| {
                    queue.push(format!("dropped {dropped}\n").as_bytes(), true);
                });
            });
            Self { queue, permits, written }
        }

        /// Lets the log take everything; its lines.
        fn read_all(&self) -> Vec<String> {
            for _ in 0..10_000 {
                self.permits.send(()).unwrap();
            }
            self.queue.flush(PATIENCE);
            let text = self.written.lock().unwrap().concat();
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn every_line_is_written_in_order_where_the_log_takes_them() {
        let log = Log::start();
        for number in 0..1000 {
            log.queue.push(format!("line {number}\n").as_bytes(), false);
        }
        let lines = log.read_all();
        assert_eq!(lines, (0..1000).map(|number| format!("line {number}")).collect::<Vec<_>>());
        assert_eq!(log.queue.dropped(), 0);
        for chunk in log.written.lock().unwrap().iter() {
            assert!(chunk.len() <= CHUNK && chunk.ends_with(b"\n"), "{}", chunk.len());
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told() {
        let log = Log::start();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        // The writer may have taken some, which it holds.
        for _ in 0..10 * CAPACITY / line.len() {
            log.queue.push(&line, false);
        }
        let dropped = log.queue.dropped();
        assert!(dropped > 0);
        {
            let state = log.queue.state();
            assert!(state.waiting.len() <= CAPACITY);
            assert!(state.waiting.capacity() <= 2 * (CAPACITY + RESERVE));
        }
        let lines = log.read_all();
        assert_eq!(*lines.last().unwrap(), format!("dropped {dropped}"));
        assert_eq!(lines.len() as u64 - 1 + dropped, 10 * CAPACITY as u64 / 1024);
    }

    #[test]
    fn a_flood_leaves_the_reserve_to_important_lines() {
        let log = Log::start();
        for _ in 0..2 * CAPACITY / 4 {
            log.queue.push(b"xxx\n", false);
        }
        let dropped = log.queue.dropped();
        assert!(dropped > 0);
        log.queue.push(b"important\n", true);
        assert_eq!(log.queue.dropped(), dropped);
        // The reserve has an end, too.
        for _ in 0..RESERVE / 4 {
            log.queue.push(b"also important\n", true);
        }
        assert!(log.queue.dropped() > dropped);
        assert!(log.read_all().contains(&"important".to_owned()));
    }

    #[test]
    fn a_log_that_fails_takes_no_line_and_keeps_no_caller_waiting() {
        let log = Log::start();
        drop(log.permits);
        log.queue.push(b"lost\nlost\n", false);
        log.queue.flush(PATIENCE);
        assert_eq!(log.queue.dropped(), 2);
    }

    #[test]
    fn a_flush_has_a_limit() {
        let log = Log::start();
        log.queue.push(b"never\n", false);
        log.queue.flush(Duration::from_millis(1));
        assert!(log.written.lock().unwrap().is_empty());
    }
}
