//! The customer, declared once: names, kinds, defaults, rules and meanings of its attributes.

use std::fmt;

use validator::{Validate, ValidationErrors};

use crate::account::CustomerAccount;
use crate::attribute::{Access, Attribute, Field, Kind, Value};
use crate::rule::{Rule, Violation, Violations};
use crate::timestamp::Timestamp;

macro_rules! is_filtered {
    () => {
        false
    };
    (filtered) => {
        true
    };
}

/// Makes [`CustomerDetails`] and [`ATTRIBUTES`] of one list: wire name, field, type, default, kind with
/// its limits, `filtered` where customers are listed by it, and meaning. The account, which is a field of
/// the customer, has a line of its own at its place in the order.
macro_rules! attributes {
    ($(
        $( $account:ident: $account_name:literal, $account_meaning:literal; )?
        $name:literal $field:ident: $type:ty = $default:expr, $kind:expr,
        $($filtered:ident,)? $meaning:literal;
    )+) => {
        /// The values of a customer's attributes, all but the account.
        ///
        /// The fields take any value; [`NewCustomer::check`] returns the rules that the values break.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct CustomerDetails {
            $(
                #[doc = $meaning]
                pub $field: $type,
            )+
        }

        impl Default for CustomerDetails {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        /// The settable attributes, in the order in which a customer is written.
        pub static ATTRIBUTES: &[Attribute] = &[
            $(
                $( Attribute::account($account_name, $account_meaning), )?
                Attribute {
                    name: $name,
                    kind: $kind,
                    meaning: $meaning,
                    nullable: <$type as Field>::NULLABLE,
                    field: stringify!($field),
                    filtered: is_filtered!($($filtered)?),
                    access: Access::Detail {
                        get: |details| Field::get(&details.$field),
                        set: |details, value| {
                            details.$field = Field::set(value)?;
                            Ok(())
                        },
                    },
                },
            )+
        ];

        /// Returns the position in [`ATTRIBUTES`] of the attribute of this name.
        pub(crate) fn position_of(name: &str) -> Option<usize> {
            #[expect(non_camel_case_types, reason = "the variants have the names of the fields")]
            enum Position { $( $($account,)? $field, )+ }

            let position = match name {
                $(
                    $( $account_name => Position::$account, )?
                    $name => Position::$field,
                )+
                _ => return None,
            };
            Some(position as usize)
        }

        impl Customer {
            /// Returns the positions in [`ATTRIBUTES`] of the attributes that differ from another
            /// customer's.
            ///
            /// Comparing the fields is quicker than comparing the values of [`Attribute::of`].
            pub fn differences(&self, other: &Self) -> impl Iterator<Item = usize> {
                let (details, others) = (&*self.details, &*other.details);
                let differs = [$(
                    $( self.$account != other.$account, )?
                    details.$field != others.$field,
                )+];
                differs.into_iter().enumerate().filter_map(|(at, differs)| differs.then_some(at))
            }
        }
    };
}

attributes! {
    "brand_id" brand_id: i32 = 1, Kind::Integer { min: 1 }, filtered,
        "Branding attached to this customer.";
    "representative_id" representative_id: Option<i32> = None, Kind::Integer { min: 1 }, filtered,
        "Salesperson in charge of the customer.";
    account: "customerAccount", "Account that identifies the customer, unique whatever its case.";
    "accountsReference" accounts_reference: Option<String> = None, Kind::TEXT, filtered,
        "Reference in the accounting system, if different from customerAccount.";
    "name" name: String = String::new(), Kind::REQUIRED_TEXT,
        "Name of the customer.";
    "brand" brand: Option<String> = None, Kind::TEXT,
        "Trading name.";
    "mainContactFirstName" main_contact_first_name: Option<String> = None, Kind::TEXT,
        "First name of the main contact.";
    "mainContactLastName" main_contact_last_name: Option<String> = None, Kind::TEXT,
        "Last name of the main contact.";
    "registrationNumber" registration_number: Option<String> = None, Kind::TEXT, filtered,
        "Company registration number.";
    "taxRegistrationNumber" tax_registration_number: Option<String> = None, Kind::TEXT, filtered,
        "Tax registration number.";
    "activityCode" activity_code: Option<String> = None, Kind::TEXT,
        "Code of the activity in a national register.";
    "type" company_type: Option<String> = None, Kind::TEXT, filtered,
        "Type of company.";
    "capital" capital: Option<String> = None, Kind::TEXT,
        "Share capital, in the instance's currency.";
    "mainAddressLine1" main_address_line1: Option<String> = None, Kind::TEXT,
        "First line of the main address.";
    "mainAddressLine2" main_address_line2: Option<String> = None, Kind::TEXT,
        "Second line of the main address.";
    "mainAddressPostalCode" main_address_postal_code: Option<String> = None, Kind::TEXT, filtered,
        "Postal code of the main address.";
    "mainAddressCity" main_address_city: Option<String> = None, Kind::TEXT, filtered,
        "City of the main address.";
    "mainAddressCountry" main_address_country: Option<String> = None, Kind::TEXT, filtered,
        "Country of the main address.";
    "emailAddress" email_address: Option<String> = None, Kind::Emails, filtered,
        "E-mail addresses of the customer, split by `;` or `,`.";
    "accountEmailAddress" account_email_address: Option<String> = None, Kind::Emails,
        "E-mail addresses for invoices, split by `;` or `,`.";
    "phone" phone: Option<String> = None, Kind::TEXT,
        "Phone number.";
    "mobilePhone" mobile_phone: Option<String> = None, Kind::TEXT,
        "Mobile phone number.";
    "fax" fax: Option<String> = None, Kind::TEXT,
        "Fax number.";
    "website" website: Option<String> = None, Kind::TEXT,
        "Website of the customer.";
    "logo" logo: Option<String> = None, Kind::TEXT,
        "File or URL of the customer's logo.";
    "activity" activity: Option<String> = None, Kind::TEXT,
        "What the customer does.";
    "category" category: Option<String> = None, Kind::TEXT,
        "Category that the customer is filed under.";
    "qualification" qualification: Option<String> = None, Kind::TEXT,
        "How well the customer is qualified as a prospect.";
    "sector_id" sector_id: Option<i32> = None, Kind::Integer { min: 1 },
        "Sector of the customer.";
    "origin_id" origin_id: Option<i32> = None, Kind::Integer { min: 1 },
        "Where the customer came from.";
    "prospection_code_id" prospection_code_id: i32 = 1, Kind::Integer { min: 0 },
        "State of prospection.";
    "zone" zone: i32 = 0, Kind::Integer { min: 0 },
        "Zone that the customer belongs to.";
    "language" language: Option<String> = None, Kind::TEXT,
        "Language to write to the customer in.";
    "language_id" language_id: i32 = 1, Kind::Integer { min: 0 },
        "Language of the customer's documents.";
    "cluster" cluster: Option<String> = None, Kind::TEXT,
        "Cluster that serves the customer.";
    "numberForEligibility" number_for_eligibility: Option<String> = None, Kind::TEXT,
        "Phone number by which eligibility is tested.";
    "abroad" abroad: bool = false, Kind::Boolean,
        "Whether the customer is abroad.";
    "active" active: bool = true, Kind::Boolean, filtered,
        "Whether the customer is active.";
    "isReseller" is_reseller: bool = false, Kind::Boolean, filtered,
        "Whether the customer is a reseller.";
    "resellerLevel" reseller_level: i32 = 0, Kind::Integer { min: 0 },
        "Level of the reseller.";
    "chargeVAT" charge_vat: bool = true, Kind::Boolean,
        "False if no VAT is charged to this customer.";
    "applyVATAutoReverseOperators" apply_vat_auto_reverse_operators: bool = false, Kind::Boolean,
        "True if VAT auto-reverse applies to telecom services.";
    "onCallDuty" on_call_duty: bool = false, Kind::Boolean, filtered,
        "True if the customer is under an on-call duty contract.";
    "vip" vip: bool = false, Kind::Boolean, filtered,
        "Whether the customer is a VIP.";
    "acceptEmails" accept_emails: bool = true, Kind::Boolean,
        "Whether the customer may be written to by e-mail.";
    "acceptCalls" accept_calls: bool = true, Kind::Boolean,
        "Whether the customer may be called.";
    "canSendSms" can_send_sms: bool = false, Kind::Boolean,
        "Whether the customer may send text messages.";
    "smsAuthorisation" sms_authorisation: Option<String> = None, Kind::TEXT,
        "Under which terms the customer may send text messages.";
    "sms_expeditor_name" sms_expeditor_name: Option<String> = None, Kind::TEXT,
        "Name that the customer's text messages come from.";
    "mergeInvoices" merge_invoices: bool = false, Kind::Boolean,
        "Whether the customer's invoices are merged into one.";
    "isGroupingAccount" is_grouping_account: bool = false, Kind::Boolean,
        "Whether the charges of other accounts are grouped in this one.";
    "chargeGroupingAccount" charge_grouping_account: Option<String> = None, Kind::TEXT,
        "Account in which the customer's charges are grouped.";
    "isPayer" is_payer: bool = false, Kind::Boolean,
        "Whether the customer pays for others.";
    "balance" balance: Option<i32> = None, Kind::Integer { min: i32::MIN },
        "Balance of the account.";
    "motive_for_balance" motive_for_balance: Option<String> = None, Kind::TEXT,
        "Why the balance is what it is.";
    "supplier" supplier: i32 = 0, Kind::Integer { min: 0 },
        "Supplier that serves the customer.";
    "suppliers" suppliers: String = String::new(), Kind::TEXT,
        "Further suppliers. Null is the same as empty.";
    "quickSearchIndex" quick_search_index: bool = false, Kind::Boolean,
        "Whether the customer is listed for quick search.";
    "technical_url" technical_url: Option<String> = None, Kind::TEXT,
        "Where technical information on the customer is found.";
    "custom_note" custom_note: Option<String> = None, Kind::TEXT,
        "Short note for the owner's own use.";
    "comment" comment: Option<String> = None, Kind::Lines { max_chars: 65_535 },
        "Anything else, in up to 65,535 characters, line breaks included.";
}

/// A customer to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCustomer {
    /// Account that identifies the customer, unique whatever its case; `None` to have one made.
    pub account: Option<CustomerAccount>,
    /// The values of all other attributes.
    pub details: Box<CustomerDetails>,
}

/// A customer of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The number that the registry gave the customer.
    pub id: CustomerId,
    /// Account that identifies the customer, unique whatever its case.
    pub account: CustomerAccount,
    /// The values of all other attributes. In a box, so that moving a customer copies a pointer.
    pub details: Box<CustomerDetails>,
    /// When the customer was created.
    pub created_at: Timestamp,
    /// When the customer was last changed.
    pub updated_at: Timestamp,
    /// When the customer was deleted; `None` unless it is.
    pub deleted_at: Option<Timestamp>,
}

/// A new customer whose account the registry makes.
impl From<CustomerDetails> for NewCustomer {
    fn from(details: CustomerDetails) -> Self {
        Self { account: None, details: Box::new(details) }
    }
}

impl NewCustomer {
    /// Returns the customer that this one becomes at its creation, under this id and account.
    pub fn into_customer(
        self,
        id: CustomerId,
        account: CustomerAccount,
        now: Timestamp,
    ) -> Customer {
        Customer {
            id,
            account,
            details: self.details,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        }
    }

    /// The new customer of these values: what is null, or not among them, takes its default.
    ///
    /// A value that could not even be read stands as the rule that it breaks, so that all that is
    /// wrong is told at once.
    pub fn from_values<'a>(
        values: impl IntoIterator<Item = (&'static Attribute, Result<Value<'a>, Rule>)>,
    ) -> Result<Self, Violations> {
        let mut customer = Self::default();
        let mut unread = Vec::new();
        for (attribute, value) in values {
            let broken = match value {
                Ok(Value::Null) => Vec::new(),
                Ok(Value::Text(text)) if attribute.kind == Kind::Account => {
                    let broken = CustomerAccount::broken(&text);
                    customer.account = CustomerAccount::new(&text).ok();
                    broken
                }
                Ok(value) => Vec::from_iter(attribute.set_new(&mut customer, value).err()),
                Err(rule) => vec![rule],
            };
            unread.extend(broken.into_iter().map(|rule| Violation { attribute, rule }));
        }
        let mut violations = Vec::new();
        for attribute in ATTRIBUTES {
            let before = violations.len();
            violations.extend(unread.iter().filter(|it| it.attribute == attribute));
            if violations.len() == before {
                violations.extend(violations_of(attribute, &customer));
            }
        }
        Violations::unless_empty(violations)?;
        Ok(customer)
    }

    /// Tells every rule that this customer breaks.
    pub fn check(&self) -> Result<(), Violations> {
        let broken = |attribute| violations_of(attribute, self);
        Violations::unless_empty(ATTRIBUTES.iter().flat_map(broken).collect())
    }
}

fn violations_of(
    attribute: &'static Attribute,
    customer: &NewCustomer,
) -> impl Iterator<Item = Violation> + use<> {
    attribute.broken(customer).into_iter().map(move |rule| Violation { attribute, rule })
}

/// For code that speaks validator: the same as [`NewCustomer::check`], under the wire names.
impl Validate for NewCustomer {
    fn validate(&self) -> Result<(), ValidationErrors> {
        self.check().map_err(|violations| ValidationErrors::from(&violations))
    }
}

/// The number of a customer: 1 to 2^53 − 1, which every JSON reader holds exactly (RFC 8259 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "i64")
)]
pub struct CustomerId(i64);

impl CustomerId {
    /// The smallest, 1.
    pub const MIN: Self = Self(1);
    /// The largest, 2^53 − 1.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The id of this number; `None` outside of 1 to 2^53 − 1.
    pub fn new(number: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a number from 1 to 9007199254740991")]
pub struct InvalidId;

impl TryFrom<i64> for CustomerId {
    type Error = InvalidId;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(InvalidId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> &'static Attribute {
        ATTRIBUTES.iter().find(|attribute| attribute.name == name).unwrap()
    }

    #[test]
    fn every_default_but_the_name_keeps_the_rules() {
        let violations = NewCustomer::default().check().unwrap_err();
        assert_eq!(violations.to_string(), "name is required");
    }

    #[test]
    fn all_broken_rules_are_told_in_the_order_of_the_attributes() {
        let customer = NewCustomer::from(CustomerDetails {
            brand_id: 0,
            representative_id: Some(-4),
            name: "x".repeat(256),
            brand: Some("a\u{0}b".into()),
            website: Some("é".repeat(255)),
            ..CustomerDetails::default()
        });
        let violations = customer.check().unwrap_err();
        assert_eq!(
            violations.to_string(),
            "brand_id must be at least 1; representative_id must be at least 1; \
             name must not be greater than 255 characters; \
             brand must not contain control characters"
        );
        let errors = customer.validate().unwrap_err();
        assert_eq!(errors.field_errors()["brand_id"][0].code, "range");
        assert_eq!(errors.field_errors().len(), 4);
    }

    #[test]
    fn values_that_could_not_be_read_stand_beside_broken_rules() {
        let violations = NewCustomer::from_values([
            (attribute("vip"), Err(Rule::Boolean)),
            (attribute("brand_id"), Ok(Value::Integer(0))),
            (attribute("customerAccount"), Ok(Value::Text("..".into()))),
            (attribute("name"), Err(Rule::Text)),
        ])
        .unwrap_err();
        assert_eq!(
            violations.to_string(),
            "brand_id must be at least 1; customerAccount must not be \".\" or \"..\"; \
             name must be a string; vip must be true or false"
        );
    }

    #[test]
    fn null_means_not_given() {
        let values =
            [("name", Value::Text("A".into())), ("active", Value::Null), ("brand", Value::Null)];
        let read = values.map(|(name, value)| (attribute(name), Ok(value)));
        let customer = NewCustomer::from_values(read).unwrap();
        assert_eq!(
            customer,
            NewCustomer::from(CustomerDetails { name: "A".into(), ..CustomerDetails::default() })
        );
    }

    #[test]
    fn what_has_a_default_is_not_nullable() {
        for attribute in ATTRIBUTES {
            let null = attribute.default() == Value::Null;
            assert_eq!(null, attribute.nullable || attribute.kind == Kind::Account);
            assert_eq!(attribute.required(), attribute.name == "name");
        }
    }

    #[test]
    fn every_attribute_is_found_by_its_name() {
        for attribute in ATTRIBUTES {
            assert_eq!(Attribute::named(attribute.name), Some(attribute));
        }
        assert_eq!(Attribute::named("Name"), None);
    }

    #[test]
    fn a_difference_stands_where_its_attribute_does() {
        let account = CustomerAccount::new("CL1").unwrap();
        let now = Timestamp::from_micros(0).unwrap();
        let customer = NewCustomer::default().into_customer(CustomerId::MIN, account, now);
        let differences = |other: &Customer| other.differences(&customer).collect::<Vec<_>>();
        assert!(differences(&customer).is_empty());
        let mut all = customer.clone();
        for (at, attribute) in ATTRIBUTES.iter().enumerate() {
            let value = match attribute.of(&customer) {
                Value::Boolean(boolean) => Value::Boolean(!boolean),
                _ if matches!(attribute.kind, Kind::Integer { .. }) => Value::Integer(4),
                _ => Value::Text("other".into()),
            };
            let mut other = customer.clone();
            attribute.set(&mut other, value.clone()).unwrap();
            assert_eq!(differences(&other), [at], "{}", attribute.name);
            attribute.set(&mut all, value).unwrap();
        }
        assert_eq!(differences(&all), Vec::from_iter(0..ATTRIBUTES.len()));
    }

    #[test]
    fn moving_a_customer_copies_little() {
        assert!(size_of::<Customer>() <= 96, "{}", size_of::<Customer>());
    }

    #[test]
    fn ids_stay_within_what_json_readers_hold() {
        assert_eq!(CustomerId::new(0), None);
        assert_eq!(CustomerId::new(1 << 53), None);
        assert_eq!(CustomerId::new((1 << 53) - 1), Some(CustomerId::MAX));
    }
}
