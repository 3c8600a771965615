use std::error::Error;

use reqwest::header::{AUTHORIZATION, HeaderMap};

use crate::customers;

pub async fn sample(url: &str, token: &str) -> Result<(), Box<dyn Error>> {
    let headers = HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse()?)]);
    let http = reqwest::Client::builder().default_headers(headers).build()?;
    let api = customers::Client::new_with_client(url, http);
    match api.create_customer().body_map(|body| body.name("Société")).send().await {
        Ok(customer) => println!("created {} as {}", customer.name, customer.customer_account),
        Err(customers::Error::ErrorResponse(problem)) => println!("{}", problem.message),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
