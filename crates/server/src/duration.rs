//! Durations as they are written on the command line.

use std::time::Duration;

/// The longest duration, in seconds: 100 years of 365 days.
const LONGEST: u64 = 36_500 * 24 * 60 * 60;

/// A number with one of the units `s m h d w`, 100 years at most.
pub fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.char_indices().last().and_then(|(at, unit)| {
        let unit = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            'w' => 7 * 24 * 60 * 60,
            _ => return None,
        };
        let digits = text[..at].bytes().all(|b| b.is_ascii_digit());
        text[..at].parse::<u64>().ok().filter(|_| digits)?.checked_mul(unit)
    });
    match seconds {
        Some(0) | None => Err("give a number and one of the units s m h d w, such as 90d".into()),
        Some(seconds) if seconds > LONGEST => Err("give no more than 36500d".into()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

/// The same, but no more than an hour: for what somebody waits for.
pub fn at_most_an_hour(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        longer if longer > Duration::from_secs(3_600) => Err("give no more than an hour".into()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(1_209_600)));
        for other in
            ["", "90", "d", "-1d", "+1d", "0d", "1.5h", "1y", "99999999999999999999w", "9é"]
        {
            assert!(duration(other).is_err(), "{other}");
        }
        assert!(duration("36500d").is_ok());
        for longer in ["36501d", "3153600001s", "3000000d", "18446744073709551615s"] {
            assert!(duration(longer).unwrap_err().contains("36500d"), "{longer}");
        }
        assert_eq!(at_most_an_hour("60m"), Ok(Duration::from_secs(3_600)));
        assert!(at_most_an_hour("3601s").is_err());
    }
}
