//! What holds whatever is asked for: filters, orders, cursors and URLs.

use actix_web::test::TestRequest;
use customers_domain::selection::{Filter, Order, SortKey, SortValue};
use customers_domain::token::Scope;
use customers_domain::{CustomerId, Timestamp, fold};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::filters::{FilteredBy, order, selection};
use super::*;
use crate::problem::Code;

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn asked(query: &str) -> ListQuery {
    let request = TestRequest::with_uri(&format!("/?{query}")).to_http_request();
    ListQuery::of(&request).unwrap()
}

fn filter_name() -> impl Strategy<Value = &'static str> {
    let names: Vec<_> = FilteredBy::all().map(FilteredBy::name).collect();
    any::<Index>().prop_map(move |index| *index.get(&names))
}

fn filter_text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[0-9a-zé,\\\\ .:TZ+-]{0,30}", "[0-9]{1,20}(,-?[0-9]{1,20}){0,3}"]
}

fn sort_text() -> impl Strategy<Value = String> {
    let key = any::<Index>().prop_map(|index| index.get(&SortKey::ALL).name());
    let sort = ("-?", key).prop_map(|(sign, key)| format!("{sign}{key}"));
    vec(sort, 0..20).prop_map(|sorts| sorts.join(","))
}

fn place() -> impl Strategy<Value = Vec<SortValue>> {
    let number = any::<i64>().prop_map(SortValue::Number);
    vec(prop_oneof![number, any::<String>().prop_map(SortValue::Text)], 0..6)
}

proptest! {
    #[test]
    fn a_list_is_read_as_it_was_encoded_and_kept_as_it_was_read(
        filters in vec((filter_name(), filter_text()), 0..6),
        sort in any::<String>(),
        number in any::<String>(),
    ) {
        let filters: FilterTexts =
            filters.into_iter().map(|(name, text)| (name.to_owned(), vec![text])).collect();
        let mut query: Vec<_> = filters
            .iter()
            .map(|(name, texts)| format!("{}={}", encode(&format!("filter[{name}]")), encode(&texts[0])))
            .collect();
        query.push(format!("sort={}&page={}&cursor=x", encode(&sort), encode(&number)));
        query.push(format!("per_page={}&pagination=cursor", encode(&number)));
        let read = asked(&query.join("&"));
        prop_assert_eq!(&read.filters, &filters);
        prop_assert_eq!(&read.sort, &sort);
        prop_assert!((1..=MAX_PER_PAGE).contains(&read.per_page()));
        prop_assert!((1..=MAX_PAGE as u64).contains(&read.page()));

        // The URLs of the other pages ask for the same list.
        let again = asked(&read.kept);
        prop_assert_eq!(again.kept, read.kept);
        prop_assert_eq!((again.filters, again.sort), (read.filters, read.sort));
        prop_assert_eq!(again.per_page, read.per_page);
        prop_assert_eq!(again.cursor, None);
    }

    #[test]
    fn no_query_is_too_odd(query in "[a-z%=&+\\[\\],0-9]{0,60}") {
        let request = TestRequest::with_uri(&format!("/?filter[id]={query}")).to_http_request();
        if let Ok(query) = ListQuery::of(&request) {
            let _ = selection(&query.filters, Scope::Write).map(|_| order(&query.sort));
        }
    }

    #[test]
    fn a_filter_is_taken_or_told_to_be_wrong(name in filter_name(), texts in vec(filter_text(), 0..4)) {
        match selection(&[(name.to_owned(), texts)].into(), Scope::Write) {
            Ok(selection) => prop_assert!(selection.filters.len() <= 1),
            Err(error) => prop_assert_eq!(error.code, Code::InvalidFilter),
        }
    }

    #[test]
    fn a_comma_behind_a_backslash_is_a_comma(
        // A backslash in front of a comma that stands between two cannot be told apart.
        names in vec("[a-zé, \\\\]{0,6}[a-z]", 1..5),
    ) {
        let text = names.iter().map(|name| name.replace(',', "\\,")).collect::<Vec<_>>().join(",");
        let selection = selection(&[("name".into(), vec![text])].into(), Scope::Read).unwrap();
        let expected = names.iter().map(|name| fold(name.trim())).collect();
        prop_assert_eq!(selection.filters, [Filter::Name(expected)]);
    }

    #[test]
    fn ids_are_those_that_there_may_be(ids in vec(any::<i64>(), 1..9)) {
        let text = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let selection = selection(&[("id".into(), vec![text])].into(), Scope::Read).unwrap();
        let expected: Vec<_> = ids.into_iter().filter_map(CustomerId::new).collect();
        let expected = if expected.is_empty() { Filter::Nobody } else { Filter::Id(expected) };
        prop_assert_eq!(selection.filters, [expected]);
    }

    #[test]
    fn a_moment_is_read_as_it_is_shown(micros in 0i64..253_402_300_799_000_000) {
        let time = Timestamp::from_micros(micros).unwrap();
        let filters = [("created_after".into(), vec![time.to_string()])].into();
        let selection = selection(&filters, Scope::Read).unwrap();
        prop_assert_eq!(selection.filters, [Filter::CreatedFrom(time)]);
    }

    #[test]
    fn an_order_is_of_each_key_once_and_ends_with_the_id(text in sort_text(), other in any::<String>()) {
        let sorts = order(&text).unwrap().sorts().to_vec();
        prop_assert_eq!(sorts.last().map(|sort| sort.key), Some(SortKey::Id));
        let mut keys: Vec<_> = sorts.iter().map(|sort| sort.key).collect();
        keys.sort();
        keys.dedup();
        prop_assert_eq!(keys.len(), sorts.len());
        if let Err(error) = order(&other) {
            prop_assert_eq!(error.code, Code::InvalidSort);
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_given_out(place in place(), backwards in any::<bool>(), sort in sort_text(), history in any::<i64>()) {
        let order = order(&sort).unwrap();
        let list = ListDigest::of_list(&FilterTexts::new(), &order);
        let cursor = Cursor { place, backwards };
        let text = cursor.encode(&list);
        prop_assert_eq!(Cursor::decode(&text, &list).unwrap(), Some(cursor.clone()));
        prop_assert!(Cursor::decode(&text, &ListDigest::of_history(history)).is_err());
        // It may be of another version of the list, and then leads nowhere.
        if let Some(place) = order.place(cursor.place.clone()) {
            prop_assert_eq!(place.values(), &cursor.place[..]);
        }
    }

    #[test]
    fn an_altered_cursor_is_none(number in any::<i64>(), at in any::<Index>(), other in any::<char>()) {
        let list = ListDigest::of_list(&FilterTexts::new(), &Order::default());
        let cursor = Cursor { place: vec![SortValue::Number(number)], backwards: false };
        let text = cursor.encode(&list);
        let mut altered: Vec<char> = text.chars().collect();
        let at = at.index(altered.len());
        altered[at] = other;
        let altered: String = altered.into_iter().collect();
        prop_assert!(altered == text || Cursor::decode(&altered, &list).is_err());
        prop_assert!(Cursor::decode(&text[..at], &list).is_err() || at == 0);
    }

    #[test]
    fn no_cursor_is_too_odd(text in any::<String>(), encoded in "[A-Za-z0-9_-]{0,60}") {
        let list = ListDigest::of_list(&FilterTexts::new(), &Order::default());
        for cursor in [text, encoded] {
            prop_assert!(cursor.is_empty() || Cursor::decode(&cursor, &list).is_err());
        }
    }
}
