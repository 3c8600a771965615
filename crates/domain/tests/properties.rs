//! What holds whatever the text: folding, accounts, phone numbers, search terms, times, and values
//! of every kind for every attribute.

use customers_domain::search::SearchTerm;
use customers_domain::text::trim;
use customers_domain::{
    ATTRIBUTES, Attribute, CustomerAccount, CustomerChanges, CustomerDetails, CustomerId,
    NewCustomer, PhoneDigits, Rule, Timestamp, Value, fold,
};
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Text in which much is combined: letters of all scripts, marks, ligatures, spaces, the invisible.
fn combined() -> impl Strategy<Value = String> {
    "[\\p{L}\\p{M}\\p{N}\\p{Z}\\p{Cf}\\p{Lt}ßſŒœŁİıΐﬃǰ\u{345}\u{301}\u{327}]{0,12}"
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), combined(), "[ -~]{0,20}"]
}

fn nfc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

fn nfd(text: &str) -> String {
    DecomposingNormalizerBorrowed::new_nfd().normalize(text).into_owned()
}

/// A number as people write it, and others.
fn number() -> impl Strategy<Value = String> {
    prop_oneof!["(\\+|00|0)?[1-9][0-9 .()/-]{0,24}", "[0-9]{0,30}", text()]
}

fn value() -> impl Strategy<Value = Result<Value<'static>, Rule>> {
    prop_oneof![
        1 => Just(Ok(Value::Null)),
        4 => text().prop_map(|text| Ok(Value::Text(text.into()))),
        2 => any::<i32>().prop_map(|number| Ok(Value::Integer(number))),
        2 => any::<bool>().prop_map(|boolean| Ok(Value::Boolean(boolean))),
        1 => Just(Err(Rule::Text)),
    ]
}

/// Values for some of the attributes, mostly of their kinds.
fn values() -> impl Strategy<Value = Vec<(&'static Attribute, Result<Value<'static>, Rule>)>> {
    let fitting = (any::<Index>(), text(), any::<i32>(), any::<bool>()).prop_map(
        |(index, text, number, boolean)| {
            let attribute = &ATTRIBUTES[index.index(ATTRIBUTES.len())];
            let value = match attribute.kind.rule() {
                Rule::Integer => Value::Integer(number),
                Rule::Boolean => Value::Boolean(boolean),
                _ => Value::Text(text.into()),
            };
            (attribute, Ok(value))
        },
    );
    let any = (any::<Index>(), value())
        .prop_map(|(index, value)| (&ATTRIBUTES[index.index(ATTRIBUTES.len())], value));
    let name = "[a-z]{1,9}"
        .prop_map(|name| (Attribute::named("name").unwrap(), Ok(Value::Text(name.into()))));
    (name, vec(prop_oneof![5 => fitting, 1 => any], 0..6)).prop_map(|(name, mut values)| {
        values.insert(0, name);
        // Nothing is given twice.
        let mut names = std::collections::HashSet::new();
        values.retain(|(attribute, _)| names.insert(attribute.name));
        values
    })
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once_and_leaves_no_mark(text in text()) {
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded), folded.clone());
        let categories = CodePointMapData::<GeneralCategory>::new();
        prop_assert!(!folded.chars().any(|c| GeneralCategoryGroup::Mark.contains(categories.get(c))));
    }

    #[test]
    fn composition_makes_no_other_text(text in combined()) {
        prop_assert_eq!(fold(&nfc(&text)), fold(&text));
        prop_assert_eq!(fold(&nfd(&text)), fold(&text));
    }

    #[test]
    fn nothing_is_left_to_trim(text in text()) {
        let trimmed = trim(&text);
        prop_assert!(text.contains(trimmed));
        prop_assert_eq!(trim(trimmed), trimmed);
    }

    #[test]
    fn an_account_is_as_it_was_written_and_its_key_folds_to_itself(text in text()) {
        let Ok(account) = CustomerAccount::new(&text) else {
            prop_assert!(!CustomerAccount::broken(&text).is_empty());
            return Ok(());
        };
        prop_assert_eq!(account.as_str(), trim(&text));
        let key = account.key();
        prop_assert_eq!(nfc(key.as_str()), key.as_str());
        prop_assert_eq!(&CustomerAccount::new(account.as_str()).unwrap().key(), &key);
        for same in [nfc(&text), nfd(&text), key.as_str().to_owned()] {
            // Taken apart or folded it may be too long.
            if let Ok(same) = CustomerAccount::new(&same) {
                prop_assert_eq!(&same.key(), &key);
            }
        }
    }

    #[test]
    fn numbers_match_where_the_end_of_one_is_the_other(a in number(), b in number(), cut in any::<Index>()) {
        for text in [&a, &b] {
            if let Some(number) = PhoneDigits::of(text) {
                prop_assert!(number.matches(&number));
                prop_assert!(number.reversed().bytes().all(|b| b.is_ascii_digit()));
            }
        }
        // One that ends with the other, now and then.
        let end: String = a.chars().skip(cut.index(a.chars().count() + 1)).collect();
        for other in [&b, &end] {
            let (Some(one), Some(other)) = (PhoneDigits::of(&a), PhoneDigits::of(other)) else { continue };
            prop_assert_eq!(one.matches(&other), other.matches(&one));
            let is_end = |long: &PhoneDigits, short: &PhoneDigits| {
                long.reversed_ends().contains(&short.reversed())
            };
            prop_assert_eq!(one.matches(&other), is_end(&one, &other) || is_end(&other, &one));
        }
    }

    #[test]
    fn a_term_is_made_of_words_that_are_folded(text in text()) {
        match SearchTerm::new(&text) {
            None => prop_assert!(fold(&text).trim().is_empty()),
            Some(term) => {
                for word in term.words() {
                    prop_assert!(!word.text.is_empty() && !word.text.contains(char::is_whitespace));
                    prop_assert!(term.whole().contains(&word.text));
                }
                prop_assert_eq!(SearchTerm::new(term.whole()), Some(term));
            }
        }
    }

    #[test]
    fn a_time_is_read_as_it_is_shown(micros in any::<i64>(), text in "[0-9TZtz:.+ -]{0,30}") {
        if let Some(time) = Timestamp::from_micros(micros % 253_402_300_799_000_000) {
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn what_is_taken_keeps_the_rules_and_is_taken_again(given in values()) {
        match NewCustomer::from_values(given.clone()) {
            Err(violations) => prop_assert!(violations.iter().next().is_some()),
            Ok(new) => {
                prop_assert_eq!(new.check().map_err(|it| it.to_string()), Ok(()));
                let account = CustomerAccount::new("CL1").unwrap();
                let account = new.account.clone().unwrap_or(account);
                let now = Timestamp::from_micros(0).unwrap();
                let customer = new.clone().into_customer(CustomerId::MIN, account, now);
                // An answer that is sent back changes nothing.
                let sent = ATTRIBUTES.iter().map(|it| (it, Ok(it.of(&customer).into_owned())));
                let mut same = customer.clone();
                CustomerChanges::from_values(sent).unwrap().apply(&mut same);
                prop_assert_eq!(same.changes_since(Some(&customer)), []);
            }
        }
    }

    #[test]
    fn changes_made_twice_are_made_once(given in values()) {
        let Ok(changes) = CustomerChanges::from_values(given) else { return Ok(()) };
        let new = NewCustomer::from(CustomerDetails { name: "A".into(), ..CustomerDetails::default() });
        let account = CustomerAccount::new("CL1").unwrap();
        let now = Timestamp::from_micros(0).unwrap();
        let before = new.into_customer(CustomerId::MIN, account, now);
        let mut once = before.clone();
        changes.apply(&mut once);
        let mut twice = once.clone();
        changes.apply(&mut twice);
        prop_assert_eq!(&twice, &once);
        // The history of it leads from the one to the other.
        for change in once.changes_since(Some(&before)) {
            let attribute = Attribute::named(&change.name).unwrap();
            prop_assert_eq!(attribute.of(&before), change.from);
            prop_assert_eq!(attribute.of(&once), change.to);
        }
    }
}
