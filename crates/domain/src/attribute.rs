//! What is known of each settable attribute of a customer, and the values it may take.

use std::borrow::Cow;

use validator::{ValidateLength, ValidateNonControlCharacter, ValidateRange};

use crate::account::CustomerAccount;
use crate::customer::{Customer, NewCustomer};
use crate::rule::Rule;
use crate::text::trim;

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
    pub(crate) const TEXT: Self = Self::Text { min_chars: 0, max_chars: 255 };
    /// Text of 1 to 255 characters.
    pub(crate) const REQUIRED_TEXT: Self = Self::Text { min_chars: 1, max_chars: 255 };

    /// The rule that a value of another kind breaks.
    pub fn rule(self) -> Rule {
        match self {
            Self::Text { .. } | Self::Account => Rule::Text,
            Self::Integer { .. } => Rule::Integer,
            Self::Boolean => Rule::Boolean,
        }
    }

    /// The limits of this kind that a value breaks.
    fn broken(self, value: &Value<'_>) -> Vec<Rule> {
        match (self, value) {
            (Self::Text { min_chars, max_chars }, Value::Text(text)) => {
                broken_by_text(text, min_chars, max_chars)
            }
            (Self::Integer { min }, Value::Integer(number)) => {
                let is_in_range = number.validate_range(Some(min), None, None, None);
                Vec::from_iter((!is_in_range).then_some(Rule::Min(min)))
            }
            // A CustomerAccount is valid by construction, a boolean has no limits, and null is the
            // business of `Attribute::nullable`.
            _ => Vec::new(),
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

/// The value of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub(crate) of_new: fn(&NewCustomer) -> Value<'_>,
    pub(crate) of: fn(&Customer) -> Value<'_>,
    pub(crate) set: fn(&mut NewCustomer, Value<'_>) -> Result<(), Rule>,
}

impl Attribute {
    /// Whether a new customer must be given a value.
    pub fn required(&self) -> bool {
        !self.nullable && matches!(self.kind, Kind::Text { min_chars: 1.., .. })
    }

    /// The value that a new customer has unless told otherwise.
    ///
    /// Null for the account: the service makes one.
    pub fn default(&self) -> Value<'static> {
        match (self.of_new)(&NewCustomer::default()) {
            Value::Null => Value::Null,
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Integer(number) => Value::Integer(number),
            Value::Boolean(boolean) => Value::Boolean(boolean),
        }
    }

    /// The value that a customer has.
    pub fn of<'a>(&self, customer: &'a Customer) -> Value<'a> {
        (self.of)(customer)
    }

    pub(crate) fn broken(&self, customer: &NewCustomer) -> Vec<Rule> {
        self.kind.broken(&(self.of_new)(customer))
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
