//! How phone numbers are compared, however they are written.

use crate::fold::fold;

/// The digits by which a phone number is compared: without a leading `00`, `+` or `0`.
///
/// `+33 6 02 03 04 05` and `0602030405` [match](PhoneDigits::matches), because one ends with the
/// other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneDigits(String);

/// Numbers that are shorter match only their equals.
const MIN_SUFFIX: usize = 8;

/// What has more digits is no number: E.164 has no more than 15, and a prefix to dial out may stand
/// before them.
const MAX_DIGITS: usize = 20;

impl PhoneDigits {
    /// The digits in a text; `None` where it has none, nothing but zeros that lead nowhere, or more
    /// than 20.
    pub fn of(text: &str) -> Option<Self> {
        let digits: String = fold(text).chars().filter(char::is_ascii_digit).collect();
        let digits = digits.strip_prefix("00").or(digits.strip_prefix('0')).unwrap_or(&digits);
        (1..=MAX_DIGITS).contains(&digits.len()).then(|| Self(digits.to_owned()))
    }

    /// The digits in a text that holds nothing but digits and what people put between them.
    pub fn of_number(text: &str) -> Option<Self> {
        let is_of_number =
            |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-./()".contains(c);
        Self::of(text).filter(|_| text.chars().all(is_of_number))
    }

    /// The digits from the last to the first, so that what ends alike begins alike.
    pub fn reversed(&self) -> String {
        self.0.chars().rev().collect()
    }

    /// What the [reversed](Self::reversed) digits of a shorter number must be equal to, or these
    /// themselves, to match.
    pub fn reversed_ends(&self) -> Vec<String> {
        let reversed = self.reversed();
        let shortest = MIN_SUFFIX.min(reversed.len());
        (shortest..=reversed.len()).map(|length| reversed[..length].to_owned()).collect()
    }

    /// Whether longer numbers match that end with this one.
    pub fn is_suffix(&self) -> bool {
        self.0.len() >= MIN_SUFFIX
    }

    /// Whether they are the same, or the shorter, of at least 8 digits, ends the longer.
    pub fn matches(&self, other: &Self) -> bool {
        let ends = |long: &Self, short: &Self| short.is_suffix() && long.0.ends_with(&short.0);
        self == other || ends(self, other) || ends(other, self)
    }
}

#[cfg(test)]
mod tests {
    use super::PhoneDigits;

    fn digits(text: &str) -> PhoneDigits {
        PhoneDigits::of(text).unwrap()
    }

    #[test]
    fn a_number_is_the_same_with_and_without_its_country() {
        for text in ["+33602030405", "0033 6 02 03 04 05", "06.02.03.04.05", "602030405"] {
            assert!(digits(text).matches(&digits("06 02 03 04 05")), "{text}");
        }
        assert!(!digits("0602030406").matches(&digits("+33602030405")));
    }

    #[test]
    fn short_numbers_match_their_equals_only() {
        assert!(digits("3900").matches(&digits("3900")));
        assert!(!digits("2030405").matches(&digits("0602030405")));
        assert!(digits("02030405 6").matches(&digits("6020304056")));
    }

    #[test]
    fn what_has_no_digits_is_no_number() {
        assert_eq!(PhoneDigits::of("ask at the desk"), None);
        assert_eq!(PhoneDigits::of("00"), None);
        assert_eq!(PhoneDigits::of(&"1".repeat(21)), None);
        assert_eq!(PhoneDigits::of_number("a602030405"), None);
        assert_eq!(PhoneDigits::of_number("(06) 02-03/04.05"), Some(digits("602030405")));
    }

    #[test]
    fn the_ends_to_look_up_are_those_that_match() {
        let ends = digits("33602030405").reversed_ends();
        assert_eq!(ends.first().map(String::as_str), Some("50403020"));
        assert_eq!(ends.last().map(String::as_str), Some("50403020633"));
        assert_eq!(ends.len(), 4);
        assert_eq!(digits("3900").reversed_ends(), ["0093"]);
    }
}
