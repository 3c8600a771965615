//! Removes from the database what has had its time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use actix_web::rt::time::sleep;
use customers_domain::token::TokenRepository;
use customers_domain::{CustomerRepository, RepositoryError, Timestamp};

use crate::causes;

/// Any number of servers may sweep at once, so each does without asking the others.
const EVERY: Duration = Duration::from_secs(60);

/// The maximum time of a round for each kind. The next round goes on with what is left.
const ROUND: Duration = Duration::from_secs(20);

/// The minimum pause between two steps, in which others write.
const PAUSE: Duration = Duration::from_millis(10);

/// The pause is this many times as long as the step was: sweeping takes a third of the time of the writer.
const REST: u32 = 2;

/// A clock that moves by more than this, beside the time that has passed, has jumped.
const JUMP: Duration = Duration::from_secs(60 * 60);

/// Sweeps for as long as the process runs, once the clock was steady for this long.
pub async fn sweep(
    customers: Arc<dyn CustomerRepository>,
    tokens: Arc<dyn TokenRepository>,
    steady_for: Duration,
) {
    let mut clock = Clock::new(SystemTime::now(), Instant::now(), steady_for);
    sleep(steady_for.min(EVERY)).await;
    loop {
        if clock.is_steady(SystemTime::now(), Instant::now()) {
            let now = Timestamp::now();
            note(
                "answers to idempotency keys",
                in_steps(async || customers.sweep(now).await).await,
            );
            note("expired logins", in_steps(async || tokens.sweep(now).await).await);
        }
        sleep(EVERY).await;
    }
}

/// Takes steps until nothing is left or the round is over. How much was removed.
async fn in_steps(
    step: impl AsyncFn() -> Result<u64, RepositoryError>,
) -> Result<u64, RepositoryError> {
    let started = Instant::now();
    let mut swept = 0;
    while started.elapsed() < ROUND {
        let began = Instant::now();
        match step().await? {
            0 => break,
            removed => swept += removed,
        }
        sleep((began.elapsed() * REST).max(PAUSE)).await;
    }
    Ok(swept)
}

fn note(what: &str, swept: Result<u64, RepositoryError>) {
    match swept {
        Ok(0) => {}
        Ok(count) => log::debug!(count = count; "swept {what}"),
        Err(error) => log::warn!("cannot sweep {what}: {}", causes(&error)),
    }
}

/// Watches whether the machine's clock goes as the time does.
///
/// A clock that is set ahead by mistake would let everything expire at once, and what is removed does not
/// come back when the clock is set right. The clock that only counts the time tells that it was set, but
/// counts from the start of the machine: nothing tells a new process whether the clock was set just before.
/// So each process waits until it has seen the clock steady for an hour, unless a setting says otherwise.
struct Clock {
    /// A moment from which on the clock was steady, by both clocks.
    since: (SystemTime, Instant),
    /// How long the clock has to be steady before its time is believed.
    steady_for: Duration,
}

impl Clock {
    fn new(wall: SystemTime, steady: Instant, steady_for: Duration) -> Self {
        Self { since: (wall, steady), steady_for }
    }

    /// Whether the clock has been steady for long enough, now that it shows this time.
    fn is_steady(&mut self, wall: SystemTime, steady: Instant) -> bool {
        let (wall_then, steady_then) = self.since;
        let passed = steady.saturating_duration_since(steady_then);
        // A clock that is set back has jumped, too: before that it was wrong.
        let off = match wall.duration_since(wall_then) {
            Ok(shown) => shown.abs_diff(passed),
            Err(back) => back.duration() + passed,
        };
        if off > JUMP {
            log::warn!(
                seconds = off.as_secs();
                "the clock has jumped: expired data stays until the clock has been steady again"
            );
            self.since = (wall, steady);
            return false;
        }
        passed >= self.steady_for
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// What the clock is said to be, minute by minute, where it is set as told in some of the minutes.
    fn steady_from(minutes: u32, set: impl Fn(u32) -> i64) -> Vec<u32> {
        let (wall, steady) = (SystemTime::UNIX_EPOCH + MINUTE * 1_000_000, Instant::now());
        let mut clock = Clock::new(wall, steady, MINUTE * 60);
        let mut minutes_ahead = 0;
        let is_steady = |minute: &u32| {
            minutes_ahead += set(*minute);
            let shown = wall + MINUTE * *minute;
            let ahead = MINUTE * minutes_ahead.unsigned_abs() as u32;
            let shown = if minutes_ahead < 0 { shown - ahead } else { shown + ahead };
            clock.is_steady(shown, steady + MINUTE * *minute)
        };
        (0..minutes).filter(is_steady).collect()
    }

    #[test]
    fn a_clock_is_believed_after_an_hour() {
        assert_eq!(steady_from(63, |_| 0), [60, 61, 62]);
    }

    #[test]
    fn after_a_jump_nothing_is_believed_for_an_hour() {
        for jump in [61, 60 * 24 * 365, -61] {
            let set = |minute| if minute == 100 { jump } else { 0 };
            let expected: Vec<_> = (60..100).chain(160..200).collect();
            assert_eq!(steady_from(200, set), expected, "{jump} minutes");
        }
        // A clock that is set right in small steps is believed.
        let set = |minute| if minute == 100 { 59 } else { 0 };
        assert_eq!(steady_from(200, set), (60..200).collect::<Vec<_>>());
    }

    #[test]
    fn small_jumps_add_up() {
        let set = |minute| if minute % 10 == 0 && minute >= 100 { 20 } else { 0 };
        assert_eq!(steady_from(140, set), (60..130).collect::<Vec<_>>());
    }

    #[actix_web::test]
    async fn steps_are_taken_until_nothing_is_left() {
        let left = Cell::new(3);
        let step = async || {
            left.set(left.get() - 1);
            Ok(left.get())
        };
        assert_eq!(in_steps(step).await.unwrap(), 3);
    }
}
