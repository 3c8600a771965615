//! What is searched for, and in what.

use crate::customer::Customer;
use crate::fold::fold;
use crate::phone::PhoneDigits;

/// The most hits of a search: the best so many, and a total that is exact up to here.
pub const MAX_HITS: usize = 1_000;

/// The most characters of a term.
pub const MAX_TERM_CHARS: u64 = 255;

/// The most words of a term that a search takes: each costs a look at an index.
pub const MAX_TERM_WORDS: usize = 10;

/// A word with fewer letters and digits is looked for only at the beginning of a name or account.
const LONG_WORD: usize = 3;

/// What somebody looks for: the [folded](fold) term and its words, all of which must occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTerm {
    whole: String,
    words: Vec<SearchWord>,
    number: Option<PhoneDigits>,
}

/// A word of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchWord {
    /// The word, folded.
    pub text: String,
    /// The number that it is where it looks like one; it then occurs in a customer that has a
    /// [matching](PhoneDigits::matches) number, too.
    pub number: Option<PhoneDigits>,
}

impl SearchWord {
    /// Whether it is looked for everywhere. A shorter one only narrows what a longer one finds, and
    /// without any longer one it matches the beginning of a name or of an account, as the whole term
    /// does then.
    pub fn is_long(&self) -> bool {
        self.text.chars().filter(|c| c.is_alphanumeric()).nth(LONG_WORD - 1).is_some()
    }
}

impl SearchTerm {
    /// The term that is written so; `None` where there is no word in it.
    pub fn new(text: &str) -> Option<Self> {
        let whole = fold(text).trim().to_owned();
        let word =
            |word: &str| SearchWord { text: word.to_owned(), number: PhoneDigits::of_number(word) };
        let words: Vec<_> = whole.split_whitespace().map(word).collect();
        let number = PhoneDigits::of_number(&whole).filter(|_| words.len() > 1);
        (!words.is_empty()).then_some(Self { whole, words, number })
    }

    /// The whole term, folded: what the best hits begin with.
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// Its words, at least one.
    pub fn words(&self) -> &[SearchWord] {
        &self.words
    }

    /// The number that several words make together, `06 02 03 04 05`: whoever has it is found, too.
    pub fn number(&self) -> Option<&PhoneDigits> {
        self.number.as_ref()
    }

    /// Whether any word is [long](SearchWord::is_long).
    pub fn has_long_word(&self) -> bool {
        self.words.iter().any(SearchWord::is_long)
    }
}

/// What stands between the texts that are searched, so that no word reaches from one to the next.
const SEPARATOR: &str = "\n";

impl Customer {
    /// The [folded](fold) texts in which words are looked for, each on a line of its own: name,
    /// brand, account, references, registration numbers and e-mail addresses.
    pub fn searched_text(&self) -> String {
        let texts = [
            Some(self.details.name.as_str()),
            self.details.brand.as_deref(),
            Some(self.account.as_str()),
            self.details.accounts_reference.as_deref(),
            self.details.registration_number.as_deref(),
            self.details.tax_registration_number.as_deref(),
            self.details.email_address.as_deref(),
        ];
        let folded: Vec<_> = texts.into_iter().flatten().map(fold).collect();
        folded.join(SEPARATOR)
    }

    /// The numbers that the customer is found by, each once.
    pub fn phone_digits(&self) -> Vec<PhoneDigits> {
        let texts = [&self.details.phone, &self.details.mobile_phone, &self.details.fax];
        let mut numbers: Vec<_> =
            texts.into_iter().flatten().filter_map(|text| PhoneDigits::of(text)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_its_folded_words() {
        let term = SearchTerm::new("  Société\u{a0}L' 0602030405 ").unwrap();
        let words: Vec<_> = term.words().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["societe", "l'", "0602030405"]);
        assert_eq!(
            term.words().iter().map(SearchWord::is_long).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!(term.words()[2].number, PhoneDigits::of("602030405"));
        assert_eq!(term.number(), None);
        assert_eq!(SearchTerm::new(" \u{a0}\u{301} "), None);
    }

    #[test]
    fn punctuation_does_not_make_a_word_long() {
        assert!(!SearchTerm::new("a-b.--").unwrap().has_long_word());
        assert!(SearchTerm::new("a-b.c").unwrap().has_long_word());
    }

    #[test]
    fn a_number_may_be_written_in_groups() {
        let term = SearchTerm::new("06 02 03 04 05").unwrap();
        assert_eq!(term.number(), PhoneDigits::of("0602030405").as_ref());
    }
}
