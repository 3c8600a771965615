//! A client that is generated from `openapi/client.json`: it makes the documented calls and prints what
//! it is answered, for the tests.
//!
//! Arguments: `calls` or `sample`, the URL of a service, and a token.

mod sample;

use std::collections::HashMap;
use std::error::Error;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// The client, as it is generated.
mod customers {
    progenitor::generate_api!(
        spec = "../../openapi/client.json",
        interface = Builder,
        tags = Merged,
    );
}

use customers::types::{self, CustomerChanges, CustomerInput, ListCustomersResponse, Problem};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["calls", url, token] => calls(url, token).await,
        ["sample", url, token] => sample::sample(url, token).await,
        _ => Err("usage: rust_client calls|sample URL TOKEN".into()),
    }
}

fn client(url: &str, token: Option<&str>) -> Result<customers::Client, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
    }
    let http = reqwest::Client::builder().default_headers(headers).no_proxy().build()?;
    Ok(customers::Client::new_with_client(url, http))
}

fn refused<T>(
    answer: Result<customers::ResponseValue<T>, customers::Error<Problem>>,
) -> Result<Problem, Box<dyn Error>> {
    match answer {
        Err(customers::Error::ErrorResponse(problem)) => Ok(problem.into_inner()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("not refused".into()),
    }
}

fn told(problem: &Problem) -> String {
    format!("{} {}", problem.status, problem.code)
}

async fn calls(url: &str, token: &str) -> Result<(), Box<dyn Error>> {
    let api = client(url, Some(token))?;
    let body =
        CustomerInput::builder().name("Société").customer_account("a/b".to_owned()).vip(true);
    let body: CustomerInput = body.try_into()?;
    let created = api.create_customer().body(body.clone()).send().await?;
    let etag = created.headers()["etag"].to_str()?.to_owned();
    let id = created.id;
    println!("created: {} {} {}", created.name, created.customer_account, created.vip);
    println!("by id: {}", api.get_customer().customer(id.to_string()).send().await?.name);
    let by_account = api.get_customer_by_account().customer_account("a/b").send().await?;
    println!("by account: {}", by_account.name);

    let brand = CustomerChanges::builder().brand("Marque".to_owned());
    let changed = api.update_customer().customer(id).body(brand).send().await?;
    println!("changed: {}", changed.brand.as_deref().unwrap_or_default());
    let vip = CustomerChanges::builder().vip(false);
    let stale = api.update_customer().customer(id).if_match(etag).body(vip).send().await;
    println!("stale: {}", told(&refused(stale)?));
    let city = CustomerChanges::builder().main_address_city("Paris".to_owned());
    let put = api.put_customer_by_account().customer_account("a/b").body(city).send().await?;
    println!("put: {}", put.main_address_city.as_deref().unwrap_or_default());

    let taken = refused(api.create_customer().body(body).send().await)?;
    let is_that = taken.conflict.as_ref().is_some_and(|conflict| conflict.id == id);
    println!("taken: {} {is_that}", told(&taken));
    let nameless = CustomerInput::builder().name("");
    let invalid = refused(api.create_customer().body(nameless).send().await)?;
    println!("invalid: {} {}", told(&invalid), invalid.errors["name"][0]);
    let unknown = api.get_customer().customer("nobody").send().await;
    println!("unknown: {}", told(&refused(unknown)?));
    let anonymous = client(url, None)?.list_customers().send().await;
    println!("anonymous: {}", told(&refused(anonymous)?));

    for number in 1..=4 {
        let create = || {
            let body = CustomerInput::builder().name(format!("Page {number}"));
            api.create_customer().idempotency_key(format!("page-{number}")).body(body).send()
        };
        if create().await?.id != create().await?.id {
            return Err("created twice".into());
        }
    }
    let list = || api.list_customers().filter_name("page").sort("-name").per_page(3);
    let ListCustomersResponse::Page(page) = list().send().await?.into_inner() else {
        return Err("no numbered page".into());
    };
    println!("page: {} of {}", names(&page.data), page.total);
    let mut walked = Vec::new();
    let mut cursor = Some(String::new());
    while let Some(from) = cursor {
        let ListCustomersResponse::CursorPage(part) =
            list().cursor(from).send().await?.into_inner()
        else {
            return Err("no page by cursor".into());
        };
        walked.extend(part.data);
        cursor = part.next_cursor;
    }
    println!("walked: {}", names(&walked));
    let accounts = format!("a/b,{}", page.data[0].customer_account);
    let either = api.list_customers().filter_customer_account(accounts).send().await?.into_inner();
    println!(
        "either: {}",
        match either {
            ListCustomersResponse::Page(page) => page.data.len(),
            ListCustomersResponse::CursorPage(page) => page.data.len(),
        }
    );
    println!("found: {}", api.search_customers().term("MARQUE").send().await?.total);

    println!("deleted: {}", api.delete_customer().customer(id).send().await?.status().as_u16());
    let gone = api.get_customer().customer(id.to_string()).send().await;
    println!("gone: {}", told(&refused(gone)?));
    println!("restored: {}", api.restore_customer().customer(id).send().await?.name);
    let history = api.get_customer_history().customer(id).send().await?.into_inner();
    let actions: Vec<_> = history.data.iter().map(|entry| entry.action.as_str()).collect();
    println!("history: {}", actions.join(","));
    let changes: &HashMap<_, _> = &history.data[2].changes;
    println!("city was: {}", changes["mainAddressCity"].from);

    let credentials = |password: &str| {
        types::Credentials::builder().email("zoe@example.com").password(password.to_owned())
    };
    let right = credentials("correct horse battery staple");
    println!("logged in: {}", api.login().body(right).send().await?.user.name);
    let wrong = api.login().body(credentials("wrong")).send().await;
    println!("wrong password: {}", told(&refused(wrong)?));
    Ok(())
}

fn names(customers: &[types::Customer]) -> String {
    customers.iter().map(|customer| customer.name.as_str()).collect::<Vec<_>>().join(",")
}
