//! What holds whatever is sent: nothing panics, and what is written as it should be is read as it
//! was meant.

use std::collections::BTreeMap;

use customers_domain::{ATTRIBUTES, Kind, Rule, Value};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_map, hash_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use super::body::{parse_json, parse_multipart};
use super::*;

/// What a name in brackets would make of a name is another matter.
const NAME: &str = "[^\\[]{0,9}";

fn text(parameters: &Parameters, name: &str) -> Option<String> {
    match parameters.get(name)? {
        Raw::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            hash_map(any::<String>(), inner, 0..4).prop_map(Json::from_iter),
        ]
    })
}

fn raw() -> impl Strategy<Value = Raw> {
    prop_oneof![
        Just(Raw::Null),
        any::<bool>().prop_map(Raw::Boolean),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,30})?".prop_map(Raw::Number),
        any::<String>().prop_map(Raw::Text),
        "[ \u{a0}]?-?[0-9]{0,12}(\\.0)?".prop_map(Raw::Text),
        Just(Raw::Composite),
        Just(Raw::File),
    ]
}

/// What a future comes to that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("nothing to wait for")
}

proptest! {
    #[test]
    fn pairs_are_read_as_they_were_encoded(sent in btree_map(NAME, any::<String>(), 0..9)) {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> =
            sent.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let read = parse_pairs(pairs.join("&").as_bytes(), usize::MAX).unwrap();
        let read: BTreeMap<_, _> =
            read.keys().map(|name| (name.clone(), text(&read, name).unwrap())).collect();
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn no_pairs_are_too_odd(bytes in any::<Vec<u8>>(), text in "[a%=&+\\[\\]0-9éF]{0,30}") {
        // An error is all that may come of what is not UTF-8.
        let _ = parse_pairs(&bytes, usize::MAX);
        let is_utf8 = percent_decode(text.as_bytes()).decode_utf8().is_ok();
        prop_assert!(parse_pairs(text.as_bytes(), usize::MAX).is_ok() || !is_utf8);
    }

    #[test]
    fn json_is_read_as_it_was_written(json in json()) {
        let written = json.to_string();
        let read = parse_json(written.as_bytes());
        let Json::Object(members) = &json else {
            let is_empty = json.is_null() || json.as_array().is_some_and(Vec::is_empty);
            prop_assert_eq!(read.is_ok(), is_empty);
            return Ok(());
        };
        let read = read.unwrap();
        prop_assert_eq!(read.len(), members.len());
        for (name, value) in members {
            let expected = match value {
                Json::Null => Raw::Null,
                Json::Bool(boolean) => Raw::Boolean(*boolean),
                Json::Number(number) => Raw::Number(number.to_string()),
                Json::String(text) => Raw::Text(text.clone()),
                Json::Array(_) | Json::Object(_) => Raw::Composite,
            };
            prop_assert_eq!(&read[name], &expected);
        }
    }

    #[test]
    fn no_json_is_too_odd(
        bytes in any::<Vec<u8>>(),
        text in "[\\[\\]{}\",:\\\\a0.eE+ntu-]{0,40}",
        deep in "(\\[|\\{\"\":){0,120}[0n\"]?",
    ) {
        for body in [&bytes[..], text.as_bytes(), deep.as_bytes()] {
            // What is taken is an object, or as good as empty.
            if let Ok(read) = parse_json(body) {
                let json: Json = serde_json::from_slice(body).unwrap();
                prop_assert_eq!(json.as_object().map_or(0, |members| members.len()), read.len());
            }
        }
    }

    #[test]
    fn parts_are_read_as_they_were_written(sent in btree_map("[a-zA-Z_]{1,9}", any::<String>(), 1..6)) {
        let part = |(name, value): (&String, &String)| {
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = sent.iter().map(part).collect::<String>() + &format!("--{BOUNDARY}--\r\n");
        let read = ready(parse_multipart(&media_type(), body.into())).unwrap();
        for (name, value) in &sent {
            prop_assert_eq!(text(&read, name), Some(value.clone()));
        }
    }

    #[test]
    fn no_parts_are_too_odd(bytes in any::<Vec<u8>>(), pieces in vec(select(PIECES), 0..12)) {
        // An error is all that may come of it.
        let _ = ready(parse_multipart(&media_type(), bytes));
        let _ = ready(parse_multipart(&media_type(), pieces.concat().into()));
    }

    #[test]
    fn a_value_is_of_the_kind_that_it_is_read_as(attribute in 0..ATTRIBUTES.len(), raw in raw()) {
        let kind = ATTRIBUTES[attribute].kind;
        match lenient::read(kind, raw.as_sent()) {
            Ok(Value::Null) => prop_assert!(matches!(raw, Raw::Null | Raw::Text(_))),
            Ok(Value::Text(_)) => prop_assert_eq!(kind.rule(), Rule::Text),
            Ok(Value::Integer(_)) => prop_assert_eq!(kind.rule(), Rule::Integer),
            Ok(Value::Boolean(_)) => prop_assert_eq!(kind.rule(), Rule::Boolean),
            Err(Rule::Min(_) | Rule::Max(_)) => prop_assert_eq!(kind.rule(), Rule::Integer),
            Err(rule) => prop_assert_eq!(rule, kind.rule()),
        }
    }

    #[test]
    fn a_number_is_an_integer_where_its_value_is_whole(
        mantissa in -999_999_999_999i64..=999_999_999_999,
        exponent in -12i32..=12,
    ) {
        const KIND: Kind = Kind::Integer { min: 1 };
        let read = lenient::read(KIND, Sent::Number(&format!("{mantissa}e{exponent}"))).map(|value| {
            match value {
                Value::Integer(number) => number,
                other => panic!("{other:?}"),
            }
        });
        let scale = 10i128.pow(exponent.unsigned_abs());
        let (mantissa, is_whole) = match exponent {
            ..0 => (i128::from(mantissa) / scale, i128::from(mantissa) % scale == 0),
            _ => (i128::from(mantissa) * scale, true),
        };
        let expected = match i32::try_from(mantissa) {
            _ if !is_whole => Err(Rule::Integer),
            Ok(number) => Ok(number),
            Err(_) if mantissa < 0 => Err(Rule::Min(1)),
            Err(_) => Err(Rule::Max(i32::MAX)),
        };
        prop_assert_eq!(read, expected);
    }
}

const BOUNDARY: &str = "a boundary that nobody guesses";

fn media_type() -> String {
    format!("multipart/form-data; boundary=\"{BOUNDARY}\"")
}

/// What bodies of several parts are made of.
const PIECES: &[&str] = &[
    "--a boundary that nobody guesses",
    "\r\n",
    "--",
    "Content-Disposition: form-data; name=\"name\"",
    "Content-Disposition: form-data; name=\"name\"; filename=\"a\"",
    "Content-Disposition: form-data; name*=UTF-8''n%ff",
    "Content-Length: 99999999999999999999",
    "Content-Transfer-Encoding: base64",
    ": ",
    "é\u{0}",
];
