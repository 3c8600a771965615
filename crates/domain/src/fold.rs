//! How text is folded, so that case, accents and ligatures do not tell it apart: what customers are
//! searched, filtered and sorted by.

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// The version of [`fold`]. Whoever stores folded text stores this beside it, and folds again what
/// was folded by another version: a newer Unicode is one.
pub const FOLD_VERSION: i32 = 1;

/// The text without what search does not look at: in normal form KD without marks, fully case-folded
/// (statuses C and F of CaseFolding.txt), and `æ œ ø ł đ þ` as `ae oe o l d th`.
///
/// `Société` and `SOCIETE` fold to `societe`, `Œuvre` to `oeuvre`, `Straße` to `strasse`. Folding
/// twice is folding once.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // What folding the case makes of a letter can be taken apart again: `ẛ̣` is a long s to begin with.
    let folded = unmarked(&CaseMapper::new().fold_string(&unmarked(text)));
    let mut plain = String::with_capacity(folded.len());
    for c in folded.chars() {
        match c {
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ø' => plain.push('o'),
            'ł' => plain.push('l'),
            'đ' => plain.push('d'),
            'þ' => plain.push_str("th"),
            c => plain.push(c),
        }
    }
    plain
}

/// The text in normal form KD without its marks (general category M).
fn unmarked(text: &str) -> String {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    let is_mark = |c: &char| GeneralCategoryGroup::Mark.contains(categories.get(*c));
    decomposed.chars().filter(|c| !is_mark(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_accents_and_ligatures_do_not_tell_text_apart() {
        for (text, folded) in [
            ("Société Générale", "societe generale"),
            ("SOCIE\u{301}TE\u{301}", "societe"),
            ("Œuvre à cœur", "oeuvre a coeur"),
            ("Ærø Þór Łódź Đặng", "aero thor lodz dang"),
            ("Straße ẞ", "strasse ss"),
            ("ﬃ ﬁn", "ffi fin"),
            ("Ａｂ１", "ab1"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("İstanbul ı", "istanbul ı"),
            ("50 % \"a_b\" l'été", "50 % \"a_b\" l'ete"),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for c in (0..=0x10FFFF).filter_map(char::from_u32) {
            let once = fold(&format!("a{c}z"));
            assert_eq!(fold(&once), once, "U+{:04X}", c as u32);
        }
    }
}
