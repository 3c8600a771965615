//! The filters and the order of a list: what may be asked for, and what it means.

use customers_domain::lenient::{self, Sent, is_integer};
use customers_domain::search::{MAX_TERM_CHARS, MAX_TERM_WORDS, SearchTerm};
use customers_domain::selection::{Filter, Order, Selection, Sort, SortKey, Trashed, filter_key};
use customers_domain::text::trim;
use customers_domain::token::Scope;
use customers_domain::{
    ATTRIBUTES, Attribute, CustomerId, Kind, PhoneDigits, Rule, Timestamp, fold,
};

use super::FilterTexts;
use crate::auth::insufficient_scope;
use crate::error::{ApiError, in_words, listed};
use crate::problem::Code;

/// The most values of a filter that looks customers up by who they are.
const MAX_IDENTITIES: usize = 1_000;

/// The most values of another filter.
const MAX_VALUES: usize = 100;

/// What customers may be filtered by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FilteredBy {
    Id,
    Attribute(&'static Attribute),
    Name,
    Phone,
    CreatedAfter,
    CreatedBefore,
    UpdatedAfter,
    UpdatedBefore,
    TermMatch,
    Trashed,
}

impl FilteredBy {
    /// All that there is, in the order in which it is told.
    pub fn all() -> impl Iterator<Item = Self> {
        let attributes = ATTRIBUTES.iter().filter(|it| it.filtered).map(Self::Attribute);
        let others = [
            Self::Name,
            Self::Phone,
            Self::CreatedAfter,
            Self::CreatedBefore,
            Self::UpdatedAfter,
            Self::UpdatedBefore,
            Self::TermMatch,
            Self::Trashed,
        ];
        [Self::Id].into_iter().chain(attributes).chain(others)
    }

    /// The name in the brackets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Attribute(attribute) => attribute.name,
            Self::Name => "name",
            Self::Phone => "phone",
            Self::CreatedAfter => "created_after",
            Self::CreatedBefore => "created_before",
            Self::UpdatedAfter => "updated_after",
            Self::UpdatedBefore => "updated_before",
            Self::TermMatch => "term_match",
            Self::Trashed => "trashed",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::all().find(|it| it.name() == name)
    }

    /// Whether a filter names one customer. A blank one matches no customer: a telephone system that
    /// looks up a withheld number must not be shown all customers.
    fn is_identity(self) -> bool {
        match self {
            Self::Id | Self::Phone => true,
            Self::Attribute(attribute) => matches!(attribute.kind, Kind::Account | Kind::Emails),
            _ => false,
        }
    }

    /// The most values of the filter.
    fn max_values(self) -> usize {
        match self {
            Self::Id => MAX_IDENTITIES,
            Self::Attribute(attribute) if attribute.kind == Kind::Account => MAX_IDENTITIES,
            _ => MAX_VALUES,
        }
    }

    /// The filter for what is left of the values of a text; without any values, it matches no
    /// customer, unless the text is blank and the filter names no customer.
    fn of_values<T>(
        self,
        texts: &[String],
        values: Vec<T>,
        filter: impl Fn(Vec<T>) -> Filter,
    ) -> Option<Filter> {
        let is_blank =
            || texts.iter().flat_map(|text| alternatives(text)).all(|text| trim(&text).is_empty());
        match values.is_empty() {
            false => Some(filter(values)),
            true => (self.is_identity() || !is_blank()).then_some(Filter::Nobody),
        }
    }

    /// What is filtered for by these texts; `None` where they are blank and say nothing.
    fn read(self, texts: &[String]) -> Result<Option<Filter>, ApiError> {
        match self {
            Self::Id => {
                let ids = self.each(texts, |text| match is_integer(&text) {
                    // No customer has an id beyond those that there are.
                    true => Ok(text.parse().ok().and_then(CustomerId::new)),
                    false => Err(Rule::Integer),
                })?;
                Ok(self.of_values(texts, ids.into_iter().flatten().collect(), Filter::Id))
            }
            Self::Attribute(attribute) => {
                let read =
                    |text: String| lenient::read(attribute.kind, Sent::Text(&text)).map(filter_key);
                let any_of = self.each(texts, read)?;
                Ok(self.of_values(texts, any_of, |any_of| Filter::Attribute { attribute, any_of }))
            }
            Self::Name => {
                let mut names = self.each(texts, |text| Ok(fold(&text)))?;
                // Every name holds what folds to nothing, and no customer is looked for by it.
                names.retain(|name| !name.is_empty());
                Ok(self.of_values(texts, names, Filter::Name))
            }
            Self::Phone => {
                let numbers = self.each(texts, |text| Ok(PhoneDigits::of(&text)))?;
                Ok(self.of_values(texts, numbers.into_iter().flatten().collect(), Filter::Phone))
            }
            Self::CreatedAfter => self.moment(texts, Filter::CreatedFrom),
            Self::CreatedBefore => self.moment(texts, Filter::CreatedBefore),
            Self::UpdatedAfter => self.moment(texts, Filter::UpdatedFrom),
            Self::UpdatedBefore => self.moment(texts, Filter::UpdatedBefore),
            Self::TermMatch => {
                let text = self.whole(texts)?;
                if text.chars().count() as u64 > MAX_TERM_CHARS {
                    return Err(self.wrong(Rule::MaxChars(MAX_TERM_CHARS)));
                }
                if text.is_empty() {
                    return Ok(None);
                }
                let term = bounded(SearchTerm::new(text), "term match filter")?;
                Ok(Some(term.map_or(Filter::Nobody, Filter::Term)))
            }
            // Which is no filter among others: see `trashed`.
            Self::Trashed => Ok(None),
        }
    }

    /// Each of the values that a comma stands between, unless it is blank. `\,` is a comma.
    fn each<T>(
        self,
        texts: &[String],
        read: impl Fn(String) -> Result<T, Rule>,
    ) -> Result<Vec<T>, ApiError> {
        let mut values = Vec::new();
        for value in texts.iter().flat_map(|text| alternatives(text)) {
            let value = self.clean(&value)?;
            if !value.is_empty() {
                if values.len() == self.max_values() {
                    return Err(invalid_filter(format!(
                        "The {} filter must not have more than {} values.",
                        in_words(self.name()),
                        self.max_values()
                    )));
                }
                values.push(read(value.to_owned()).map_err(|rule| self.wrong(rule))?);
            }
        }
        Ok(values)
    }

    /// The last of the texts, in which a comma is a comma.
    fn whole(self, texts: &[String]) -> Result<&str, ApiError> {
        self.clean(texts.last().map_or("", String::as_str))
    }

    /// The text trimmed. What no attribute may hold no filter may ask for.
    fn clean(self, text: &str) -> Result<&str, ApiError> {
        let text = trim(text);
        match text.chars().any(char::is_control) {
            true => Err(self.wrong(Rule::ControlCharacter)),
            false => Ok(text),
        }
    }

    fn moment(
        self,
        texts: &[String],
        filter: impl Fn(Timestamp) -> Filter,
    ) -> Result<Option<Filter>, ApiError> {
        let text = self.whole(texts)?;
        if text.is_empty() {
            return Ok(None);
        }
        let moment = moment(text).ok_or_else(|| {
            let name = in_words(self.name());
            invalid_filter(format!(
                "The {name} filter must be a date such as 2026-08-04 or 2026-08-04T10:42:27Z."
            ))
        })?;
        Ok(Some(filter(moment)))
    }

    fn wrong(self, rule: Rule) -> ApiError {
        invalid_filter(format!("The {} filter {rule}.", in_words(self.name())))
    }
}

/// Which customers are asked for.
///
/// # Errors
///
/// 400 where a filter is unknown or is of the wrong kind, 403 where deleted customers are asked for by
/// somebody of a scope that may not see them.
pub(crate) fn selection(texts: &FilterTexts, scope: Scope) -> Result<Selection, ApiError> {
    let trashed = texts
        .get(FilteredBy::Trashed.name())
        .map_or("", |texts| texts.last().map_or("", |text| trim(text)));
    if !trashed.is_empty() && !scope.includes(Scope::Write) {
        return Err(insufficient_scope());
    }
    let mut unknown = Vec::new();
    let mut known = Vec::new();
    for (name, texts) in texts {
        match FilteredBy::named(name) {
            Some(by) => known.push((by, texts)),
            None => unknown.push(name.as_str()),
        }
    }
    if !unknown.is_empty() {
        return Err(unknown_filters(&unknown));
    }
    let mut filters = Vec::new();
    for (by, texts) in known {
        filters.extend(by.read(texts)?);
    }
    let trashed = match trashed.to_ascii_lowercase().as_str() {
        "" => Trashed::Without,
        "with" => Trashed::With,
        "only" => Trashed::Only,
        _ => return Err(invalid_filter("The trashed filter must be with or only.")),
    };
    Ok(Selection { filters, trashed })
}

/// The term, unless it has more words than a search takes.
///
/// # Errors
///
/// 400 where it has.
pub(crate) fn bounded(
    term: Option<SearchTerm>,
    name: &str,
) -> Result<Option<SearchTerm>, ApiError> {
    match term {
        Some(term) if term.words().len() > MAX_TERM_WORDS => Err(too_many_words(name)),
        term => Ok(term),
    }
}

/// That a term has too many words.
pub(crate) fn too_many_words(name: &str) -> ApiError {
    invalid_filter(format!("The {name} must not have more than {MAX_TERM_WORDS} words."))
}

/// In which order they are asked for.
///
/// # Errors
///
/// 400 where there is no such order.
pub(crate) fn order(text: &str) -> Result<Order, ApiError> {
    let mut unknown = Vec::new();
    let mut sorts = Vec::new();
    for name in text.split(',').map(trim).filter(|name| !name.is_empty()) {
        let (name, descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        match SortKey::ALL.into_iter().find(|key| key.name() == name) {
            Some(key) => sorts.push(Sort { key, descending }),
            None => unknown.push(name),
        }
    }
    if unknown.is_empty() { Ok(Order::new(sorts)) } else { Err(unknown_sorts(&unknown)) }
}

/// That there are no such filters.
pub(crate) fn unknown_filters(names: &[&str]) -> ApiError {
    let allowed: Vec<_> = FilteredBy::all().map(FilteredBy::name).collect();
    invalid_filter(format!(
        "Requested filter(s) `{}` are not allowed. Allowed filter(s) are `{}`.",
        listed(names),
        allowed.join(", ")
    ))
}

/// That customers cannot be sorted so.
pub(crate) fn unknown_sorts(names: &[&str]) -> ApiError {
    let message = format!(
        "Requested sort(s) `{}` is not allowed. Allowed sort(s) are `{}`.",
        listed(names),
        SortKey::ALL.map(SortKey::name).join(", ")
    );
    ApiError::new(Code::InvalidSort, message)
}

fn invalid_filter(message: impl Into<String>) -> ApiError {
    ApiError::new(Code::InvalidFilter, message)
}

/// The values that commas separate.
fn alternatives(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ',' => values.push(String::new()),
            c => {
                let c = if c == '\\' { chars.next_if_eq(&',').unwrap_or(c) } else { c };
                values.last_mut().expect("at least one").push(c);
            }
        }
    }
    values
}

/// A moment as RFC 3339 writes it, or a date, which begins at midnight UTC.
fn moment(text: &str) -> Option<Timestamp> {
    if let Some(midnight) = Timestamp::of_date(text) {
        return Some(midnight);
    }
    // A plus sign in front of an offset that is not encoded arrives as a space.
    match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't']) => {
            format!("{time}+{offset}").parse().ok()
        }
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use customers_domain::Value;

    use super::*;

    fn read(filters: &[(&str, &str)]) -> Result<Selection, String> {
        let texts = filters.iter().map(|(name, text)| (name.to_string(), vec![text.to_string()]));
        selection(&texts.collect(), Scope::Write).map_err(|error| {
            assert_eq!(error.code, Code::InvalidFilter);
            error.message
        })
    }

    fn only(name: &str, text: &str) -> Option<Filter> {
        let mut filters = read(&[(name, text)]).unwrap().filters;
        assert!(filters.len() <= 1);
        filters.pop()
    }

    fn any_of(name: &str, text: &str) -> Vec<Value<'static>> {
        match only(name, text) {
            Some(Filter::Attribute { attribute, any_of }) if attribute.name == name => any_of,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_comma_means_or_and_behind_a_backslash_a_comma() {
        let texts = |texts: &[&str]| -> Vec<_> {
            texts.iter().map(|text| Value::Text(text.to_string().into())).collect()
        };
        assert_eq!(any_of("type", "SAS, Société ,"), texts(&["sas", "societe"]));
        assert_eq!(any_of("type", r"a\,b,c\d\\,e"), texts(&["a,b", r"c\d\,e"]));
        assert_eq!(any_of("brand_id", "1, 2,-3"), [1, 2, -3].map(Value::Integer));
        assert_eq!(any_of("vip", "yes"), [Value::Boolean(true)]);
        let ids = ["1", "7"].map(|id| CustomerId::new(id.parse().unwrap()).unwrap());
        assert_eq!(only("id", "1,7"), Some(Filter::Id(ids.to_vec())));
    }

    #[test]
    fn blank_identities_match_nobody_and_other_blanks_say_nothing() {
        for blank in ["", " ", ",", " ,\u{a0}", "\u{200B},\u{feff}"] {
            for name in ["id", "customerAccount", "phone", "emailAddress"] {
                assert_eq!(only(name, blank), Some(Filter::Nobody), "{name}");
            }
            for name in ["brand_id", "type", "name", "vip", "mainAddressCity"] {
                assert_eq!(only(name, blank), None, "{name}");
            }
        }
        for name in ["created_after", "updated_before", "term_match", "trashed"] {
            assert_eq!(only(name, " "), None, "{name}");
        }
    }

    #[test]
    fn what_folds_to_nothing_matches_nobody() {
        for name in ["name", "term_match"] {
            assert_eq!(only(name, "\u{301}"), Some(Filter::Nobody), "{name}");
        }
        assert_eq!(only("name", "a,\u{301}"), Some(Filter::Name(vec!["a".into()])));
        assert_eq!(any_of("type", "\u{301}"), [Value::Text("".into())]);
    }

    #[test]
    fn what_nobody_can_have_matches_nobody() {
        for id in ["0", "0,-1,9007199254740992,99999999999999999999"] {
            assert_eq!(only("id", id), Some(Filter::Nobody));
        }
        for phone in ["anonymous", "+", "00", "+,0"] {
            assert_eq!(only("phone", phone), Some(Filter::Nobody), "{phone}");
        }
    }

    #[test]
    fn the_wrong_kind_is_told() {
        for (name, text, message) in [
            ("brand_id", "one", "The brand id filter must be an integer."),
            ("brand_id", "1,2.0", "The brand id filter must be an integer."),
            ("brand_id", "2147483648", "The brand id filter must not be greater than 2147483647."),
            ("vip", "maybe", "The vip filter must be true or false."),
            ("id", "CL1", "The id filter must be an integer."),
            ("id", "01", "The id filter must be an integer."),
            ("type", "a\0b", "The type filter must not contain control characters."),
            ("term_match", "a\nb", "The term match filter must not contain control characters."),
            (
                "created_after",
                "yesterday",
                "The created after filter must be a date such as 2026-08-04 or 2026-08-04T10:42:27Z.",
            ),
            ("trashed", "yes", "The trashed filter must be with or only."),
        ] {
            assert_eq!(read(&[(name, text)]), Err(message.to_owned()));
        }
        let long = "x".repeat(256);
        assert!(read(&[("term_match", &long)]).unwrap_err().contains("255 characters"));
    }

    #[test]
    fn a_filter_has_so_many_values_and_a_term_so_many_words() {
        let values = |count: usize| vec!["1"; count].join(", ,");
        for (name, most) in [
            ("id", 1000),
            ("customerAccount", 1000),
            ("phone", 100),
            ("emailAddress", 100),
            ("name", 100),
            ("brand_id", 100),
            ("vip", 100),
        ] {
            assert!(only(name, &values(most)).is_some(), "{name}");
            let refused = read(&[(name, &values(most + 1))]).unwrap_err();
            assert!(
                refused.ends_with(&format!("must not have more than {most} values.")),
                "{refused}"
            );
        }
        assert!(only("term_match", &"a ".repeat(10)).is_some());
        assert_eq!(
            read(&[("term_match", &"a ".repeat(11))]).unwrap_err(),
            "The term match filter must not have more than 10 words."
        );
    }

    #[test]
    fn unknown_filters_are_told_together() {
        let message = read(&[("foo", ""), ("name", "a"), ("website", "b")]).unwrap_err();
        let allowed = "id, brand_id, representative_id, customerAccount, accountsReference, \
                       registrationNumber, taxRegistrationNumber, type, mainAddressPostalCode, \
                       mainAddressCity, mainAddressCountry, emailAddress, active, isReseller, \
                       onCallDuty, vip, name, phone, created_after, created_before, \
                       updated_after, updated_before, term_match, trashed";
        assert_eq!(
            message,
            format!(
                "Requested filter(s) `foo, website` are not allowed. Allowed filter(s) are \
                 `{allowed}`."
            )
        );
    }

    #[test]
    fn deleted_customers_are_not_for_those_who_only_read() {
        let trashed = |text: &str, scope| {
            let texts = [("trashed".to_owned(), vec![text.to_owned()])];
            selection(&texts.into(), scope).map(|selection| selection.trashed)
        };
        assert_eq!(trashed("only", Scope::Write).unwrap(), Trashed::Only);
        assert_eq!(trashed("WITH", Scope::Write).unwrap(), Trashed::With);
        assert_eq!(trashed("", Scope::Read).unwrap(), Trashed::Without);
        let refused = trashed("with", Scope::Read).unwrap_err();
        assert_eq!(refused.code, Code::InsufficientScope);
    }

    #[test]
    fn moments_are_rfc_3339_or_dates() {
        let micros = |text| moment(text).map(Timestamp::as_micros);
        let noon = micros("2026-08-04T12:00:00Z").unwrap();
        assert_eq!(micros("2026-08-04").unwrap(), noon - 12 * 3_600_000_000);
        assert_eq!(micros("2026-08-04T14:00:00+02:00"), Some(noon));
        assert_eq!(micros("2026-08-04T14:00:00 02:00"), Some(noon));
        assert_eq!(micros("2026-08-04T12:00:00.0000019Z"), Some(noon + 1));
        for other in ["2026-02-30", "2026-8-4", "2026-08-04T12:00:00", "1785840147", "04/08/2026"] {
            assert_eq!(micros(other), None, "{other}");
        }
    }

    #[test]
    fn an_order_is_of_names_that_there_are() {
        let sorts = |text| order(text).map(|order| order.sorts().to_vec());
        let sort = |key, descending| Sort { key, descending };
        assert_eq!(
            sorts("-name, created_at,").unwrap(),
            [sort(SortKey::Name, true), sort(SortKey::CreatedAt, false), sort(SortKey::Id, false)]
        );
        assert_eq!(sorts("").unwrap(), [sort(SortKey::Id, false)]);
        let refused = sorts("foo,-id,-bar").unwrap_err();
        assert_eq!(refused.code, Code::InvalidSort);
        assert_eq!(
            refused.message,
            "Requested sort(s) `foo, bar` is not allowed. Allowed sort(s) are \
             `id, name, customerAccount, created_at, updated_at`."
        );
    }
}
