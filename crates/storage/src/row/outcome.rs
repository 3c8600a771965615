//! The outcome that is kept under an idempotency key, and its record.

use customers_domain::{Customer, Outcome};
use diesel::QueryResult;
use serde::{Deserialize, Serialize};

use super::corrupt;

/// The changes that may have an idempotency key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keyed {
    Create,
    Restore,
}

/// The record of an outcome: the customer right after the change.
///
/// A server of a version before 0.2 kept the whole answer, `{"status", "location", "etag", "body"}`, and
/// may read this record during a rolling upgrade. So the customer is called `body` and has a `status`
/// beside it: such a server answers both as they are, without the two headers.
#[derive(Serialize, Deserialize)]
struct Record<C> {
    format: u32,
    status: u16,
    body: C,
}

/// The format of [`Record`]; the records of older versions have none.
const FORMAT: u32 = 2;

#[derive(Deserialize)]
struct Format {
    format: Option<u32>,
}

/// Returns the record of a change that has made this of a customer.
pub(crate) fn record(keyed: Keyed, customer: &Customer) -> QueryResult<Vec<u8>> {
    let status = match keyed {
        Keyed::Create => 201,
        Keyed::Restore => 200,
    };
    serde_json::to_vec(&Record { format: FORMAT, status, body: customer }).map_err(corrupt)
}

/// Returns the outcome that a record keeps.
pub(crate) fn replayed(record: Vec<u8>) -> QueryResult<Outcome> {
    let Format { format } = serde_json::from_slice(&record).map_err(corrupt)?;
    if format != Some(FORMAT) {
        return Ok(Outcome::ReplayedAnswer(record));
    }
    let Record::<Customer> { body, .. } = serde_json::from_slice(&record).map_err(corrupt)?;
    Ok(Outcome::Replayed(body))
}

#[cfg(test)]
mod tests {
    use customers_domain::{CustomerAccount, CustomerDetails, CustomerId, NewCustomer, Timestamp};
    use serde_json::value::RawValue;

    use super::*;

    fn customer() -> Customer {
        let details = CustomerDetails { name: "\"Été\"\n".into(), ..Default::default() };
        let account = CustomerAccount::new("CL1").unwrap();
        let now = Timestamp::from_micros(1_785_840_147_000_001).unwrap();
        NewCustomer::from(details).into_customer(CustomerId::MIN, account, now)
    }

    #[test]
    fn an_outcome_is_read_back() {
        for keyed in [Keyed::Create, Keyed::Restore] {
            let record = record(keyed, &customer()).unwrap();
            assert_eq!(replayed(record).unwrap(), Outcome::Replayed(customer()));
        }
    }

    #[test]
    fn the_answer_of_an_older_version_stays_as_it_is() {
        let answer = br#"{"status":201,"location":"/api/v1/customers/1","etag":"\"x\"","body":{}}"#;
        let outcome = replayed(answer.to_vec()).unwrap();
        assert_eq!(outcome, Outcome::ReplayedAnswer(answer.to_vec()));
        assert!(replayed(b"other".to_vec()).is_err());
    }

    #[test]
    fn an_older_version_answers_the_customer() {
        /// As it was declared before 0.2.
        #[derive(Deserialize)]
        struct Kept<'a> {
            status: u16,
            location: Option<String>,
            etag: Option<String>,
            #[serde(borrow)]
            body: &'a RawValue,
        }
        let record = record(Keyed::Create, &customer()).unwrap();
        let Kept { status, location, etag, body } = serde_json::from_slice(&record).unwrap();
        assert_eq!((status, location, etag), (201, None, None));
        assert_eq!(body.get(), serde_json::to_string(&customer()).unwrap());
    }

    #[test]
    fn an_attribute_that_the_record_does_not_have_takes_its_default() {
        let record = String::from_utf8(record(Keyed::Create, &customer()).unwrap()).unwrap();
        let older = record.replace("\"vip\":false,", "").replace("\"fax\":null,", "");
        assert!(older.len() < record.len() - 20);
        assert_eq!(replayed(older.into_bytes()).unwrap(), Outcome::Replayed(customer()));
    }
}
