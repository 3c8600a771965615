//! The rules a customer must keep, and what is told when they are broken.

use std::fmt;

use validator::{ValidationError, ValidationErrors};

use crate::attribute::Attribute;

/// A rule that a value broke.
///
/// [`Display`](fmt::Display) gives the rule as the end of a sentence whose subject is the
/// attribute: "is required", "must be at least 1".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// There is no value where one is needed.
    Required,
    /// The value is not text.
    Text,
    /// The value is not a whole number.
    Integer,
    /// The value is neither true nor false.
    Boolean,
    /// The number is below this limit.
    Min(i32),
    /// The number is above this limit.
    Max(i32),
    /// The text has more characters (Unicode scalar values) than this.
    MaxChars(u64),
    /// The text holds a control character (Unicode category Cc).
    ControlCharacter,
    /// The text holds a format character (category Cf) or a line or paragraph separator
    /// (U+2028, U+2029), which nobody can see and two accounts must not differ by.
    FormatCharacter,
    /// The text is not one or more e-mail addresses.
    Emails,
    /// The value is no moment in time.
    Time,
    /// The text is `.` or `..`, which clients and proxies resolve away in a URL.
    DotSegment,
}

impl Rule {
    /// A short name for programs, the `code` of validator's errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Min(_) | Self::Max(_) => "range",
            Self::MaxChars(_) => "length",
            Self::ControlCharacter => "control_character",
            Self::FormatCharacter => "format_character",
            Self::Emails => "email",
            Self::Time => "time",
            Self::DotSegment => "dot_segment",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("is required"),
            Self::Text => f.write_str("must be a string"),
            Self::Integer => f.write_str("must be an integer"),
            Self::Boolean => f.write_str("must be true or false"),
            Self::Min(min) => write!(f, "must be at least {min}"),
            Self::Max(max) => write!(f, "must not be greater than {max}"),
            Self::MaxChars(max) => write!(f, "must not be greater than {max} characters"),
            Self::ControlCharacter => f.write_str("must not contain control characters"),
            Self::FormatCharacter => f.write_str("must not contain invisible characters"),
            Self::Emails => f.write_str("must be a valid email address"),
            Self::Time => f.write_str(
                "must be a date or a time such as 2026-08-04T10:42:27Z, from \
                 0001-01-01T00:00:00Z to 9999-12-30T22:00:00Z",
            ),
            Self::DotSegment => f.write_str("must not be \".\" or \"..\""),
        }
    }
}

impl std::error::Error for Rule {}

/// A rule, and the attribute whose value broke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// What is wrong with its value.
    pub rule: Rule,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.attribute.name, self.rule)
    }
}

/// Every rule that a customer breaks: first what is missing, then the rest in the order of the
/// attributes. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// `Ok` where there are none.
    pub(crate) fn unless_empty(mut violations: Vec<Violation>) -> Result<(), Self> {
        violations.sort_by_key(|violation| violation.rule != Rule::Required);
        if violations.is_empty() { Ok(()) } else { Err(Self(violations)) }
    }

    /// All of them, the first attribute's first.
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Violations {
    type Item = &'a Violation;
    type IntoIter = std::slice::Iter<'a, Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, violation) in self.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}

impl From<&Violations> for ValidationErrors {
    fn from(violations: &Violations) -> Self {
        let mut errors = Self::new();
        for Violation { attribute, rule } in violations {
            let error = ValidationError::new(rule.code()).with_message(rule.to_string().into());
            errors.add(attribute.name, error);
        }
        errors
    }
}
