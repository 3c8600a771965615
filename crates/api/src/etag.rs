//! The entity tag of a customer: its id, its revision, and what else shapes the body of the answer.

use std::sync::LazyLock;

use actix_web::http::header::EntityTag;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use customers_domain::{ATTRIBUTES, Customer, CustomerId, Revision, Timestamp};
use twox_hash::XxHash3_128;

use crate::json;

/// The format of the JSON of a customer. To be raised whenever the same customer, under the same
/// declarations of the attributes, is written in other bytes than before.
const FORMAT: u32 = 1;

/// Returns the tag of a customer. It differs after any change of the customer, and wherever a release or
/// a setting makes another body of the same customer.
pub(crate) fn of(customer: &Customer, legacy: bool) -> EntityTag {
    let Revision { id, updated_at } = customer.revision();
    let shape = shape(legacy);
    EntityTag::new_strong(format!("{id}.{}.{shape}", updated_at.as_micros()))
}

/// Returns a fingerprint of all that shapes the body of a customer beside the customer.
pub(crate) fn shape(legacy: bool) -> &'static str {
    static SHAPES: LazyLock<[String; 2]> = LazyLock::new(|| [false, true].map(fingerprint));
    &SHAPES[usize::from(legacy)]
}

fn fingerprint(legacy: bool) -> String {
    // Customers that have the default of an attribute are stored without the attribute.
    let attributes: Vec<_> =
        ATTRIBUTES.iter().map(|it| (it.name, it.kind.rule().code(), it.default())).collect();
    let shapes = serde_json::json!([FORMAT, legacy, attributes]);
    let hash = XxHash3_128::oneshot(shapes.to_string().as_bytes());
    format!("{:016x}", hash as u64)
}

/// What an entity tag that a client sends says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// The revision of a customer, and the shape of its body.
    Revision(Revision, &'a str),
    /// The hash of a body, which was the tag in versions before 0.2.
    Body(u128),
    /// Nothing that was ever the tag of a customer.
    Nothing,
}

impl<'a> Known<'a> {
    /// Reads a tag, without its quotes.
    pub fn of(tag: &'a str) -> Self {
        if let Some((revision, shape)) = revision(tag) {
            return Self::Revision(revision, shape);
        }
        let hash = BASE64_URL_SAFE_NO_PAD.decode(tag).ok().and_then(|it| it.try_into().ok());
        hash.map_or(Self::Nothing, |hash| Self::Body(u128::from_be_bytes(hash)))
    }
}

fn revision(tag: &str) -> Option<(Revision, &str)> {
    let (revision, shape) = tag.rsplit_once('.')?;
    let (id, micros) = revision.split_once('.')?;
    let (id, micros) = (id.parse::<i64>().ok()?, micros.parse::<i64>().ok()?);
    // Tags are compared byte by byte, so each revision has one form.
    let is_canonical = format!("{id}.{micros}") == revision && !shape.is_empty();
    let revision =
        Revision { id: CustomerId::new(id)?, updated_at: Timestamp::from_micros(micros)? };
    is_canonical.then_some((revision, shape))
}

/// Whether this was the tag of the customer in versions before 0.2: the hash of its flat JSON, with or
/// without what `LEGACY_ANSWERS` adds.
pub(crate) fn is_hash_of(hash: u128, customer: &Customer) -> bool {
    let body = json::customer(customer);
    [0, 1].iter().any(|seed| XxHash3_128::oneshot_with_seed(*seed, &body) == hash)
}

#[cfg(test)]
mod tests {
    use customers_domain::{Attribute, CustomerAccount, CustomerDetails, NewCustomer};
    use proptest::prelude::*;

    use super::*;
    use crate::customers::answer::Representation;

    fn customer() -> Customer {
        let details = CustomerDetails {
            name: "\"Société\" À\\B\u{1F600}".into(),
            main_address_city: Some("Genève".into()),
            balance: Some(-5),
            vip: true,
            charge_vat: false,
            comment: Some("a\tb\nc".into()),
            ..Default::default()
        };
        let account = CustomerAccount::new("é/1").unwrap();
        let created_at = Timestamp::from_micros(1_785_840_147_000_000).unwrap();
        let new = NewCustomer::from(details);
        let mut customer = new.into_customer(CustomerId::new(7).unwrap(), account, created_at);
        customer.updated_at = Timestamp::from_micros(1_785_840_147_000_001).unwrap();
        customer
    }

    #[test]
    fn a_tag_names_customer_revision_and_shape() {
        let tag = of(&customer(), false);
        assert_eq!(tag.tag(), format!("7.1785840147000001.{}", shape(false)));
        assert_eq!(shape(false).len(), 16);
        assert_ne!(shape(false), shape(true));
        let read = Known::of(tag.tag());
        assert_eq!(read, Known::Revision(customer().revision(), shape(false)));
    }

    #[test]
    fn a_revision_is_written_in_one_way() {
        for other in [
            "07.1.x",
            "+7.1.x",
            "7.01.x",
            "7.+1.x",
            "7.1",
            "7.1.",
            ".1.x",
            "7..x",
            "0.1.x",
            "7.-0.x",
            "7.9223372036854775807.x",
            "9007199254740992.1.x",
            " 7.1.x",
            "7.1.x.y",
            "",
            "x",
        ] {
            assert_eq!(Known::of(other), Known::Nothing, "{other}");
        }
        assert!(matches!(Known::of("7.-1.x"), Known::Revision(..)));
    }

    proptest! {
        #[test]
        fn a_tag_that_names_a_revision_says_it_byte_by_byte(tag in "[0-9]{1,4}\\.-?[0-9]{1,4}\\.[a-z]{1,3}|\\PC*") {
            if let Known::Revision(Revision { id, updated_at }, shape) = Known::of(&tag) {
                prop_assert_eq!(format!("{id}.{}.{shape}", updated_at.as_micros()), tag);
            }
        }
    }

    /// The bytes of format 1. Where these have to change, raise [`FORMAT`]: otherwise clients that have
    /// the old bytes are answered 304.
    ///
    /// A further attribute is no change of the format, because the shape has the attribute. So further
    /// attributes are left out here.
    #[test]
    fn the_bytes_of_a_customer_are_those_of_its_format() {
        const FLAT: &str = include_str!("etag/golden.json");
        const LEGACY: &str = include_str!("etag/golden-legacy.json");
        let is_further = |it: &&Attribute| !FLAT.contains(&format!("\"{}\":", it.name));
        let golden = |body: Vec<u8>| {
            let body = String::from_utf8(body).unwrap();
            ATTRIBUTES.iter().filter(is_further).fold(body, |body, it| {
                let default = serde_json::json!(it.default());
                let number = default.as_bool().map_or(default.clone(), |it| u8::from(it).into());
                let member = |value| format!(",\"{}\":{value}", it.name);
                body.replace(&member(default), "").replace(&member(number), "")
            })
        };
        assert_eq!((FORMAT, &*golden(json::customer(&customer()))), (1, FLAT));
        let legacy = Representation { legacy: true }.found(&customer());
        assert_eq!((FORMAT, &*golden(legacy.body)), (1, LEGACY));
    }

    /// What version 0.1 answered as the tags of this customer, without and with `LEGACY_ANSWERS`.
    #[test]
    fn the_tags_of_older_versions_are_recognised() {
        for tag in ["XL6ypL2UstcGHBV6iBAK-g", "Fj0HRn-PCPuRzMrgyQgX_Q"] {
            let Known::Body(hash) = Known::of(tag) else { panic!("{tag}") };
            assert!(is_hash_of(hash, &customer()));
            let mut other = customer();
            other.details.zone = 1;
            assert!(!is_hash_of(hash, &other));
        }
    }
}
