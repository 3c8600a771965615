//! Text in CSV that a spreadsheet would take for a formula: made harmless, and as it was again.

use std::borrow::Cow;

/// What a formula begins with, in the widths of East Asian keyboards, too; and what may stand in front
/// of one.
const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The text for a cell that is shown, and never calculated: with an apostrophe in front, where it begins
/// like a formula. So has text that begins with apostrophes and goes on like that, which otherwise could
/// not be told from it.
pub fn guarded(text: &str) -> Cow<'_, str> {
    match is_like_formula(text) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

fn is_like_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(BEGINNINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_guarded_and_nothing_else() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+33602030405", "'+33602030405"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''+", "'''+"),
            ("", ""),
            ("'", "'"),
            ("'s-Hertogenbosch", "'s-Hertogenbosch"),
            ("a=b", "a=b"),
            (" =1", " =1"),
        ] {
            assert_eq!(guarded(text), cell);
        }
    }
}
