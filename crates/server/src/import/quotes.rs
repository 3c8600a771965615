//! The quotes of CSV (RFC 4180 §2), followed byte by byte to tell where one is missing. The parser takes
//! whatever there is for text, and with it the customers of the following lines.

/// Where in a value the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end, or the first of two that stand for one.
    Quote,
}

/// Where lines end: at CR, LF, or both in this order, as the parser has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineEnds {
    was_cr: bool,
}

impl LineEnds {
    /// Whether this byte, the next one, ends a line that has not ended yet.
    pub fn see(&mut self, byte: u8) -> bool {
        let was_cr = std::mem::replace(&mut self.was_cr, byte == b'\r');
        byte == b'\r' || (byte == b'\n' && !was_cr)
    }
}

/// What has been seen of a table.
pub struct Quotes {
    separator: u8,
    place: Place,
    /// Lines that have ended.
    lines: u64,
    ends: LineEnds,
    /// The line on which the last quoted value begins.
    opened: u64,
}

impl Quotes {
    pub fn new(separator: u8) -> Self {
        Self { separator, place: Place::Start, lines: 0, ends: LineEnds::default(), opened: 0 }
    }

    /// Looks at what comes next. Where text stands behind a closing quote: how many bytes of this come
    /// before its row, as far as the row begins here, and what is wrong.
    pub fn see(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let mut row = 0;
        for (at, byte) in bytes.iter().copied().enumerate() {
            let ends = byte == self.separator || matches!(byte, b'\n' | b'\r');
            self.place = match (self.place, byte) {
                (Place::Start, b'"') => {
                    self.opened = self.lines + 1;
                    Place::Quoted
                }
                (Place::Quoted, b'"') => Place::Quote,
                (Place::Quoted, _) => Place::Quoted,
                (Place::Quote, b'"') => Place::Quoted,
                (Place::Quote, _) if !ends => {
                    let what = format!(
                        "the value that begins with a quote on line {} goes on behind a closing \
                         quote on line {}; is a quote missing, or one within it not doubled?",
                        self.opened,
                        self.lines + 1
                    );
                    return Err((row, what));
                }
                (_, _) if ends => Place::Start,
                _ => Place::Plain,
            };
            self.lines += u64::from(self.ends.see(byte));
            if self.place == Place::Start && matches!(byte, b'\n' | b'\r') {
                row = at + 1;
            }
        }
        Ok(())
    }

    /// What is wrong where the table ends here.
    pub fn end(&self) -> Result<(), String> {
        match self.place {
            Place::Quoted => Err(format!(
                "the value that begins with a quote on line {} has no closing quote",
                self.opened
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(), String> {
        let mut quotes = Quotes::new(b',');
        // In pieces, as files are read.
        for piece in text.as_bytes().chunks(3) {
            quotes.see(piece).map_err(|(_, what)| what)?;
        }
        quotes.end()
    }

    #[test]
    fn what_is_quoted_well_passes() {
        for text in [
            "a,b\n\"1\",\"2\n3\"\n",
            "\"\",\"a\"\"b\"\r\n\"\"\"\"",
            "5\" pipe,a \"b\" c\n",
            "a,\"b\"",
            "",
        ] {
            assert_eq!(read(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_missing_quote_is_told_with_its_line() {
        for (text, told) in [
            ("a,b\n1,\"2\n3,4\n", "line 2 has no closing quote"),
            ("a\r\"x\r\"y\"\r", "on line 2 goes on behind a closing quote on line 3"),
            ("a\r\n\"x\r\n\"y\"", "on line 2 goes on behind a closing quote on line 3"),
            ("a\n\"x\n\"y\"\n", "on line 2 goes on behind a closing quote on line 3"),
            ("\"a\"b\n", "on line 1 goes on behind a closing quote on line 1"),
        ] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.contains(told), "{wrong}");
        }
    }

    #[test]
    fn the_rows_before_are_told_apart() {
        let mut quotes = Quotes::new(b',');
        let (before, _) = quotes.see(b"a,b\n1,2\n3,\"4\"5\n").unwrap_err();
        assert_eq!(before, "a,b\n1,2\n".len());
    }
}
