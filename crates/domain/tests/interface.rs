//! The public interface as other services use it, so that a change that would break them does not
//! compile: every signature, every field, every variant, and every method that a store of theirs must
//! have. Where it has to be changed, the version has to be raised: the second number while the first
//! is 0. What is only added is added here.

#![expect(clippy::type_complexity, reason = "tuples are what the parts of a struct come out as")]

use std::borrow::Cow;
use std::collections::HashSet;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use customers_domain::history::{Action, Change, HistoryEntry, UnknownAction};
use customers_domain::import::{self, Incoming, OnConflict, Refusal, Verdict};
use customers_domain::lenient::{self, Sent, is_integer};
use customers_domain::password::{InvalidPassword, Password, PasswordHash};
use customers_domain::search::{MAX_HITS, MAX_TERM_CHARS, MAX_TERM_WORDS, SearchTerm, SearchWord};
use customers_domain::selection::{
    Filter, Listing, Order, Page, Place, Selection, Sort, SortKey, SortValue, Stretch, Trashed,
    filter_key, sort_key,
};
use customers_domain::text::trim;
use customers_domain::token::{
    AddTokenError, NewToken, Scope, Token, TokenDigest, TokenRepository, UnknownScope,
};
use customers_domain::user::{
    AddUserError, EmailAddress, EmailKey, InvalidEmailAddress, NewLogin, NewUser, User, UserId,
    UserRepository,
};
use customers_domain::{
    ATTRIBUTES, AccountKey, AccountNumbering, Attribute, Customer, CustomerAccount,
    CustomerChanges, CustomerDetails, CustomerId, CustomerRepository, ERASED_NAME, FOLD_VERSION,
    Idempotency, InvalidId, InvalidName, InvalidNumbering, InvalidTimestamp, Kind, Name,
    NewCustomer, Outcome, PhoneDigits, Precondition, RepositoryError, Revision, Revisions, Rule,
    Timestamp, Value, Violation, Violations, Write, WriteError, fold,
};

/// Functions and fields, by the type that they have.
macro_rules! have {
    ($($item:expr => $type:ty;)+) => { $( let _: $type = $item; )+ };
}

/// Types, by the traits that they implement.
macro_rules! are {
    ($($($type:ty),+ => $bounds:tt;)+) => { $( $( are!(@ $type, $bounds); )+ )+ };
    (@ $type:ty, ($($bounds:tt)+)) => {{
        fn is<T: $($bounds)+>() {}
        is::<$type>();
    }};
}

/// The fields of a customer's details. Further fields break nothing: details are made of the defaults,
/// or of other details.
macro_rules! details {
    ($([$type:ty] $($field:ident),+;)+) => {
        $( $( let _: fn(&CustomerDetails) -> &$type = |it| &it.$field; )+ )+
    };
}

#[test]
fn customers_and_their_accounts() {
    details! {
        [String]
            name, suppliers;
        [Option<String>]
            accounts_reference, brand, main_contact_first_name, main_contact_last_name,
            registration_number, tax_registration_number, activity_code, company_type, capital,
            main_address_line1, main_address_line2, main_address_postal_code, main_address_city,
            main_address_country, email_address, account_email_address, phone, mobile_phone, fax,
            website, logo, activity, category, qualification, language, cluster,
            number_for_eligibility, sms_authorisation, sms_expeditor_name, charge_grouping_account,
            motive_for_balance, technical_url, custom_note, comment;
        [i32]
            brand_id, prospection_code_id, zone, language_id, reseller_level, supplier;
        [Option<i32>]
            representative_id, sector_id, origin_id, balance;
        [bool]
            abroad, active, is_reseller, charge_vat, apply_vat_auto_reverse_operators,
            on_call_duty, vip, accept_emails, accept_calls, can_send_sms, merge_invoices,
            is_grouping_account, is_payer, quick_search_index;
    }
    have! {
        |NewCustomer { account, details }| (account, details)
            => fn(NewCustomer) -> (Option<CustomerAccount>, Box<CustomerDetails>);
        |Customer { id, account, details, created_at, updated_at, deleted_at }| {
            (id, account, details, [created_at, updated_at], deleted_at)
        } => fn(Customer) -> Parts;
        NewCustomer::check => fn(&NewCustomer) -> Result<(), Violations>;
        NewCustomer::into_customer
            => fn(NewCustomer, CustomerId, CustomerAccount, Timestamp) -> Customer;
        |given| NewCustomer::from_values(given) => fn(Vec<Given>) -> Result<NewCustomer, Violations>;
        Customer::changes_since => fn(&Customer, Option<&Customer>) -> Vec<Change>;
        Customer::erased => fn(&Customer) -> Customer;
        ERASED_NAME => &'static str;
        |it, other| it.differences(other).collect() => fn(&Customer, &Customer) -> Vec<usize>;
        Customer::searched_text => fn(&Customer) -> String;
        Customer::phone_digits => fn(&Customer) -> Vec<PhoneDigits>;
        CustomerId::MIN => CustomerId;
        CustomerId::MAX => CustomerId;
        CustomerId::new => fn(i64) -> Option<CustomerId>;
        CustomerId::get => fn(CustomerId) -> i64;
        CustomerAccount::new => fn(&str) -> Result<CustomerAccount, Rule>;
        CustomerAccount::broken => fn(&str) -> Vec<Rule>;
        CustomerAccount::as_str => fn(&CustomerAccount) -> &str;
        CustomerAccount::key => fn(&CustomerAccount) -> AccountKey;
        AccountKey::as_str => fn(&AccountKey) -> &str;
        AccountNumbering::new => fn(&str, usize) -> Result<AccountNumbering, InvalidNumbering>;
        AccountNumbering::number => fn(&AccountNumbering, &CustomerAccount) -> Option<u64>;
        AccountNumbering::account => fn(&AccountNumbering, u64) -> CustomerAccount;
        |it, id| it.candidates(id).collect()
            => fn(&AccountNumbering, CustomerId) -> Vec<CustomerAccount>;
        |given| CustomerChanges::from_values(given)
            => fn(Vec<Given>) -> Result<CustomerChanges, Violations>;
        CustomerChanges::is_empty => fn(&CustomerChanges) -> bool;
        CustomerChanges::take => fn(&mut CustomerChanges, &str) -> Option<Value<'static>>;
        |it| it.iter().collect()
            => fn(&CustomerChanges) -> Vec<(&'static Attribute, &Value<'static>)>;
        CustomerChanges::apply => fn(&CustomerChanges, &mut Customer);
        CustomerChanges::new_customer => fn(&CustomerChanges) -> Result<NewCustomer, Violations>;
        PhoneDigits::of => fn(&str) -> Option<PhoneDigits>;
        PhoneDigits::of_number => fn(&str) -> Option<PhoneDigits>;
        PhoneDigits::reversed => fn(&PhoneDigits) -> String;
        PhoneDigits::reversed_ends => fn(&PhoneDigits) -> Vec<String>;
        PhoneDigits::is_suffix => fn(&PhoneDigits) -> bool;
        PhoneDigits::matches => fn(&PhoneDigits, &PhoneDigits) -> bool;
        fold => fn(&str) -> String;
        trim => fn(&str) -> &str;
        FOLD_VERSION => i32;
        Timestamp::UNIX_EPOCH => Timestamp;
        Timestamp::nearest_to_micros => fn(i64) -> Timestamp;
        Timestamp::now => fn() -> Timestamp;
        Timestamp::from_micros => fn(i64) -> Option<Timestamp>;
        Timestamp::of_date => fn(&str) -> Option<Timestamp>;
        Timestamp::as_micros => fn(Timestamp) -> i64;
        Timestamp::append_to => fn(Timestamp, &mut Vec<u8>);
        Timestamp::saturating_add => fn(Timestamp, Duration) -> Timestamp;
    }
    are! {
        CustomerDetails, NewCustomer, CustomerChanges, AccountNumbering => (Clone + Debug + Default + Eq);
        NewCustomer => (validator::Validate + From<CustomerDetails>);
        Customer => (Clone + Debug + Eq);
        CustomerId, Timestamp => (Copy + Debug + Display + Eq + Hash + Ord);
        CustomerId => (TryFrom<i64, Error = InvalidId>);
        Timestamp => (FromStr<Err = InvalidTimestamp>);
        InvalidId, InvalidTimestamp => (Copy + Debug + Eq + Error);
        CustomerAccount => (Clone + Debug + Display + Eq + Hash + Into<String> + TryFrom<String>);
        AccountKey => (Clone + Debug + Display + Eq + Hash + Ord + Into<String>);
        PhoneDigits => (Clone + Debug + Eq + Hash + Ord);
    }
}

/// The parts of a customer.
type Parts = (CustomerId, CustomerAccount, Box<CustomerDetails>, [Timestamp; 2], Option<Timestamp>);

/// A value that was read for an attribute, or the rule that reading it broke.
type Given = (&'static Attribute, Result<Value<'static>, Rule>);

#[test]
fn attributes_and_rules() {
    have! {
        ATTRIBUTES => &'static [Attribute];
        |it| &it.name => fn(&Attribute) -> &&'static str;
        |it| &it.kind => fn(&Attribute) -> &Kind;
        |it| &it.meaning => fn(&Attribute) -> &&'static str;
        |it| &it.nullable => fn(&Attribute) -> &bool;
        |it| &it.field => fn(&Attribute) -> &&'static str;
        |it| &it.filtered => fn(&Attribute) -> &bool;
        Attribute::required => fn(&Attribute) -> bool;
        Attribute::default => fn(&Attribute) -> Value<'static>;
        Attribute::cleared => fn(&Attribute) -> Option<Value<'static>>;
        Attribute::of => for<'a> fn(&Attribute, &'a Customer) -> Value<'a>;
        Attribute::set => fn(&Attribute, &mut Customer, Value<'_>) -> Result<(), Rule>;
        Attribute::named => fn(&str) -> Option<&'static Attribute>;
        Kind::max_chars => fn(Kind) -> Option<u64>;
        Kind::rule => fn(Kind) -> Rule;
        |value| value.into_owned() => fn(Value<'_>) -> Value<'static>;
        Rule::code => fn(&Rule) -> &'static str;
        |Violation { attribute, rule }| (attribute, rule)
            => fn(Violation) -> (&'static Attribute, Rule);
        Violations::iter => fn(&Violations) -> std::slice::Iter<'_, Violation>;
        |it| it.into_iter() => fn(&Violations) -> std::slice::Iter<'_, Violation>;
        |it| it.into() => fn(&Violations) -> validator::ValidationErrors;
        |kind| match kind {
            Kind::Text { min_chars: _, max_chars } | Kind::Lines { max_chars } => Some(max_chars),
            Kind::Integer { min: i32::MIN.. } | Kind::Emails | Kind::Account | Kind::Boolean => None,
        } => fn(Kind) -> Option<u64>;
        |value| match value {
            Value::Text(text) => Some(text),
            Value::Null | Value::Integer(i32::MIN..) | Value::Boolean(false | true) => None,
        } => fn(Value<'_>) -> Option<Cow<'_, str>>;
        // There may be further rules.
        |rule| match rule {
            Rule::Min(limit) | Rule::Max(limit) => i64::from(limit),
            Rule::MaxChars(limit) => limit as i64,
            Rule::Required | Rule::Text | Rule::Integer | Rule::Boolean | Rule::Time => 0,
            Rule::ControlCharacter | Rule::FormatCharacter | Rule::Emails | Rule::DotSegment => 0,
            _ => 0,
        } => fn(Rule) -> i64;
        |invalid| match invalid {
            InvalidNumbering::Prefix | InvalidNumbering::Width => (),
        } => fn(InvalidNumbering);
    }
    are! {
        Attribute => (Debug + Eq + Sync);
        Kind => (Copy + Debug + Eq);
        Value<'static> => (Clone + Debug + Eq);
        Rule, InvalidNumbering => (Copy + Debug + Eq + Error + Send + Sync);
        Violation => (Copy + Debug + Display + Eq);
        Violations => (Clone + Debug + Eq + Error + Send + Sync);
    }
}

#[test]
fn what_was_sent_and_what_comes_in() {
    have! {
        lenient::read => for<'a> fn(Kind, Sent<'a>) -> Result<Value<'a>, Rule>;
        lenient::id => fn(Sent<'_>) -> Result<Option<CustomerId>, Rule>;
        lenient::time => fn(Sent<'_>) -> Result<Option<Timestamp>, Rule>;
        is_integer => fn(&str) -> bool;
        |sent| sent.is_nothing() => fn(Sent<'_>) -> bool;
        |sent| match sent {
            Sent::Number(text) | Sent::Text(text) => Some(text),
            Sent::Null | Sent::Boolean(false | true) | Sent::Other => None,
        } => fn(Sent<'_>) -> Option<&str>;
        import::CLOCK_TOLERANCE => Duration;
        || import::names().collect() => fn() -> Vec<&'static str>;
        |Incoming { id, changes, created_at, updated_at, deleted_at }| {
            (id, changes, [created_at, updated_at], deleted_at)
        } => fn(Incoming) -> Moments;
        Incoming::account => fn(&Incoming) -> Option<CustomerAccount>;
        Incoming::name => fn(&Incoming) -> Option<&str>;
        |it, of_id, of_account, on_conflict, now, came_before| {
            it.onto(of_id, of_account, on_conflict, now, came_before)
        } => fn(
            &Incoming,
            Option<&Customer>,
            Option<&Customer>,
            OnConflict,
            Timestamp,
            fn(CustomerId) -> bool,
        ) -> Verdict;
        Incoming::applied_to => fn(&Incoming, &Customer) -> Customer;
        Incoming::create
            => fn(&Incoming, NewCustomer, CustomerId, CustomerAccount, Timestamp) -> Customer;
        Incoming::is_had_by => fn(&Incoming, &Customer) -> bool;
        |it| match it { OnConflict::Fail | OnConflict::Skip | OnConflict::Update => () }
            => fn(OnConflict);
        |it| match it {
            Verdict::Create(new) => drop::<NewCustomer>(new),
            Verdict::Change(before, after) => drop::<[Customer; 2]>([before, after]),
            Verdict::Unchanged(CustomerId { .. }) | Verdict::Skip(CustomerId { .. }) => (),
            Verdict::Refuse(refusal) => drop::<Refusal>(refusal),
        } => fn(Verdict);
        |it| match it {
            Refusal::Exists { id, differing } | Refusal::Repeated { id, differing } => {
                Ok((id, differing))
            }
            Refusal::AccountTaken { id } | Refusal::Deleted { id } => Ok((id, Vec::new())),
            Refusal::TimesCrossed { created_at } => Err(Err(created_at)),
            Refusal::InFuture { now } => Err(Err(now)),
            Refusal::Incomplete(violations) => Err(Ok(violations)),
        } => fn(Refusal) -> Result<(CustomerId, Vec<String>), Result<Violations, Timestamp>>;
    }
    are! {
        Sent<'static> => (Copy + Debug + Eq);
        OnConflict => (Copy + Debug + Default + Eq);
        Incoming, Verdict => (Clone + Debug + Eq);
        Refusal => (Clone + Debug + Eq + Error + Send + Sync);
    }
}

/// What is told of a customer that comes in.
type Moments =
    (Option<CustomerId>, CustomerChanges, [Option<Timestamp>; 2], Option<Option<Timestamp>>);

#[test]
fn history_and_writes() {
    have! {
        Action::ALL => [Action; 5];
        Action::as_str => fn(Action) -> &'static str;
        |it| match it {
            Action::Created | Action::Updated | Action::Deleted | Action::Restored => (),
            Action::Erased => (),
        } => fn(Action);
        |Change { name, from, to }| (name, from, to)
            => fn(Change) -> (String, Value<'static>, Value<'static>);
        |HistoryEntry { id, at, actor, action, request_id, changes }| {
            (id, at, actor, action, request_id, changes)
        } => fn(HistoryEntry) -> (i64, Timestamp, String, Action, String, Vec<Change>);
        |Write { actor, request_id, precondition, idempotency }| {
            (actor, request_id, precondition, idempotency)
        } => fn(Write) -> (String, String, Precondition, Option<Idempotency>);
        Customer::revision => fn(&Customer) -> Revision;
        |Revision { id, updated_at }| (id, updated_at) => fn(Revision) -> (CustomerId, Timestamp);
        Revisions::contain => fn(&Revisions, Option<&Customer>) -> bool;
        |revisions| match revisions {
            Revisions::Any => None,
            Revisions::OneOf(revisions) => Some(revisions),
        } => fn(Revisions) -> Option<Vec<Revision>>;
        |Precondition { expected, excluded }| [expected, excluded]
            => fn(Precondition) -> [Option<Revisions>; 2];
        Precondition::holds => fn(&Precondition, Option<&Customer>) -> bool;
        Precondition::is_none => fn(&Precondition) -> bool;
        Idempotency::KEPT_FOR => Duration;
        |Idempotency { key, fingerprint }| (key, fingerprint)
            => fn(Idempotency) -> ([u8; 32], [u8; 32]);
        |outcome| match outcome {
            Outcome::Applied(customer) | Outcome::Replayed(customer) => Ok(customer),
            Outcome::ReplayedAnswer(answer) => Err(answer),
        } => fn(Outcome) -> Result<Customer, Vec<u8>>;
        |error| match error {
            WriteError::NotFound | WriteError::PreconditionFailed => None,
            WriteError::KeyReused | WriteError::KeyInProgress => None,
            WriteError::Incomplete(Violations { .. }) => None,
            WriteError::AccountTaken { id, deleted } => Some((id, deleted)),
            WriteError::Repository(RepositoryError::Unavailable(_)) => None,
            WriteError::Repository(RepositoryError::Internal(_)) => None,
        } => fn(WriteError) -> Option<(CustomerId, bool)>;
        RepositoryError::Unavailable => fn(Box<dyn Error + Send + Sync>) -> RepositoryError;
        RepositoryError::Internal => fn(Box<dyn Error + Send + Sync>) -> RepositoryError;
    }
    are! {
        Action => (Copy + Debug + Eq + FromStr<Err = UnknownAction>);
        UnknownAction => (Copy + Debug + Eq + Error);
        Change, HistoryEntry, Outcome, Idempotency, Revisions => (Clone + Debug + Eq);
        Precondition => (Clone + Debug + Default + Eq);
        Revision => (Copy + Debug + Eq + Hash);
        Write => (Clone + Debug + Send);
        WriteError => (Debug + Error + Send + Sync + From<RepositoryError>);
        RepositoryError => (Debug + Error + Send + Sync);
    }
}

#[test]
fn lists_and_searches() {
    have! {
           MAX_HITS => usize;
           MAX_TERM_CHARS => u64;
           MAX_TERM_WORDS => usize;
           SearchTerm::new => fn(&str) -> Option<SearchTerm>;
           SearchTerm::whole => fn(&SearchTerm) -> &str;
           SearchTerm::words => fn(&SearchTerm) -> &[SearchWord];
           SearchTerm::number => fn(&SearchTerm) -> Option<&PhoneDigits>;
           SearchTerm::has_long_word => fn(&SearchTerm) -> bool;
           SearchWord::is_long => fn(&SearchWord) -> bool;
           |SearchWord { text, number }| (text, number) => fn(SearchWord) -> (String, Option<PhoneDigits>);
           SortKey::ALL => [SortKey; 5];
           SortKey::name => fn(SortKey) -> &'static str;
           filter_key => fn(Value<'_>) -> Value<'static>;
           sort_key => fn(&str) -> &str;
           |sorts| Order::new(sorts) => fn(Vec<Sort>) -> Order;
           Order::sorts => fn(&Order) -> &[Sort];
           Order::place_of => fn(&Order, &Customer) -> Place;
           Order::place => fn(&Order, Vec<SortValue>) -> Option<Place>;
           Place::values => fn(&Place) -> &[SortValue];
           |Listing { customers, total }| (customers, total) => fn(Listing) -> (Vec<Customer>, u64);
           |Page { skip, take }| (skip, take) => fn(Page) -> (u64, u32);
           |Stretch { from, backwards, take }| (from, backwards, take)
               => fn(Stretch) -> (Option<Place>, bool, u32);
           |Sort { key, descending }| (key, descending) => fn(Sort) -> (SortKey, bool);
           |Selection { filters, trashed }| (filters, trashed) => fn(Selection) -> (Vec<Filter>, Trashed);
           |it| match it { Trashed::Without | Trashed::With | Trashed::Only => () } => fn(Trashed);
           |it| match it {
               SortKey::Id | SortKey::Name | SortKey::CustomerAccount => (),
               SortKey::CreatedAt | SortKey::UpdatedAt => (),
           } => fn(SortKey);
           |it| match it {
               SortValue::Number(number) => Ok(number),
               SortValue::Text(text) => Err(text),
           } => fn(SortValue) -> Result<i64, String>;
           |it| match it {
               Filter::Id(ids) => drop::<Vec<CustomerId>>(ids),
               Filter::Attribute { attribute, any_of } => {
                   drop::<(&'static Attribute, Vec<Value<'static>>)>((attribute, any_of));
               }
               Filter::Name(names) => drop::<Vec<String>>(names),
               Filter::Phone(numbers) => drop::<Vec<PhoneDigits>>(numbers),
               Filter::CreatedFrom(at) | Filter::CreatedBefore(at) => {
    let _: Timestamp = at; },
               Filter::UpdatedFrom(at) | Filter::UpdatedBefore(at) => {
    let _: Timestamp = at; },
               Filter::Term(term) => drop::<SearchTerm>(term),
               Filter::Nobody => (),
           } => fn(Filter);
       }
    are! {
        SearchTerm, SearchWord, Filter, SortValue, Place, Listing, Stretch => (Clone + Debug + Eq);
        Order, Selection => (Clone + Debug + Default + Eq);
        SortKey => (Copy + Debug + Hash + Ord);
        Sort => (Copy + Debug + Eq + Hash);
        Trashed => (Copy + Debug + Default + Eq);
        Page => (Copy + Debug + Eq);
    }
}

#[test]
fn tokens_and_users() {
    have! {
        Scope::includes => fn(Scope, Scope) -> bool;
        Scope::as_str => fn(Scope) -> &'static str;
        |it| match it { Scope::Read | Scope::Write => () } => fn(Scope);
        Token::is_expired => fn(&Token, Timestamp) -> bool;
        TokenDigest => fn([u8; 32]) -> TokenDigest;
        |Token { name, user, scope, created_at, expires_at, last_used_at }| {
            (name, user, scope, created_at, [expires_at, last_used_at])
        } => fn(Token) -> (Name, Option<UserId>, Scope, Timestamp, [Option<Timestamp>; 2]);
        |NewToken { name, scope, digest, expires_at }| (name, scope, digest, expires_at)
            => fn(NewToken) -> (Name, Scope, TokenDigest, Option<Timestamp>);
        |error| match error {
            AddTokenError::NameTaken => None,
            AddTokenError::Repository(error) => Some(error),
        } => fn(AddTokenError) -> Option<RepositoryError>;
        Name::as_str => fn(&Name) -> &str;
        EmailAddress::as_str => fn(&EmailAddress) -> &str;
        EmailAddress::key => fn(&EmailAddress) -> EmailKey;
        EmailKey::of => fn(&str) -> Result<EmailKey, Rule>;
        EmailKey::as_str => fn(&EmailKey) -> &str;
        Password::MIN_CHARS => usize;
        Password::MAX_CHARS => usize;
        Password::shown => fn(&str) -> Result<Password, Rule>;
        Password::chosen => fn(&str) -> Result<Password, InvalidPassword>;
        Password::expose => fn(&Password) -> &str;
        PasswordHash::new => fn(String) -> PasswordHash;
        PasswordHash::expose => fn(&PasswordHash) -> &str;
        UserId::new => fn(i64) -> UserId;
        UserId::get => fn(UserId) -> i64;
        |User { id, email, name, scope, created_at, disabled_at }| {
            (id, email, name, scope, created_at, disabled_at)
        } => fn(User) -> (UserId, EmailAddress, Name, Scope, Timestamp, Option<Timestamp>);
        |NewUser { email, name, scope, password }| (email, name, scope, password)
            => fn(NewUser) -> (EmailAddress, Name, Scope, PasswordHash);
        |NewLogin { user, password, digest, expires_at }| (user, password, digest, expires_at)
            => fn(NewLogin) -> (UserId, PasswordHash, TokenDigest, Timestamp);
        |error| match error {
            AddUserError::EmailTaken => None,
            AddUserError::Repository(error) => Some(error),
        } => fn(AddUserError) -> Option<RepositoryError>;
    }
    are! {
        Scope => (Copy + Debug + Display + FromStr<Err = UnknownScope> + Ord);
        Name => (Clone + Debug + Display + Eq + FromStr<Err = InvalidName> + Hash);
        EmailAddress => (Clone + Debug + Display + Eq + FromStr<Err = InvalidEmailAddress>);
        EmailKey, UserId, TokenDigest => (Clone + Debug + Eq + Hash);
        Password, PasswordHash, Token, User => (Clone + Debug + Eq);
        NewToken, NewUser, NewLogin => (Clone + Debug);
        InvalidName, InvalidEmailAddress, InvalidPassword, UnknownScope => (Copy + Debug + Eq + Error);
        AddTokenError, AddUserError => (Debug + Error + Send + Sync + From<RepositoryError>);
    }
}

/// A store of somebody else's, which there is none of: what its methods must be is all there is to say.
enum Elsewhere {}

#[async_trait]
impl CustomerRepository for Elsewhere {
    async fn create(&self, _: NewCustomer, _: Write) -> Result<Outcome, WriteError> {
        match *self {}
    }

    async fn find(&self, _: CustomerId) -> Result<Option<Customer>, RepositoryError> {
        match *self {}
    }

    async fn find_by_account(&self, _: &AccountKey) -> Result<Option<Customer>, RepositoryError> {
        match *self {}
    }

    async fn update(
        &self,
        _: CustomerId,
        _: CustomerChanges,
        _: Write,
    ) -> Result<Customer, WriteError> {
        match *self {}
    }

    async fn upsert(
        &self,
        _: CustomerAccount,
        _: CustomerChanges,
        _: Write,
    ) -> Result<(Customer, bool), WriteError> {
        match *self {}
    }

    async fn delete(&self, _: CustomerId, _: Write) -> Result<(), WriteError> {
        match *self {}
    }

    async fn restore(&self, _: CustomerId, _: Write) -> Result<Outcome, WriteError> {
        match *self {}
    }

    async fn erase(&self, _: CustomerId, _: Write) -> Result<(Customer, bool), WriteError> {
        match *self {}
    }

    async fn list(&self, _: Selection, _: Order, _: Page) -> Result<Listing, RepositoryError> {
        match *self {}
    }

    async fn walk(
        &self,
        _: Selection,
        _: Order,
        _: Stretch,
    ) -> Result<Vec<Customer>, RepositoryError> {
        match *self {}
    }

    async fn search(&self, _: SearchTerm, _: Page) -> Result<Listing, RepositoryError> {
        match *self {}
    }

    async fn history(
        &self,
        _: CustomerId,
        _: Option<i64>,
        _: u32,
    ) -> Result<Option<Vec<HistoryEntry>>, RepositoryError> {
        match *self {}
    }

    async fn complete_until(&self) -> Result<Timestamp, RepositoryError> {
        match *self {}
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64, RepositoryError> {
        match *self {}
    }

    async fn ready(&self) -> Result<(), RepositoryError> {
        match *self {}
    }
}

#[async_trait]
impl TokenRepository for Elsewhere {
    async fn add(&self, _: NewToken) -> Result<(), AddTokenError> {
        match *self {}
    }

    async fn list(&self) -> Result<Vec<Token>, RepositoryError> {
        match *self {}
    }

    async fn revoke(&self, _: &Name) -> Result<bool, RepositoryError> {
        match *self {}
    }

    async fn revoke_by_digest(&self, _: &TokenDigest) -> Result<(), RepositoryError> {
        match *self {}
    }

    async fn find_by_digest(&self, _: &TokenDigest) -> Result<Option<Token>, RepositoryError> {
        match *self {}
    }

    async fn used(&self, _: &TokenDigest, _: Timestamp) -> Result<(), RepositoryError> {
        match *self {}
    }

    async fn any(&self) -> Result<bool, RepositoryError> {
        match *self {}
    }

    async fn sweep(&self, _: Timestamp) -> Result<u64, RepositoryError> {
        match *self {}
    }
}

#[async_trait]
impl UserRepository for Elsewhere {
    async fn add(&self, _: NewUser) -> Result<(), AddUserError> {
        match *self {}
    }

    async fn list(&self) -> Result<Vec<User>, RepositoryError> {
        match *self {}
    }

    async fn find_by_email(
        &self,
        _: &EmailKey,
    ) -> Result<Option<(User, PasswordHash)>, RepositoryError> {
        match *self {}
    }

    async fn log_in(&self, _: NewLogin) -> Result<bool, RepositoryError> {
        match *self {}
    }

    async fn set_password(&self, _: &EmailKey, _: PasswordHash) -> Result<bool, RepositoryError> {
        match *self {}
    }

    async fn disable(&self, _: &EmailKey) -> Result<bool, RepositoryError> {
        match *self {}
    }

    async fn enable(&self, _: &EmailKey) -> Result<bool, RepositoryError> {
        match *self {}
    }
}

#[test]
fn stores_are_used_as_objects() {
    let _: [fn(Arc<Elsewhere>); 3] = [
        |store| drop::<Arc<dyn CustomerRepository>>(store),
        |store| drop::<Arc<dyn TokenRepository>>(store),
        |store| drop::<Arc<dyn UserRepository>>(store),
    ];
}

#[cfg(feature = "serde")]
#[test]
fn what_is_written_and_read_with_serde() {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    are! {
        NewCustomer, Customer, CustomerId, CustomerAccount => (Serialize + DeserializeOwned);
        Timestamp, Action, SortValue => (Serialize + DeserializeOwned);
        Value<'static> => (Serialize);
    }
    have! {
        |text| serde_json::from_str(text).ok() => for<'a> fn(&'a str) -> Option<Value<'a>>;
    }
}

/// What is public, by the lines that make it so, is named above.
#[test]
fn nothing_public_is_left_out() {
    let here: HashSet<_> = words(include_str!("interface.rs")).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut public = 0;
    let mut missing = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        // A test says nothing of the interface, and where there is one it comes last.
        let source = source.split("#[cfg(test)]").next().unwrap();
        // The parts of a trait and of an enum are public with it: the compiler sees to these.
        for line in source.lines().filter_map(|line| line.trim_start().strip_prefix("pub ")) {
            let mut names = words(line).skip_while(|word| KEYWORDS.contains(word));
            let name = names.next().unwrap_or_default();
            public += 1;
            if !line.starts_with("use ") && !here.contains(name) {
                missing.push(name.to_owned());
            }
        }
    }
    missing.extend(
        ATTRIBUTES
            .iter()
            // The account is a field of the customer itself.
            .filter(|it| it.kind != Kind::Account)
            .map(|it| it.field.to_owned())
            .filter(|field| !here.contains(&**field)),
    );
    assert!(missing.is_empty(), "public, and not in interface.rs: {missing:?}");
    assert!(public > 100, "{public}");
}

/// What stands before a name.
const KEYWORDS: [&str; 9] =
    ["async", "const", "enum", "fn", "mod", "static", "struct", "trait", "type"];

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}
