//! What is known of each settable attribute of a customer, and the values it may take.

use std::borrow::Cow;
use std::sync::LazyLock;

use validator::{ValidateEmail, ValidateLength, ValidateNonControlCharacter, ValidateRange};

use crate::account::CustomerAccount;
use crate::customer::{ATTRIBUTES, Customer, CustomerDetails, NewCustomer, position_of};
use crate::rule::Rule;
use crate::text::trim;

/// The most characters of an ordinary text.
pub(crate) const MAX_CHARS: u64 = 255;

/// The kind of an attribute, with its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text of so many characters (Unicode scalar values, not bytes) without control characters.
    Text {
        /// The fewest characters: 1 makes the attribute required.
        min_chars: u64,
        /// The most characters.
        max_chars: u64,
    },
    /// Text of so many characters that may have several lines: tabs and line breaks are allowed.
    Lines {
        /// The most characters.
        max_chars: u64,
    },
    /// Text of up to 255 characters with one or more e-mail addresses, split by `;` or `,`.
    Emails,
    /// The account, text with further rules: see [`CustomerAccount`].
    Account,
    /// A signed 32-bit number.
    Integer {
        /// The smallest that is allowed.
        min: i32,
    },
    /// True or false.
    Boolean,
}

impl Kind {
    /// Text of up to 255 characters.
    pub(crate) const TEXT: Self = Self::Text { min_chars: 0, max_chars: MAX_CHARS };
    /// Text of 1 to 255 characters.
    pub(crate) const REQUIRED_TEXT: Self = Self::Text { min_chars: 1, max_chars: MAX_CHARS };

    /// The most characters of a text; `None` for what is none.
    pub fn max_chars(self) -> Option<u64> {
        match self {
            Self::Text { max_chars, .. } | Self::Lines { max_chars } => Some(max_chars),
            Self::Emails | Self::Account => Some(MAX_CHARS),
            Self::Integer { .. } | Self::Boolean => None,
        }
    }

    /// The rule that a value of another kind breaks.
    pub fn rule(self) -> Rule {
        match self {
            Self::Text { .. } | Self::Lines { .. } | Self::Emails | Self::Account => Rule::Text,
            Self::Integer { .. } => Rule::Integer,
            Self::Boolean => Rule::Boolean,
        }
    }

    /// The rules that a value breaks: of which kind it has to be, and within which limits.
    fn broken(self, value: &Value<'_>) -> Vec<Rule> {
        match (self, value) {
            (Self::Text { min_chars, max_chars }, Value::Text(text)) => {
                broken_by_text(text, min_chars, max_chars)
            }
            (Self::Lines { max_chars }, Value::Text(text)) => {
                let is_line_break = |c| matches!(c, '\t' | '\n' | '\r');
                broken_by_text(&text.replace(is_line_break, " "), 0, max_chars)
            }
            (Self::Emails, Value::Text(text)) => {
                let mut broken = broken_by_text(text, 0, MAX_CHARS);
                broken.extend((!are_emails(text)).then_some(Rule::Emails));
                broken
            }
            (Self::Integer { min }, Value::Integer(number)) => {
                let is_in_range = number.validate_range(Some(min), None, None, None);
                Vec::from_iter((!is_in_range).then_some(Rule::Min(min)))
            }
            // A CustomerAccount is valid by construction, a boolean has no limits, and null is the
            // business of `Attribute::nullable`.
            (Self::Account, Value::Text(_)) | (Self::Boolean, Value::Boolean(_)) => Vec::new(),
            (_, Value::Null) => Vec::new(),
            _ => vec![self.rule()],
        }
    }
}

/// The rules that every text has to keep and this one breaks. What cannot be seen does not fill a
/// required one.
pub(crate) fn broken_by_text(text: &str, min_chars: u64, max_chars: u64) -> Vec<Rule> {
    if !trim(text).validate_length(Some(min_chars), None, None) {
        return vec![Rule::Required];
    }
    let is_short = text.validate_length(None, Some(max_chars), None);
    let is_clean = text.validate_non_control_character();
    let rules = [(is_short, Rule::MaxChars(max_chars)), (is_clean, Rule::ControlCharacter)];
    rules.into_iter().filter(|(is_kept, _)| !is_kept).map(|(_, rule)| rule).collect()
}

/// Whether the text is one or more e-mail addresses (as HTML's forms take them), split by `;` or `,`.
fn are_emails(text: &str) -> bool {
    let addresses = text.split([';', ',']).map(trim).filter(|address| !address.is_empty());
    let mut addresses = addresses.peekable();
    addresses.peek().is_some() && addresses.all(|address| address.validate_email())
}

/// The value of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(untagged))]
pub enum Value<'a> {
    /// No value.
    Null,
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Integer(i32),
    /// True or false.
    Boolean(bool),
}

#[cfg(feature = "serde")]
impl<'de: 'a, 'a> serde::Deserialize<'de> for Value<'a> {
    /// Reads null, text, a boolean or a 32-bit number; text is borrowed where it can be.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;

        impl<'de> serde::de::Visitor<'de> for Plain {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("null, text, a boolean or a 32-bit number")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, boolean: bool) -> Result<Self::Value, E> {
                Ok(Value::Boolean(boolean))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                let too_large = |_| E::invalid_value(serde::de::Unexpected::Signed(number), &self);
                number.try_into().map(Value::Integer).map_err(too_large)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                let too_large =
                    |_| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
                number.try_into().map(Value::Integer).map_err(too_large)
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                self.visit_string(text.to_owned())
            }

            fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_any(Plain)
    }
}

impl Value<'_> {
    /// The same without a borrow.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Integer(number) => Value::Integer(number),
            Self::Boolean(boolean) => Value::Boolean(boolean),
        }
    }
}

/// A settable attribute of a customer: all that input decoding, validation and documentation need
/// to know of it. [`ATTRIBUTES`](crate::ATTRIBUTES) lists them.
#[derive(Debug)]
pub struct Attribute {
    /// The name that clients use.
    pub name: &'static str,
    /// Kind and limits.
    pub kind: Kind,
    /// What it is for, as a sentence or two.
    pub meaning: &'static str,
    /// Whether a customer may have no value here.
    pub nullable: bool,
    /// The name of its column where it has one; a detail's field in [`CustomerDetails`] has the same.
    pub field: &'static str,
    /// Whether customers can be listed by its exact value, case and accents aside.
    pub filtered: bool,
    pub(crate) access: Access,
}

/// Where a customer has the value of an attribute.
#[derive(Debug)]
pub(crate) enum Access {
    /// In the field `account` of the customer.
    Account,
    /// In a field of its details.
    Detail {
        get: fn(&CustomerDetails) -> Value<'_>,
        set: fn(&mut CustomerDetails, Value<'_>) -> Result<(), Rule>,
    },
}

impl Attribute {
    /// Declares the account under this name.
    pub(crate) const fn account(name: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Account,
            meaning,
            nullable: CustomerAccount::NULLABLE,
            field: "customer_account",
            filtered: true,
            access: Access::Account,
        }
    }

    /// Whether a new customer must be given a value.
    pub fn required(&self) -> bool {
        !self.nullable && matches!(self.kind, Kind::Text { min_chars: 1.., .. })
    }

    /// The value that a new customer has unless told otherwise.
    ///
    /// Null for the account: the service makes one.
    pub fn default(&self) -> Value<'static> {
        static DEFAULTS: LazyLock<NewCustomer> = LazyLock::new(NewCustomer::default);
        self.of_new(&DEFAULTS)
    }

    /// What null means in an update: no value, or an empty one where there is always one. `None`
    /// where it is not allowed.
    pub fn cleared(&self) -> Option<Value<'static>> {
        match self.default() {
            _ if self.nullable => Some(Value::Null),
            Value::Text(text) if text.is_empty() && !self.required() => Some(Value::Text(text)),
            _ => None,
        }
    }

    /// The value that a customer has.
    pub fn of<'a>(&self, customer: &'a Customer) -> Value<'a> {
        match self.access {
            Access::Account => customer.account.get(),
            Access::Detail { get, .. } => get(&customer.details),
        }
    }

    /// Returns the value that a new customer has.
    pub(crate) fn of_new<'a>(&self, customer: &'a NewCustomer) -> Value<'a> {
        match self.access {
            Access::Account => customer.account.get(),
            Access::Detail { get, .. } => get(&customer.details),
        }
    }

    /// Gives a customer this value, whatever the rules say of it.
    ///
    /// # Errors
    ///
    /// The rule that says of which kind the value must be.
    pub fn set(&self, customer: &mut Customer, value: Value<'_>) -> Result<(), Rule> {
        match self.access {
            Access::Account => customer.account = Field::set(value)?,
            Access::Detail { set, .. } => set(&mut customer.details, value)?,
        }
        Ok(())
    }

    /// Gives a new customer this value, as [`Attribute::set`] does.
    pub(crate) fn set_new(&self, customer: &mut NewCustomer, value: Value<'_>) -> Result<(), Rule> {
        match self.access {
            Access::Account => customer.account = Field::set(value)?,
            Access::Detail { set, .. } => set(&mut customer.details, value)?,
        }
        Ok(())
    }

    /// The attribute of this name, as clients use it.
    pub fn named(name: &str) -> Option<&'static Self> {
        position_of(name).map(|position| &ATTRIBUTES[position])
    }

    pub(crate) fn broken(&self, customer: &NewCustomer) -> Vec<Rule> {
        self.kind.broken(&self.of_new(customer))
    }

    pub(crate) fn broken_by(&self, value: &Value<'_>) -> Vec<Rule> {
        match value {
            Value::Text(text) if self.kind == Kind::Account => CustomerAccount::broken(text),
            value => self.kind.broken(value),
        }
    }
}

/// Attributes are told apart by their names.
impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Attribute {}

/// A Rust type that holds an attribute.
pub(crate) trait Field: Sized {
    const NULLABLE: bool;
    fn get(&self) -> Value<'_>;
    fn set(value: Value<'_>) -> Result<Self, Rule>;
}

impl Field for String {
    const NULLABLE: bool = false;
    fn get(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
    fn set(value: Value<'_>) -> Result<Self, Rule> {
        match value {
            Value::Text(text) => Ok(text.into_owned()),
            _ => Err(Rule::Text),
        }
    }
}

impl Field for CustomerAccount {
    const NULLABLE: bool = false;
    fn get(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self.as_str()))
    }
    fn set(value: Value<'_>) -> Result<Self, Rule> {
        match value {
            Value::Text(text) => Self::new(&text),
            _ => Err(Rule::Text),
        }
    }
}

impl Field for i32 {
    const NULLABLE: bool = false;
    fn get(&self) -> Value<'_> {
        Value::Integer(*self)
    }
    fn set(value: Value<'_>) -> Result<Self, Rule> {
        match value {
            Value::Integer(number) => Ok(number),
            _ => Err(Rule::Integer),
        }
    }
}

impl Field for bool {
    const NULLABLE: bool = false;
    fn get(&self) -> Value<'_> {
        Value::Boolean(*self)
    }
    fn set(value: Value<'_>) -> Result<Self, Rule> {
        match value {
            Value::Boolean(boolean) => Ok(boolean),
            _ => Err(Rule::Boolean),
        }
    }
}

impl<T: Field> Field for Option<T> {
    const NULLABLE: bool = true;
    fn get(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Field::get)
    }
    fn set(value: Value<'_>) -> Result<Self, Rule> {
        match value {
            Value::Null => Ok(None),
            value => T::set(value).map(Some),
        }
    }
}
