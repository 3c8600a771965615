//! The account that identifies a customer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use crate::attribute::broken_by_text;
use crate::customer::CustomerId;
use crate::rule::Rule;
use crate::text::trim;

/// The most characters of an account.
const MAX_CHARS: u64 = 255;

/// A customer's account as its owner wrote it, trimmed.
///
/// 1 to 255 characters, none of them a control character (category Cc), a format character (Cf) or
/// U+2028/2029, and neither `.` nor `..`. Two accounts are the same if their [keys](AccountKey)
/// are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct CustomerAccount(String);

impl CustomerAccount {
    /// The account that is written so.
    ///
    /// # Errors
    ///
    /// The first [`Rule`] that the text breaks.
    pub fn new(text: &str) -> Result<Self, Rule> {
        trim(text).to_owned().try_into()
    }

    /// Every rule that the text breaks as an account; none where it is one.
    pub fn broken(text: &str) -> Vec<Rule> {
        let text = trim(text);
        let mut broken = broken_by_text(text, 1, MAX_CHARS);
        if matches!(text, "." | "..") {
            broken.push(Rule::DotSegment);
        }
        if !text.is_ascii() && text.chars().any(is_invisible) {
            broken.push(Rule::FormatCharacter);
        }
        broken
    }

    /// The account as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is looked up by.
    pub fn key(&self) -> AccountKey {
        AccountKey(key(&self.0))
    }
}

impl fmt::Display for CustomerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CustomerAccount {
    type Error = Rule;

    /// The same as [`CustomerAccount::new`], for text that is not needed any more.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_plain(&text) {
            return Ok(Self(text));
        }
        match Self::broken(&text).first() {
            Some(rule) => Err(*rule),
            None if trim(&text).len() == text.len() => Ok(Self(text)),
            None => Ok(Self(trim(&text).to_owned())),
        }
    }
}

impl From<CustomerAccount> for String {
    fn from(account: CustomerAccount) -> Self {
        account.0
    }
}

/// What accounts are told apart by: their full Unicode case folding (statuses C and F of
/// CaseFolding.txt, not the Turkic ones), in normal form C.
///
/// `CL9000` and `cl9000` have the same key, and so have `STRASSE` and `straße`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey(String);

impl AccountKey {
    /// The key as it is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<AccountKey> for String {
    fn from(key: AccountKey) -> Self {
        key.0
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What texts are told apart by whose case and composition do not matter: see [`AccountKey`].
pub(crate) fn key(text: &str) -> String {
    fold(&normalize(text))
}

fn normalize(text: &str) -> std::borrow::Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(trim(text))
}

fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = CaseMapper::new().fold_string(text);
    ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

/// Whether no rule needs to be looked at, as with nearly all accounts: each that is read from a database
/// becomes one again.
fn is_plain(text: &str) -> bool {
    (1..=MAX_CHARS as usize).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
        || CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::Format
}

/// How accounts are made for customers that come without one: a prefix and a number, padded with
/// zeros to a width that it may outgrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNumbering {
    prefix: String,
    width: usize,
}

/// Ids stay below 2^53, so numbers stay below 2^60: 19 digits.
const MAX_RANGE_BITS: u32 = 59;

/// The most digits that a number is padded to.
const MAX_WIDTH: usize = 20;

impl AccountNumbering {
    /// Numbers behind this prefix (up to 200 characters), padded to this width (up to 20 digits).
    ///
    /// # Errors
    ///
    /// [`InvalidNumbering`] where that would not always make an account.
    pub fn new(prefix: &str, width: usize) -> Result<Self, InvalidNumbering> {
        // A letter is put behind it so that a space at the end of the prefix is kept.
        let prefix = normalize(&format!("{prefix}0")).strip_suffix('0').map(str::to_owned);
        let prefix = prefix.filter(|prefix| prefix.chars().count() <= 200);
        let numbering = Self { prefix: prefix.ok_or(InvalidNumbering::Prefix)?, width };
        if width > MAX_WIDTH {
            return Err(InvalidNumbering::Width);
        }
        match CustomerAccount::new(&format!("{}0", numbering.prefix)) {
            Ok(_) => Ok(numbering),
            Err(_) => Err(InvalidNumbering::Prefix),
        }
    }

    /// The accounts to try for the customer of this id, until one is free: first the one of the id,
    /// then such of random numbers above it.
    ///
    /// The numbers are drawn from a range that grows sixteenfold with each, so that a free one is
    /// found within a few tries even where a hundred thousand in a row are taken, and by chance, so
    /// that nobody can take beforehand all that will be tried.
    pub fn candidates(&self, id: CustomerId) -> impl Iterator<Item = CustomerAccount> + '_ {
        let id = id.get().unsigned_abs();
        let above = (1..).map(move |attempt: u32| {
            let range = 1 << (4 * attempt).min(MAX_RANGE_BITS);
            id + 1 + RandomState::new().hash_one(attempt) % range
        });
        std::iter::once(id).chain(above).map(|number| self.account(number))
    }

    /// The number of an account that could be made here.
    pub fn number(&self, account: &CustomerAccount) -> Option<u64> {
        let (of_zero, key) = (key(&format!("{}0", self.prefix)), account.key());
        let number = key.as_str().strip_prefix(of_zero.strip_suffix('0')?)?.parse().ok()?;
        (self.account(number).key() == key).then_some(number)
    }

    /// The account of this number.
    pub fn account(&self, number: u64) -> CustomerAccount {
        CustomerAccount(format!("{}{number:0width$}", self.prefix, width = self.width))
    }
}

/// `CL` and six digits.
impl Default for AccountNumbering {
    fn default() -> Self {
        Self { prefix: "CL".into(), width: 6 }
    }
}

/// Why no accounts can be made in such a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumbering {
    /// The prefix holds what an account may not hold, or is too long.
    #[error(
        "the account prefix must be at most 200 characters, none of them a control or invisible one"
    )]
    Prefix,
    /// The width is over 20 digits.
    #[error("the account width must be at most 20 digits")]
    Width,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        CustomerAccount::new(text).unwrap().key().0
    }

    #[test]
    fn case_and_composition_do_not_tell_accounts_apart() {
        assert_eq!(key("CL9000"), key("cl9000"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("Société"), key("SOCIE\u{301}TE\u{301}"));
        assert_eq!(key("ΣΊΣΥΦΟΣ"), key("σίσυφος"));
        // Not Turkic: the dotted and the dotless i stay apart.
        assert_ne!(key("I"), key("ı"));
        assert_eq!(key("I"), key("i"));
        assert_ne!(key("é"), key("e"));
    }

    #[test]
    fn keys_are_in_normal_form_c_even_where_folding_takes_them_out_of_it() {
        // U+0345 folds to ι, U+1E9E to ss, ﬃ to ffi; folding ǰ̣ leaves marks to be reordered.
        for text in ["α\u{345}", "ẞ", "ﬃ", "ǰ\u{323}", "İ\u{323}", "\u{390}\u{345}"] {
            let key = key(text);
            let nfc = ComposingNormalizerBorrowed::new_nfc().normalize(&key).into_owned();
            assert_eq!(key, nfc);
            assert_eq!(fold(&key), key, "{text} folds again to something else");
        }
    }

    #[test]
    fn an_account_is_kept_as_it_was_written() {
        assert_eq!(CustomerAccount::new(" a/B c%é? \u{feff}").unwrap().as_str(), "a/B c%é?");
        assert_eq!(CustomerAccount::new("☎️ 📞").unwrap().as_str(), "☎️ 📞");
        assert_eq!(CustomerAccount::new("Zoe\u{301}").unwrap().as_str(), "Zoe\u{301}");
        assert_eq!(key("Zoe\u{301}"), key("ZOÉ"));
    }

    #[test]
    fn plain_accounts_break_no_rule() {
        for byte in 0..128 {
            for text in [char::from(byte).to_string(), char::from(byte).to_string().repeat(255)] {
                assert!(!is_plain(&text) || CustomerAccount::broken(&text).is_empty(), "{text}");
            }
        }
        assert!(is_plain("CL-1"));
        assert!(!is_plain("") && !is_plain(&"x".repeat(256)) && !is_plain(".."));
    }

    #[test]
    fn what_nobody_can_see_is_refused() {
        let broken = |text: &str| CustomerAccount::new(text).unwrap_err();
        assert_eq!(broken("a\u{200B}b"), Rule::FormatCharacter);
        assert_eq!(broken("a\u{AD}b"), Rule::FormatCharacter);
        assert_eq!(broken("a\u{2028}b"), Rule::FormatCharacter);
        assert_eq!(broken("a\tb"), Rule::ControlCharacter);
        assert_eq!(broken("a\u{0}b"), Rule::ControlCharacter);
        assert_eq!(broken(" \u{200B} "), Rule::Required);
        assert_eq!(broken("."), Rule::DotSegment);
        assert_eq!(broken(" .. "), Rule::DotSegment);
        assert_eq!(broken(&"é".repeat(256)), Rule::MaxChars(255));
        assert!(CustomerAccount::new(&"é".repeat(255)).is_ok());
    }

    #[test]
    fn numbers_are_padded_and_may_outgrow_the_width() {
        let numbering = AccountNumbering::default();
        assert_eq!(numbering.account(123).as_str(), "CL000123");
        assert_eq!(numbering.account(12_345_678).as_str(), "CL12345678");
        let numbering = AccountNumbering::new(" Kunde ", 3).unwrap();
        assert_eq!(numbering.account(7).as_str(), "Kunde 007");
        for (account, number) in [
            ("kunde 007", Some(7)),
            ("Kunde 1234", Some(1234)),
            ("Kunde 07", None),
            ("Kunde +07", None),
            ("Kunde ", None),
            ("007", None),
        ] {
            let account = CustomerAccount::new(account).unwrap();
            assert_eq!(numbering.number(&account), number, "{account}");
        }
        assert!(AccountNumbering::new("a\u{0}", 6).is_err());
        assert!(AccountNumbering::new("", 0).is_ok());
        assert!(AccountNumbering::new(&"x".repeat(201), 6).is_err());
        assert!(AccountNumbering::new("CL", 21).is_err());
    }

    #[test]
    fn the_id_is_tried_first_and_a_free_number_is_found_past_any_crowd() {
        let numbering = AccountNumbering::default();
        let id = CustomerId::new(7).unwrap();
        let taken = |account: &CustomerAccount| {
            account.as_str()[2..].parse::<u64>().is_ok_and(|number| number <= 100_000)
        };
        assert_eq!(numbering.candidates(id).next().unwrap().as_str(), "CL000007");
        let tries = numbering.candidates(id).take_while(taken).count();
        assert!((1..40).contains(&tries), "{tries} tries");
        // Whatever the attempt, the number stays one.
        for account in numbering.candidates(CustomerId::MAX).take(200) {
            assert!(account.as_str().len() <= 21);
        }
    }

    #[test]
    fn made_accounts_keep_the_rules_of_all_accounts() {
        let numbering = AccountNumbering::new(&"é".repeat(200), 20).unwrap();
        let made = numbering.account(u64::MAX);
        assert_eq!(CustomerAccount::new(made.as_str()), Ok(made));
    }
}
