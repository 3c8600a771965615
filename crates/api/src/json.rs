//! Customers, and pages of what is listed, as JSON.
//!
//! Customers are written by hand: more than half of their JSON are the names of attributes, which need
//! no search for what has to be escaped.

use std::ops::Range;
use std::sync::LazyLock;

use customers_domain::{
    ATTRIBUTES, Attribute, Customer, CustomerAccount, CustomerId, NewCustomer, Timestamp, Value,
};
use serde::Serialize;

/// About so many bytes are most customers.
const CUSTOMER: usize = 2560;

/// A customer of whom nothing was said, and its attributes as members. Most attributes of most customers
/// are as they are there, and stretches of them are copied at once.
struct Defaults {
    customer: Customer,
    json: Vec<u8>,
    /// Where the value of each of [`ATTRIBUTES`] is in the JSON.
    values: Vec<Range<usize>>,
}

static DEFAULTS: LazyLock<Defaults> = LazyLock::new(|| {
    let account = CustomerAccount::new("-").expect("an account");
    let at = Timestamp::from_micros(0).expect("a time");
    let customer = NewCustomer::default().into_customer(CustomerId::MIN, account, at);
    let mut json = Vec::new();
    let write_member = |attribute: &Attribute| {
        json.extend_from_slice(format!(",\"{}\":", attribute.name).as_bytes());
        let start = json.len();
        value(&attribute.of(&customer), &mut json);
        start..json.len()
    };
    let values = ATTRIBUTES.iter().map(write_member).collect();
    Defaults { customer, json, values }
});

impl Defaults {
    /// Writes the attributes of a customer behind what is there.
    fn write_of(&self, customer: &Customer, json: &mut Vec<u8>) {
        let mut written = 0;
        for position in customer.differences(&self.customer) {
            let range = &self.values[position];
            json.extend_from_slice(&self.json[written..range.start]);
            match ATTRIBUTES[position].of(customer) {
                Value::Text(text) => write_text(&text, json),
                other => value(&other, json),
            }
            written = range.end;
        }
        json.extend_from_slice(&self.json[written..]);
    }
}

/// What is listed.
pub(crate) trait Item {
    /// Writes it behind what is there.
    fn write(&self, json: &mut Vec<u8>);
}

impl Item for Customer {
    fn write(&self, json: &mut Vec<u8>) {
        json.reserve(CUSTOMER);
        json.extend_from_slice(b"{\"id\":");
        value(&self.id, json);
        DEFAULTS.write_of(self, json);
        let times = [
            (&b",\"created_at\":"[..], Some(self.created_at)),
            (b",\"updated_at\":", Some(self.updated_at)),
            (b",\"deleted_at\":", self.deleted_at),
        ];
        for (name, time) in times {
            json.extend_from_slice(name);
            match time {
                Some(time) => {
                    json.push(b'"');
                    time.append_to(json);
                    json.push(b'"');
                }
                None => json.extend_from_slice(b"null"),
            }
        }
        json.push(b'}');
    }
}

/// Writes text behind what is there. Hardly any has a character that would have to be escaped (RFC 8259
/// §7), and to look whether there is one is quicker than to look for the first.
fn write_text(text: &str, json: &mut Vec<u8>) {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |any, byte| any | is_special(byte)) {
        return value(&text, json);
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Writes any value behind what is there.
pub(crate) fn value(value: &impl Serialize, json: &mut Vec<u8>) {
    serde_json::to_writer(json, value).expect("texts, numbers and booleans");
}

/// The JSON of a customer.
pub(crate) fn customer(customer: &Customer) -> Vec<u8> {
    let mut json = Vec::new();
    customer.write(&mut json);
    json
}

/// What a page holds in the place of its items until they are written: `"data":[]`, before which stand
/// only numbers.
pub(crate) type NoItems = [(); 0];

/// The JSON of a page, which has [`NoItems`], with these.
pub(crate) fn page(page: &impl Serialize, items: &[impl Item]) -> Vec<u8> {
    const DATA: &[u8] = b"\"data\":[";
    let mut around = Vec::with_capacity(CUSTOMER);
    value(page, &mut around);
    let start = around.windows(DATA.len()).position(|part| part == DATA).expect("data of a page");
    let (before, behind) = around.split_at(start + DATA.len());
    let mut json = Vec::with_capacity(around.len() + items.len() * CUSTOMER);
    json.extend_from_slice(before);
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            json.push(b',');
        }
        item.write(&mut json);
    }
    json.extend_from_slice(behind);
    json
}

#[cfg(test)]
mod tests {
    use customers_domain::{CustomerDetails, Kind};

    use super::*;

    impl Item for &str {
        fn write(&self, json: &mut Vec<u8>) {
            value(self, json);
        }
    }

    #[test]
    fn a_customer_is_written_as_the_domain_would() {
        let mut new = NewCustomer::from(CustomerDetails {
            name: "\"Société\"\t\\".into(),
            ..CustomerDetails::default()
        });
        new.details.comment = Some("a\nb".into());
        let at = Timestamp::from_micros(1).unwrap();
        for (account, deleted_at) in [("é\"1", None), ("-", Some(at))] {
            let account = CustomerAccount::new(account).unwrap();
            let mut one = new.clone().into_customer(CustomerId::MIN, account, at);
            one.deleted_at = deleted_at;
            let written = String::from_utf8(customer(&one)).unwrap();
            assert_eq!(written, serde_json::to_string(&one).unwrap());
        }
    }

    #[test]
    fn every_attribute_is_written_as_the_domain_would() {
        let at = Timestamp::from_micros(1).unwrap();
        let account = CustomerAccount::new("CL1").unwrap();
        let plain = NewCustomer::default().into_customer(CustomerId::MIN, account, at);
        let mut all = plain.clone();
        for attribute in ATTRIBUTES {
            let mut one = plain.clone();
            for changed in [&mut one, &mut all] {
                let other = match (attribute.kind, attribute.default()) {
                    (Kind::Integer { .. }, _) => Value::Integer(4),
                    (Kind::Boolean, Value::Boolean(default)) => Value::Boolean(!default),
                    _ => Value::Text("a@example.com".into()),
                };
                attribute.set(changed, other).unwrap();
            }
            for changed in [&one, &all] {
                let written = String::from_utf8(customer(changed)).unwrap();
                assert_eq!(written, serde_json::to_string(changed).unwrap(), "{}", attribute.name);
            }
        }
    }

    #[test]
    fn the_items_of_a_page_stand_where_its_data_are() {
        #[derive(Serialize)]
        struct Page<'a> {
            number: u32,
            data: NoItems,
            path: &'a str,
        }
        let written = |items: &[&str]| {
            let frame = Page { number: 7, data: [], path: "\"data\":[" };
            String::from_utf8(page(&frame, items)).unwrap()
        };
        assert_eq!(written(&[]), r#"{"number":7,"data":[],"path":"\"data\":["}"#);
        assert_eq!(written(&["a", "b"]), r#"{"number":7,"data":["a","b"],"path":"\"data\":["}"#);
    }
}
