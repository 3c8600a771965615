//! Many customers are asked for: listed, filtered, searched.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, get};
use customers_domain::lenient;
use customers_domain::search::{MAX_TERM_CHARS, SearchTerm};
use customers_domain::selection::{Filter, Listing, Selection, Stretch};
use customers_domain::{CustomerRepository, Kind, RepositoryError, Rule, Value};

use super::PATH;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::input::query;
use crate::large_answers::LargeAnswers;
use crate::listing::{
    Around, Cursor, CursorPage, ListDigest, ListQuery, ListUrl, NumberedPage, filters,
    invalid_cursor,
};
use crate::openapi::{
    CustomersFound, CustomersListed, ListFailures, ListParameters, NumberedParameters,
    SearchFailures, TermQuery,
};
use crate::{Settings, Shared};

/// Lists customers, filtered and sorted
///
/// All filters must let a customer pass. A filter is exact but for case and accents, unless it says
/// otherwise; a comma means "or", and `\,` is a comma. Blank filters are ignored, except `filter[id]`,
/// `filter[customerAccount]`, `filter[phone]` and `filter[emailAddress]`, which then match no customer.
///
/// Pages are numbered, with the total and with links to others. With `pagination=cursor` they have a
/// cursor to the next instead: following `next_page_url` to its end shows every customer that was
/// there throughout exactly once, whatever is created meanwhile, and costs the same on every page.
#[utoipa::path(
    operation_id = "listCustomers",
    tag = "customers",
    security(("token" = [])),
    params(ListParameters),
    responses(CustomersListed, ListFailures),
)]
#[get("/customers")]
pub(crate) async fn list(
    caller: Caller,
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    large: Shared<LargeAnswers>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ListQuery::of(&request)?;
    let selection = filters::selection(&query.filters, caller.scope)?;
    let order = filters::order(&query.sort)?;
    let url = ListUrl::new(&settings.location, &request, PATH, &query);
    large.admit(query.per_page()).await?;
    let complete_until = CompleteUntil::of(&selection, &***customers).await?;
    let Some(cursor) = query.cursor() else {
        let listing = customers.list(selection, order, query.part()).await?;
        let page = NumberedPage::new(&listing, &query, &url).into_response();
        drop(listing);
        return large.count(complete_until.beside(page)).await;
    };

    let list = ListDigest::of_list(&query.filters, &order);
    let cursor = Cursor::decode(cursor, &list)?;
    let from = match &cursor {
        Some(cursor) => Some(order.place(cursor.place.clone()).ok_or_else(invalid_cursor)?),
        None => None,
    };
    let backwards = cursor.as_ref().is_some_and(|cursor| cursor.backwards);
    let per_page = query.per_page();
    // One more tells whether there are more.
    let stretch = Stretch { from, backwards, take: per_page + 1 };
    let mut found = customers.walk(selection, order.clone(), stretch).await?;
    let around = Around::page(&mut found, per_page, cursor.as_ref(), &order, &list);
    let url = url.by_cursor();
    let page = CursorPage::new(&found, per_page, &around, &url);
    let page = page.into_response();
    drop(found);
    large.count(complete_until.beside(page)).await
}

/// The header of a list of what was changed from a time on: up to when nothing will be added to the list.
struct CompleteUntil(Option<HeaderValue>);

impl CompleteUntil {
    /// To be asked for before the list: the list then has all that is committed by now.
    async fn of(
        selection: &Selection,
        customers: &dyn CustomerRepository,
    ) -> Result<Self, RepositoryError> {
        let is_polled = |filter: &Filter| matches!(filter, Filter::UpdatedFrom(_));
        if !selection.filters.iter().any(is_polled) {
            return Ok(Self(None));
        }
        let until = customers.complete_until().await?;
        let until = HeaderValue::try_from(until.to_string());
        Ok(Self(Some(until.expect("a time is a value of a header"))))
    }

    fn beside(self, mut answer: HttpResponse) -> HttpResponse {
        if let Some(until) = self.0 {
            answer.headers_mut().insert(HeaderName::from_static("x-complete-until"), until);
        }
        answer
    }
}

/// Searches customers
///
/// All words of the term must occur, in any order, in name, brand, account, references, registration
/// numbers, e-mail address or phone numbers; case and accents do not matter. The best 1,000 are
/// found, the best first: the one whose account is the term, accounts that begin with it, names that
/// begin with it, and then the others, each by id.
///
/// A word of fewer than three letters or digits is looked for only at the beginning of names and
/// accounts, or, where there is a longer one, among what that finds.
#[utoipa::path(
    operation_id = "searchCustomers",
    tag = "customers",
    security(("token" = [])),
    params(TermQuery, NumberedParameters),
    responses(CustomersFound, SearchFailures),
)]
#[get("/customers/search")]
pub(crate) async fn search(
    customers: Shared<dyn CustomerRepository>,
    settings: Shared<Settings>,
    large: Shared<LargeAnswers>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = ListQuery::of(&request)?;
    let term = term(&request)?;
    large.admit(query.per_page()).await?;
    let listing = match term {
        Some(term) => customers.search(term, query.part()).await?,
        None => Listing { customers: Vec::new(), total: 0 },
    };
    let path = format!("{PATH}/search");
    let url = ListUrl::new(&settings.location, &request, &path, &query);
    let page = NumberedPage::new(&listing, &query, &url).into_response();
    drop(listing);
    large.count(page).await
}

/// The term of a request; `None` where there is none, or nothing to look for in it.
fn term(request: &HttpRequest) -> Result<Option<SearchTerm>, ApiError> {
    let parameters = query(request)?;
    let kind = Kind::Text { min_chars: 0, max_chars: MAX_TERM_CHARS };
    let wrong = |rule| ApiError::of_field("term", rule);
    match parameters
        .get("term")
        .map(|raw| lenient::read(kind, raw.as_sent()))
        .transpose()
        .map_err(wrong)?
    {
        Some(Value::Text(term)) if term.chars().any(char::is_control) => {
            Err(wrong(Rule::ControlCharacter))
        }
        Some(Value::Text(term)) if term.chars().count() as u64 > MAX_TERM_CHARS => {
            Err(wrong(Rule::MaxChars(MAX_TERM_CHARS)))
        }
        Some(Value::Text(term)) => filters::bounded(SearchTerm::new(&term), "term"),
        _ => Ok(None),
    }
}
