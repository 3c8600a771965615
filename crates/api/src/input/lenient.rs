//! How leniently a value is read as the kind that an attribute has.

use std::borrow::Cow;

use customers_domain::text::trim;
use customers_domain::{CustomerId, Kind, Rule, Value};

use super::Raw;

/// Reads what was sent as a value of this kind. Text is trimmed, and nothing is left of it means
/// null.
///
/// # Errors
///
/// The rule that says of which kind the value must be, or which limit of 32 bits it is beyond.
pub(crate) fn read(kind: Kind, raw: &Raw) -> Result<Value<'_>, Rule> {
    let raw = trimmed(raw);
    if raw == Trimmed::Nothing {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Text { .. } | Kind::Lines { .. } | Kind::Emails | Kind::Account => match raw {
            Trimmed::Text(text) | Trimmed::Number(text) => Ok(Value::Text(text.into())),
            _ => Err(kind.rule()),
        },
        Kind::Integer { min } => in_range(&integer(raw).ok_or(Rule::Integer)?, min),
        Kind::Boolean => boolean(raw).map(Value::Boolean).ok_or(Rule::Boolean),
    }
}

/// Whether what was sent is this id, or nothing.
pub(crate) fn is_id_or_nothing(raw: &Raw, id: CustomerId) -> bool {
    match trimmed(raw) {
        Trimmed::Nothing => true,
        raw => integer(raw).is_some_and(|digits| digits.parse() == Ok(id.get())),
    }
}

/// Whether the text is a whole number as it is usually written: `-?(0|[1-9][0-9]*)`.
pub(crate) fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trimmed<'a> {
    Nothing,
    Text(&'a str),
    Number(&'a str),
    Boolean(bool),
    Other,
}

fn trimmed(raw: &Raw) -> Trimmed<'_> {
    match raw {
        Raw::Null => Trimmed::Nothing,
        Raw::Text(text) => match trim(text) {
            "" => Trimmed::Nothing,
            text => Trimmed::Text(text),
        },
        Raw::Number(number) => Trimmed::Number(number),
        Raw::Boolean(boolean) => Trimmed::Boolean(*boolean),
        Raw::Composite | Raw::File => Trimmed::Other,
    }
}

fn boolean(raw: Trimmed<'_>) -> Option<bool> {
    let text = match raw {
        Trimmed::Boolean(boolean) => return Some(boolean),
        Trimmed::Number(digit @ ("0" | "1")) => digit,
        Trimmed::Text(text) => text,
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
fn integer(raw: Trimmed<'_>) -> Option<Cow<'_, str>> {
    match raw {
        Trimmed::Text(text) => is_integer(text).then_some(text.into()),
        Trimmed::Number(number) if is_integer(number) => Some(number.into()),
        Trimmed::Number(number) => whole(number).map(Cow::Owned),
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
        match read(kind, &Raw::Number(number.into()))? {
            Value::Text(text) => Ok(Value::Text(text.into_owned().into())),
            Value::Integer(number) => Ok(Value::Integer(number)),
            Value::Boolean(boolean) => Ok(Value::Boolean(boolean)),
            Value::Null => Ok(Value::Null),
        }
    }

    fn integer_text(text: &str) -> Result<i32, Rule> {
        match read(INTEGER, &Raw::Text(text.into()))? {
            Value::Integer(number) => Ok(number),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_number_where_text_is_meant_stays_as_it_was_written() {
        for written in ["83210", "1.50", "1e3", "-0", "123456789012345678901234567890"] {
            assert_eq!(number(TEXT, written), Ok(Value::Text(written.into())));
        }
        assert_eq!(read(TEXT, &Raw::Boolean(true)), Err(Rule::Text));
        assert_eq!(read(TEXT, &Raw::Composite), Err(Rule::Text));
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
        assert_eq!(read(INTEGER, &Raw::Boolean(true)), Err(Rule::Integer));
    }

    #[test]
    fn booleans_have_many_names() {
        for text in ["true", "TRUE", "1", "on", "On", "yes", " YES "] {
            assert_eq!(read(Kind::Boolean, &Raw::Text(text.into())), Ok(Value::Boolean(true)));
        }
        for text in ["false", "False", "0", "off", "no"] {
            assert_eq!(read(Kind::Boolean, &Raw::Text(text.into())), Ok(Value::Boolean(false)));
        }
        assert_eq!(number(Kind::Boolean, "1"), Ok(Value::Boolean(true)));
        assert_eq!(number(Kind::Boolean, "0"), Ok(Value::Boolean(false)));
        for text in ["2", "y", "vrai", "truee"] {
            assert_eq!(read(Kind::Boolean, &Raw::Text(text.into())), Err(Rule::Boolean));
        }
        assert_eq!(number(Kind::Boolean, "1.0"), Err(Rule::Boolean));
    }

    #[test]
    fn an_id_may_be_sent_back_in_any_way_or_left_out() {
        let is_id = |raw| is_id_or_nothing(&raw, CustomerId::MAX);
        for number in ["9007199254740991", "9007199254740991.0", "9.007199254740991e15"] {
            assert!(is_id(Raw::Number(number.into())), "{number}");
        }
        assert!(is_id(Raw::Text(" 9007199254740991 ".into())));
        assert!(is_id(Raw::Text(" ".into())) && is_id(Raw::Null));
        for number in ["9007199254740992", "1", "9007199254740991.5", "9007199254740991e20"] {
            assert!(!is_id(Raw::Number(number.into())), "{number}");
            assert!(!is_id(Raw::Text(number.into())), "{number}");
        }
        for other in [Raw::Boolean(true), Raw::Composite, Raw::File] {
            assert!(!is_id(other));
        }
    }

    #[test]
    fn nothing_but_white_space_is_null_for_every_kind() {
        let lines = Kind::Lines { max_chars: 9 };
        for kind in [TEXT, lines, Kind::Emails, Kind::Account, INTEGER, Kind::Boolean] {
            assert_eq!(read(kind, &Raw::Text(" \u{feff}\t".into())), Ok(Value::Null));
            assert_eq!(read(kind, &Raw::Null), Ok(Value::Null));
        }
    }
}
