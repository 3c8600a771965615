//! In which encoding text is written: found out, and read as UTF-8.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// So much is looked at of the beginning, and read at once.
pub const SAMPLE: usize = 64 * 1024;

/// So many bytes at the beginning are taken for headings.
const HEADINGS: usize = 128;

/// A byte that UTF-8 has nowhere, in the place of what is broken in another encoding.
const NO_UTF_8: u8 = 0xFF;

/// How text is written.
#[derive(Debug, Clone, Copy)]
pub struct Encoded {
    encoding: &'static Encoding,
    has_mark: bool,
    /// How many sequences of bytes are not in this encoding.
    pub broken: u64,
}

impl fmt::Display for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.has_mark { " with a byte order mark" } else { "" };
        write!(f, "{}{mark}", self.encoding.name())
    }
}

impl Encoded {
    /// Finds out how the text of a file is written. Unless its beginning tells, it is UTF-8 where no less
    /// of it is than is not, of what is not ASCII, and Windows-1252 otherwise.
    pub fn find_out(file: &mut File) -> io::Result<Self> {
        let written = Self::beginning_like(&beginning(file)?);
        if written.encoding != UTF_8 {
            let Utf8 { broken, .. } = Utf8::of(written.read(&mut *file))?;
            file.rewind()?;
            return Ok(Self { broken, ..written });
        }
        let Utf8 { characters, broken } = Utf8::of(&mut *file)?;
        file.rewind()?;
        Ok(match written.has_mark || broken == 0 || characters >= broken {
            true => Self { broken, ..written },
            false => Self { encoding: WINDOWS_1252, ..written },
        })
    }

    /// How text is written that is in UTF-8 or UTF-16, as JSON is, and begins like this.
    pub fn beginning_like(start: &[u8]) -> Self {
        let by_mark = Encoding::for_bom(start).map(|(encoding, _)| encoding);
        let encoding = by_mark.or_else(|| utf_16_without_mark(start)).unwrap_or(UTF_8);
        Self { encoding, has_mark: by_mark.is_some(), broken: 0 }
    }

    /// Whether it is UTF-8.
    pub fn is_utf_8(&self) -> bool {
        self.encoding == UTF_8
    }

    /// The beginning of the text, without a mark.
    pub fn decode<'a>(&self, start: &'a [u8]) -> Cow<'a, str> {
        self.encoding.decode_with_bom_removal(start).0
    }

    /// Reads the text as UTF-8; what is UTF-8 as it is, with its mark. What is broken is no UTF-8 either.
    pub fn read<R: Read>(&self, input: R) -> Text<R> {
        let decoder = (!self.is_utf_8()).then(|| self.encoding.new_decoder_with_bom_removal());
        Text { input, decoder, raw: vec![0; SAMPLE], text: Vec::new(), at: 0, is_over: false }
    }
}

/// The beginning of a file, which is read from there again.
pub fn beginning(file: &mut File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut start = Vec::new();
    (&*file).take(SAMPLE as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// In UTF-16 each letter of Latin-1, digit and separator has a NUL as its upper half: most of the headings,
/// or of the names of members, with which it begins. Next to no characters have one as their lower half.
fn utf_16_without_mark(start: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = start[..start.len().min(HEADINGS)].as_chunks::<2>();
    let zeros = |half: usize| pairs.iter().filter(|pair| pair[half] == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let are_upper = |these: usize, others: usize| these * 2 > pairs.len() && others * 10 < these;
    if are_upper(second, first) {
        Some(UTF_16LE)
    } else {
        are_upper(first, second).then_some(UTF_16BE)
    }
}

/// Text of another encoding, as UTF-8; what is in UTF-8 as it is.
pub struct Text<R> {
    input: R,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    is_over: bool,
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else { return self.input.read(out) };
        while self.at == self.text.len() && !self.is_over {
            let read = self.input.read(&mut self.raw)?;
            self.is_over = read == 0;
            self.text.clear();
            self.at = 0;
            let mut raw = &self.raw[..read];
            loop {
                let there = self.text.len();
                let most = decoder.max_utf8_buffer_length(raw.len()).unwrap_or(SAMPLE * 4);
                self.text.resize(there + most, 0);
                let (result, taken, written) = decoder.decode_to_utf8_without_replacement(
                    raw,
                    &mut self.text[there..],
                    self.is_over,
                );
                self.text.truncate(there + written);
                raw = &raw[taken..];
                match result {
                    // What is broken must be told, and not be replaced.
                    DecoderResult::Malformed(..) => self.text.push(NO_UTF_8),
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => {}
                }
            }
        }
        let length = out.len().min(self.text.len() - self.at);
        out[..length].copy_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// How much of something is UTF-8.
#[derive(Debug, Default, PartialEq, Eq)]
struct Utf8 {
    /// How many characters that are not ASCII.
    characters: u64,
    /// How many sequences of bytes that are no character.
    broken: u64,
}

impl Utf8 {
    fn of(mut input: impl Read) -> io::Result<Self> {
        let mut counts = Self::default();
        let mut buffer = vec![0; SAMPLE];
        let mut left = 0;
        loop {
            let read = input.read(&mut buffer[left..])?;
            let end = left + read;
            left = 0;
            let mut at = 0;
            for chunk in buffer[..end].utf8_chunks() {
                let (valid, invalid) = (chunk.valid().as_bytes(), chunk.invalid());
                at += valid.len() + invalid.len();
                counts.characters += valid.iter().filter(|byte| **byte >= 0xC0).count() as u64;
                match std::str::from_utf8(invalid) {
                    Ok(_) => {}
                    // The beginning of a character, whose end is still to come.
                    Err(error) if error.error_len().is_none() && at == end && read > 0 => {
                        left = invalid.len();
                    }
                    Err(_) => counts.broken += 1,
                }
            }
            if read == 0 {
                return Ok(counts);
            }
            buffer.copy_within(end - left..end, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_across_the_ends_of_buffers() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "é€😀".repeat(20_000));
            let counts = Utf8::of(text.as_bytes()).expect("bytes in memory");
            assert_eq!(counts, Utf8 { characters: 60_000, broken: 0 }, "{shift}");
        }
        let counts = Utf8::of(&b"\xC3\xA9 \xE9t\xE9 \xC3"[..]).expect("bytes in memory");
        assert_eq!(counts, Utf8 { characters: 1, broken: 3 });
    }

    #[test]
    fn utf_16_is_told_without_a_mark() {
        let encode = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            text.encode_utf16().flat_map(bytes).collect()
        };
        let russian =
            format!("name,{}brand\n{}", "customerAccount,".repeat(4), "Тверь,".repeat(99));
        for text in ["name;Été\r\n", &russian, "a", "Ā,ā,b,c,d,e,f,g,h\n"] {
            for (bytes, encoding) in
                [(u16::to_le_bytes as fn(u16) -> [u8; 2], UTF_16LE), (u16::to_be_bytes, UTF_16BE)]
            {
                let bytes = encode(text, bytes);
                let written = Encoded::beginning_like(&bytes);
                assert_eq!(written.encoding, encoding, "{text}");
                assert_eq!(written.decode(&bytes), text);
            }
        }
        for bytes in [&b""[..], b"a", b"name\na\0b\n", b"\0\0\0\0", "é€😀".as_bytes()] {
            assert_eq!(Encoded::beginning_like(bytes).encoding, UTF_8, "{bytes:?}");
        }
    }
}
