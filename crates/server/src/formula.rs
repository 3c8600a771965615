//! Text in CSV that a spreadsheet would take for a formula: made harmless, and as it was again.

use std::borrow::Cow;

/// What a formula begins with, in the widths of East Asian keyboards, too; and what may stand in front
/// of one.
const BEGINNINGS: [&str; 11] = ["\t", "\r", "\n", "=", "+", "-", "@", "＝", "＋", "－", "＠"];

/// What ends a cell, for programs that take another separator than the file has: they see no quotes around
/// what follows.
const ENDS: [u8; 6] = [b',', b';', b'\t', b'|', b'\r', b'\n'];

/// The text for a cell that is shown, and never calculated: with an apostrophe in front, where it begins
/// like a formula, and in front of each part of it that does so behind a separator. So has text that begins
/// with apostrophes and goes on like that, which otherwise could not be told from it.
pub fn guarded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let guards: Vec<_> = starts(bytes).filter(|at| is_like_formula(bytes, *at)).collect();
    if guards.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut cell = String::with_capacity(text.len() + guards.len());
    let mut last = 0;
    for at in guards {
        cell.push_str(&text[last..at]);
        cell.push('\'');
        last = at;
    }
    cell.push_str(&text[last..]);
    Cow::Owned(cell)
}

/// The text of a cell as it was before it was [guarded].
pub fn as_meant(cell: &[u8]) -> Cow<'_, [u8]> {
    let is_guard = |at: &usize| cell.get(*at) == Some(&b'\'') && is_like_formula(cell, at + 1);
    // Behind a guard at the beginning comes what is at the beginning without it.
    let guards: Vec<_> = starts(cell)
        .filter(|at| match at {
            0 => cell.first() == Some(&b'\'') && is_like_formula(&cell[1..], 0),
            at => is_guard(at),
        })
        .collect();
    if guards.is_empty() {
        return Cow::Borrowed(cell);
    }
    let mut text = Vec::with_capacity(cell.len());
    let mut last = 0;
    for at in guards {
        text.extend_from_slice(&cell[last..at]);
        last = at + 1;
    }
    text.extend_from_slice(&cell[last..]);
    Cow::Owned(text)
}

/// Where a cell may begin: at the beginning of a text, and behind each separator in it.
fn starts(text: &[u8]) -> impl Iterator<Item = usize> {
    let behind = text.iter().enumerate().filter(|(_, byte)| ENDS.contains(byte));
    std::iter::once(0).chain(behind.map(|(at, _)| at + 1))
}

/// Whether a formula begins at this place in a text, behind apostrophes. Within a text quotes may stand before
/// it, too, as a program that has not seen the first one takes those off; and a tab or a line break is a
/// separator there.
fn is_like_formula(text: &[u8], at: usize) -> bool {
    let (skipped, beginnings): (&[u8], _) = match at {
        0 => (b"'", &BEGINNINGS[..]),
        _ => (b"'\"", &BEGINNINGS[3..]),
    };
    let text = &text[at..];
    let before = text.iter().take_while(|byte| skipped.contains(byte)).count();
    beginnings.iter().any(|beginning| text[before..].starts_with(beginning.as_bytes()))
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
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("\n=1", "'\n'=1"),
            ("\t\ta", "'\t\ta"),
            ("ACME;=1+41;x", "ACME;'=1+41;x"),
            ("a,+b;-c|@d\t=e\r\n=f", "a,'+b;'-c|'@d\t'=e\r\n'=f"),
            ("a;\"=1", "a;'\"=1"),
            ("a;'\"'=1", "a;''\"'=1"),
            ("a;＝1", "a;'＝1"),
            ("\"=1", "\"=1"),
            ("a; =1", "a; =1"),
            ("a;'b", "a;'b"),
            ("a;;b,", "a;;b,"),
            ("'", "'"),
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
            assert_eq!(&*as_meant(cell.as_bytes()), text.as_bytes());
        }
        // What others have not guarded, or is no UTF-8, is as it is.
        for cell in [&b"=1"[..], b"a;=1", b"+33", b"'\xE9t\xE9", b"'\xEF"] {
            assert_eq!(&*as_meant(cell), cell);
        }
        // What an earlier version has written is read as it was.
        assert_eq!(&*as_meant(b"'\t=1"), b"\t=1");
    }

    #[test]
    fn every_text_comes_back() {
        // All texts of up to six of these characters.
        let characters = ['\'', '"', '=', ';', '\t', 'a'];
        for length in 0..=6 {
            for number in 0..characters.len().pow(length) {
                let place = |at: u32| number / characters.len().pow(at) % characters.len();
                let text: String = (0..length).map(|at| characters[place(at)]).collect();
                let cell = guarded(&text);
                assert_eq!(&*as_meant(cell.as_bytes()), text.as_bytes(), "{text:?}: {cell:?}");
            }
        }
    }
}
