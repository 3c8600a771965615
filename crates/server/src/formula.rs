//! Text in CSV that a spreadsheet would take for a formula: made harmless, and as it was again.

use std::borrow::Cow;

/// What a formula begins with, in the widths of East Asian keyboards, too; and what may stand in front
/// of one.
const BEGINNINGS: [&str; 11] = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"];

/// The text for a cell that is shown, and never calculated: with an apostrophe in front, where it begins
/// like a formula. So has text that begins with apostrophes and goes on like that, which otherwise could
/// not be told from it.
pub fn guarded(text: &str) -> Cow<'_, str> {
    match is_like_formula(text.as_bytes()) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

/// The text of a cell as it was before it was [guarded].
pub fn as_meant(cell: &[u8]) -> &[u8] {
    match cell.strip_prefix(b"'") {
        Some(meant) if is_like_formula(meant) => meant,
        _ => cell,
    }
}

fn is_like_formula(text: &[u8]) -> bool {
    let apostrophes = text.iter().take_while(|byte| **byte == b'\'').count();
    BEGINNINGS.iter().any(|beginning| text[apostrophes..].starts_with(beginning.as_bytes()))
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
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''+", "'''+"),
            ("", ""),
            ("'", "'"),
            ("''", "''"),
            ("'s-Hertogenbosch", "'s-Hertogenbosch"),
            ("a=b", "a=b"),
            (" =1", " =1"),
        ] {
            assert_eq!(guarded(text), cell);
            assert_eq!(as_meant(cell.as_bytes()), text.as_bytes());
        }
        // What others have not guarded, or is no UTF-8, is as it is.
        for cell in [&b"=1"[..], b"+33", b"'\xE9t\xE9", b"'\xEF"] {
            assert_eq!(as_meant(cell), cell);
        }
    }
}
