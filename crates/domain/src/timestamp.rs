//! Moments in time.

use std::fmt;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;

/// A moment in UTC, to the microsecond: what both databases hold, so that what is read back is
/// equal to what was written.
///
/// Shown as RFC 3339 with six decimals, `2026-08-04T10:42:27.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// This moment by the system's clock, cut to the microsecond.
    pub fn now() -> Self {
        Self::from_micros(jiff::Timestamp::now().as_microsecond())
            .expect("a clock within the range of Timestamp")
    }

    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// The earliest moment, 0001-01-01T00:00:00Z: RFC 3339 writes no year before 0, and many clients read
    /// none before 1.
    pub const MIN: Self = Self(jiff::Timestamp::constant(-62_135_596_800, 0));

    /// The latest moment, 9999-12-30T22:00:00Z.
    pub const MAX: Self = Self(jiff::Timestamp::constant(253_402_207_200, 0));

    /// Returns the moment that is this number of microseconds after 1970-01-01T00:00:00Z; `None` before
    /// [`Timestamp::MIN`] and after [`Timestamp::MAX`].
    pub fn from_micros(micros: i64) -> Option<Self> {
        let is_readable = (Self::MIN.as_micros()..=Self::MAX.as_micros()).contains(&micros);
        is_readable.then(|| jiff::Timestamp::from_microsecond(micros).ok().map(Self))?
    }

    /// The same, but the nearest moment there is where this one is out of range.
    pub fn nearest_to_micros(micros: i64) -> Self {
        let nearest = micros.clamp(Self::MIN.as_micros(), Self::MAX.as_micros());
        Self::from_micros(nearest).unwrap_or(Self::UNIX_EPOCH)
    }

    /// Midnight in UTC of a date such as `2026-08-04`; `None` where it is written in another way, or
    /// there is no such day.
    pub fn of_date(text: &str) -> Option<Self> {
        let is_date = text.len() == 10
            && text.bytes().enumerate().all(|(at, b)| match at {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        is_date.then(|| format!("{text}T00:00:00Z").parse().ok())?
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn as_micros(self) -> i64 {
        self.0.as_microsecond()
    }

    /// Writes it, as it is shown, behind what is there: quicker than through a formatter.
    pub fn append_to(self, text: &mut Vec<u8>) {
        PRINTER.print_timestamp(&self.0, text).expect("a vector takes all");
    }

    /// The moment so much later; [`Timestamp::MAX`] where that is too far.
    pub fn saturating_add(self, duration: std::time::Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::nearest_to_micros(self.as_micros().saturating_add(micros))
    }
}

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PRINTER.print_timestamp(&self.0, StdFmtWrite(f)).map_err(|_| fmt::Error)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339, from [`Timestamp::MIN`] to [`Timestamp::MAX`]; what is finer than a microsecond is cut off.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        Self::from_micros(time.as_microsecond()).ok_or(InvalidTimestamp)
    }
}

/// The text is not an RFC 3339 time, or one out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-08-04T10:42:27.000000Z")]
pub struct InvalidTimestamp;

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Timestamp;

    #[test]
    fn is_shown_with_six_decimals() {
        let time = Timestamp::from_micros(1_785_840_147_000_000).unwrap();
        assert_eq!(time.to_string(), "2026-08-04T10:42:27.000000Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(Timestamp::from_micros(-1).unwrap().to_string(), "1969-12-31T23:59:59.999999Z");
        let mut text = b"at ".to_vec();
        time.append_to(&mut text);
        assert_eq!(text, b"at 2026-08-04T10:42:27.000000Z");
    }

    #[test]
    fn has_no_more_than_a_microsecond() {
        let cut: Timestamp = "2026-08-04T10:42:27.123456789+02:00".parse().unwrap();
        assert_eq!(cut.to_string(), "2026-08-04T08:42:27.123456Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn every_moment_that_is_made_can_be_read_back() {
        let later = Timestamp::MAX.saturating_add(Duration::from_micros(1));
        assert_eq!(later, Timestamp::MAX);
        assert_eq!(Timestamp::now().saturating_add(Duration::MAX), Timestamp::MAX);
        for (last, text) in [
            (Timestamp::MAX, "9999-12-30T22:00:00.000000Z"),
            (Timestamp::MIN, "0001-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(last.to_string(), text);
            assert_eq!(text.parse(), Ok(last));
            assert_eq!(Timestamp::from_micros(last.as_micros()), Some(last));
        }
        for beyond in [Timestamp::MAX.as_micros() + 1, Timestamp::MIN.as_micros() - 1] {
            assert_eq!(Timestamp::from_micros(beyond), None);
        }
        assert_eq!(Timestamp::nearest_to_micros(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::nearest_to_micros(i64::MIN), Timestamp::MIN);
        for beyond in
            ["9999-12-30T22:00:00.000001Z", "9999-12-31T00:00:00Z", "0000-12-31T23:59:59Z"]
        {
            assert!(beyond.parse::<Timestamp>().is_err(), "{beyond}");
        }
    }
}
