//! How leniently what somebody has sent is read as the kind that an attribute has.

use std::borrow::Cow;

use crate::attribute::{Kind, Value};
use crate::customer::CustomerId;
use crate::rule::Rule;
use crate::text::trim;
use crate::timestamp::Timestamp;

/// A value as it was sent, before anybody knows what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A number exactly as it was written.
    Number(&'a str),
    /// Text, untrimmed.
    Text(&'a str),
    /// What no attribute takes: an array, an object, a file.
    Other,
}

impl Sent<'_> {
    /// Trimmed; null where nothing is left.
    fn trimmed(self) -> Self {
        match self {
            Self::Text(text) => match trim(text) {
                "" => Self::Null,
                text => Self::Text(text),
            },
            sent => sent,
        }
    }

    /// Whether it is null, or text of which nothing is left when it is trimmed.
    pub fn is_nothing(self) -> bool {
        self.trimmed() == Sent::Null
    }
}

/// Reads what was sent as a value of this kind. Text is trimmed, and nothing is left of it means
/// null.
///
/// # Errors
///
/// The rule that says of which kind the value must be, or which limit of 32 bits it is beyond.
pub fn read(kind: Kind, sent: Sent<'_>) -> Result<Value<'_>, Rule> {
    let sent = sent.trimmed();
    if sent == Sent::Null {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Text { .. } | Kind::Lines { .. } | Kind::Emails | Kind::Account => match sent {
            Sent::Text(text) | Sent::Number(text) => Ok(Value::Text(text.into())),
            _ => Err(kind.rule()),
        },
        Kind::Integer { min } => in_range(&integer(sent).ok_or(Rule::Integer)?, min),
        Kind::Boolean => boolean(sent).map(Value::Boolean).ok_or(Rule::Boolean),
    }
}

/// The id that was sent, if any.
///
/// # Errors
///
/// [`Rule::Integer`] where it is none that a customer can have.
pub fn id(sent: Sent<'_>) -> Result<Option<CustomerId>, Rule> {
    match sent.trimmed() {
        Sent::Null => Ok(None),
        sent => {
            let number = integer(sent).and_then(|digits| digits.parse().ok());
            number.and_then(CustomerId::new).map(Some).ok_or(Rule::Integer)
        }
    }
}

/// The moment that was sent, if any: an RFC 3339 time, which is in UTC where it has no offset, or a
/// date, which begins at midnight UTC.
///
/// # Errors
///
/// [`Rule::Time`].
pub fn time(sent: Sent<'_>) -> Result<Option<Timestamp>, Rule> {
    match sent.trimmed() {
        Sent::Null => Ok(None),
        Sent::Text(text) => {
            let in_utc = || format!("{text}Z").parse().ok();
            let time = Timestamp::of_date(text).or_else(|| text.parse().ok()).or_else(in_utc);
            time.map(Some).ok_or(Rule::Time)
        }
        _ => Err(Rule::Time),
    }
}

/// Whether the text is a whole number as it is usually written: `-?(0|[1-9][0-9]*)`.
pub fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

fn boolean(sent: Sent<'_>) -> Option<bool> {
    let text = match sent {
        Sent::Boolean(boolean) => return Some(boolean),
        Sent::Number(digit @ ("0" | "1")) => digit,
        Sent::Text(text) => text,
        _ => return None,
    };
    let is_any_of = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_any_of(["true", "1", "on", "yes"]) {
        Some(true)
    } else {
        is_any_of(["false", "0", "off", "no"]).then_some(false)
    }
}

/// A whole number as it is usually written, however it was: `3.0` is `3`. One that 64 bits do not
/// hold is another that they do not hold either.
fn integer(sent: Sent<'_>) -> Option<Cow<'_, str>> {
    match sent {
        Sent::Text(text) => is_integer(text).then_some(text.into()),
        Sent::Number(number) if is_integer(number) => Some(number.into()),
        Sent::Number(number) => whole(number).map(Cow::Owned),
        _ => None,
    }
}

/// A JSON number whose value is whole: `3.0`, `30e-1`.
///
/// By its digits, because a float would round and an exponent of a million must not cost anything.
fn whole(number: &str) -> Option<String> {
    let sign = if number.starts_with('-') { "-" } else { "" };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".into());
    }
    // The value is the significant digits times ten to the power of this.
    let zeros = (digits.len() - significant.len()) as i64 - fraction.len() as i64;
    // An exponent beyond i64 is as good as the largest one.
    let limit = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let power = exponent.parse::<i64>().unwrap_or(limit).saturating_add(zeros);
    if power < 0 {
        return None;
    }
    // Twenty digits are beyond 64 bits already.
    let zeros = "0".repeat(power.min(20) as usize);
    Some(format!("{sign}{significant}{zeros}"))
}

fn in_range(digits: &str, min: i32) -> Result<Value<'static>, Rule> {
    match digits.parse() {
        Ok(number) => Ok(Value::Integer(number)),
        Err(_) if digits.starts_with('-') => Err(Rule::Min(min)),
        Err(_) => Err(Rule::Max(i32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Kind = Kind::Text { min_chars: 0, max_chars: 255 };
    const INTEGER: Kind = Kind::Integer { min: 1 };

    fn number(kind: Kind, number: &str) -> Result<Value<'static>, Rule> {
        match read(kind, Sent::Number(number))? {
            Value::Text(text) => Ok(Value::Text(text.into_owned().into())),
            Value::Integer(number) => Ok(Value::Integer(number)),
            Value::Boolean(boolean) => Ok(Value::Boolean(boolean)),
            Value::Null => Ok(Value::Null),
        }
    }

    fn integer_text(text: &str) -> Result<i32, Rule> {
        match read(INTEGER, Sent::Text(text))? {
            Value::Integer(number) => Ok(number),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_number_where_text_is_meant_stays_as_it_was_written() {
        for written in ["83210", "1.50", "1e3", "-0", "123456789012345678901234567890"] {
            assert_eq!(number(TEXT, written), Ok(Value::Text(written.into())));
        }
        assert_eq!(read(TEXT, Sent::Boolean(true)), Err(Rule::Text));
        assert_eq!(read(TEXT, Sent::Other), Err(Rule::Text));
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way() {
        for (written, value) in [
            ("3", 3),
            ("3.0", 3),
            ("3e0", 3),
            ("30e-1", 3),
            ("0.03E+2", 3),
            ("-0", 0),
            ("0e999999999999999999999", 0),
            ("0.000e-5", 0),
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
            ("2147483647.000", i32::MAX),
            ("100000000000e-11", 1),
        ] {
            assert_eq!(number(INTEGER, written), Ok(Value::Integer(value)), "{written}");
        }
        for written in ["3.5", "1e-1", "0.1", "1e-999999999999999999999", "10.01e1"] {
            assert_eq!(number(INTEGER, written), Err(Rule::Integer), "{written}");
        }
        for written in ["2147483648", "1e10", "1e999999999999999999999", "9e18446744073709551616"] {
            assert_eq!(number(INTEGER, written), Err(Rule::Max(i32::MAX)), "{written}");
        }
        assert_eq!(number(INTEGER, "-2147483649"), Err(Rule::Min(1)));
        assert_eq!(number(INTEGER, "-1e99"), Err(Rule::Min(1)));
    }

    #[test]
    fn text_is_an_integer_only_in_its_plain_form() {
        assert_eq!(integer_text(" 42\u{a0}"), Ok(42));
        assert_eq!(integer_text("-0"), Ok(0));
        for text in ["042", "+1", "1.0", "1e0", "--1", "-", "٣", "0x1", "1 2"] {
            assert_eq!(integer_text(text), Err(Rule::Integer), "{text}");
        }
        assert_eq!(integer_text("99999999999999999999"), Err(Rule::Max(i32::MAX)));
        assert_eq!(integer_text("-99999999999999999999"), Err(Rule::Min(1)));
        assert_eq!(read(INTEGER, Sent::Boolean(true)), Err(Rule::Integer));
    }

    #[test]
    fn booleans_have_many_names() {
        for text in ["true", "TRUE", "1", "on", "On", "yes", " YES "] {
            assert_eq!(read(Kind::Boolean, Sent::Text(text)), Ok(Value::Boolean(true)));
        }
        for text in ["false", "False", "0", "off", "no"] {
            assert_eq!(read(Kind::Boolean, Sent::Text(text)), Ok(Value::Boolean(false)));
        }
        assert_eq!(number(Kind::Boolean, "1"), Ok(Value::Boolean(true)));
        assert_eq!(number(Kind::Boolean, "0"), Ok(Value::Boolean(false)));
        for text in ["2", "y", "vrai", "truee"] {
            assert_eq!(read(Kind::Boolean, Sent::Text(text)), Err(Rule::Boolean));
        }
        assert_eq!(number(Kind::Boolean, "1.0"), Err(Rule::Boolean));
    }

    #[test]
    fn an_id_may_be_written_in_any_way_or_left_out() {
        for number in ["9007199254740991", "9007199254740991.0", "9.007199254740991e15"] {
            assert_eq!(id(Sent::Number(number)), Ok(Some(CustomerId::MAX)), "{number}");
        }
        assert_eq!(id(Sent::Text(" 9007199254740991 ")), Ok(Some(CustomerId::MAX)));
        assert_eq!((id(Sent::Text(" ")), id(Sent::Null)), (Ok(None), Ok(None)));
        for number in ["9007199254740992", "0", "-1", "9007199254740991.5", "9007199254740991e20"] {
            assert_eq!(id(Sent::Number(number)), Err(Rule::Integer), "{number}");
            assert_eq!(id(Sent::Text(number)), Err(Rule::Integer), "{number}");
        }
        for other in [Sent::Boolean(true), Sent::Other] {
            assert_eq!(id(other), Err(Rule::Integer));
        }
    }

    #[test]
    fn a_time_may_be_left_out() {
        let at = Timestamp::of_date("2026-08-04");
        assert!(at.is_some());
        for text in [" 2026-08-04 ", "2026-08-04 00:00:00", "2026-08-04T02:00:00.000000+02:00"] {
            assert_eq!(time(Sent::Text(text)), Ok(at), "{text}");
        }
        assert_eq!((time(Sent::Text("")), time(Sent::Null)), (Ok(None), Ok(None)));
        // The last moment is what is told of.
        let last = Rule::Time.to_string();
        let last = last.rsplit(' ').next().unwrap_or_default();
        assert!(matches!(time(Sent::Text(last)), Ok(Some(_))), "{last}");
        assert_eq!(time(Sent::Text("9999-12-31")), Err(Rule::Time));
        for other in [Sent::Text("4/8/2026"), Sent::Number("20260804"), Sent::Boolean(true)] {
            assert_eq!(time(other), Err(Rule::Time));
        }
    }

    #[test]
    fn nothing_but_white_space_is_null_for_every_kind() {
        let lines = Kind::Lines { max_chars: 9 };
        for kind in [TEXT, lines, Kind::Emails, Kind::Account, INTEGER, Kind::Boolean] {
            assert_eq!(read(kind, Sent::Text(" \u{feff}\t")), Ok(Value::Null));
            assert_eq!(read(kind, Sent::Null), Ok(Value::Null));
        }
    }
}
