//! What happens to any text before it is looked at.

/// Characters that take no room on a screen and that copying from documents leaves at the ends of
/// a text: zero-width space, joiners, word joiner, byte order mark.
const ZERO_WIDTH: [char; 5] = ['\u{200B}', '\u{200C}', '\u{200D}', '\u{2060}', '\u{FEFF}'];

/// The text without white space (Unicode's `White_Space`, no-break spaces included), zero-width
/// characters and byte order marks at its ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ZERO_WIDTH.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::trim;

    #[test]
    fn trims_everything_that_cannot_be_seen() {
        assert_eq!(trim("\u{FEFF} \u{A0}\t\u{200B}a b\u{2003}\r\n\u{2060}\u{200D}"), "a b");
        assert_eq!(trim("\u{3000}\u{200C}"), "");
        assert_eq!(trim(".\u{301}"), ".\u{301}");
    }
}
