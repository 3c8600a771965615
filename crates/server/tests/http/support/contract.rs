//! Holds answers against the OpenAPI document and against what every answer must have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::client::{Answer, Client};

/// The document that the server serves.
pub struct Document {
    json: Value,
    /// By the schema that they were made of: few schemas are behind many answers.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Document {
    /// The document, from whichever server is asked first: it is the same for all.
    pub async fn of(client: &Client) -> &'static Self {
        static DOCUMENT: OnceCell<Document> = OnceCell::const_new();
        let fetch = async || {
            let url = format!("http://{}/openapi.json", client.address());
            let response = client.http().get(url).send().await;
            let body = response.expect("an answer to /openapi.json").bytes().await;
            let body = body.expect("all of /openapi.json");
            let json = serde_json::from_slice(&body).expect("JSON at /openapi.json");
            Self { json, validators: Mutex::default() }
        };
        DOCUMENT.get_or_init(fetch).await
    }

    /// Panics where the answer to such a request is not one that is promised.
    #[track_caller]
    pub fn check(&self, method: &str, target: &str, answer: &Answer) {
        let request = format!("{method} {target:.200}");
        let path = normalized(target.split('?').next().unwrap_or_default());
        check_headers(method, &path, answer)
            .unwrap_or_else(|fault| panic!("{request}: {fault}: {answer:?}"));
        self.check_answer(method, &path, answer)
            .unwrap_or_else(|fault| panic!("{request}: {fault}: {answer:?}"));
    }

    fn check_answer(&self, method: &str, path: &str, answer: &Answer) -> Result<(), String> {
        if path == "/docs" || path.starts_with("/docs/") {
            // For people: no part of the document.
            return Ok(());
        }
        let is_head = method == "HEAD";
        let method = if is_head { "get" } else { &method.to_lowercase() };
        let item = self.json["paths"].as_object().and_then(|paths| {
            paths.iter().find(|(template, _)| is_of(template, path)).map(|(_, item)| item)
        });
        let operation = item.map(|item| &item[method]).filter(|operation| operation.is_object());
        let Some(operation) = operation else {
            // Who shows no token is not even told that there is nothing.
            let possible: &[u16] =
                if item.is_some() { &[401, 405, 414, 429] } else { &[401, 404, 414, 429] };
            ensure(possible.contains(&answer.status), || {
                format!("{} where the document knows no operation", answer.status)
            })?;
            return self.check_body(&problem_schema(), is_head, answer);
        };
        let response = &operation["responses"][answer.status.to_string()];
        ensure(response.is_object(), || format!("{} is not documented", answer.status))?;
        for name in response["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            let is_there = answer.header(name).is_some() || is_at_times(name, answer.status);
            ensure(is_there, || format!("without the documented {name}"))?;
        }
        if response["content"].is_null() {
            return ensure(answer.body.is_empty(), || "a body that is not documented".into());
        }
        let media_type = media_type(answer);
        let content = &response["content"][&media_type];
        ensure(content.is_object(), || format!("{media_type} is not documented"))?;
        self.check_body(&content["schema"], is_head, answer)
    }

    fn check_body(&self, schema: &Value, is_head: bool, answer: &Answer) -> Result<(), String> {
        if is_head {
            return ensure(answer.body.is_empty(), || "a body for HEAD".into());
        }
        let body: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        self.validate(schema, &body)?;
        if answer.status >= 400 {
            check_problem(answer, &body)?;
        }
        Ok(())
    }

    fn validate(&self, schema: &Value, body: &Value) -> Result<(), String> {
        let validator = {
            let mut validators = self.validators.lock().expect("no panic");
            let new = || Arc::new(validator(&self.json, schema));
            validators.entry(schema.to_string()).or_insert_with(new).clone()
        };
        let faults: Vec<_> = validator
            .iter_errors(body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        ensure(faults.is_empty(), || faults.join("; "))
    }
}

/// A validator of a schema of the document, formats included.
pub fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    // So that `#/components/…` leads somewhere.
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&schema)
        .expect("a valid schema")
}

/// Whether a header is documented for answers of this status of which some do without.
fn is_at_times(name: &str, status: u16) -> bool {
    matches!(
        (name, status),
        ("Link" | "Idempotent-Replayed" | "X-Complete-Until", _) | ("Retry-After", 409)
    )
}

fn problem_schema() -> Value {
    json!({ "$ref": "#/components/schemas/Problem" })
}

fn ensure(is_so: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(fault()) }
}

/// Without repeated slashes and those at the end, which are ignored.
fn normalized(path: &str) -> String {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    segments.fold(String::new(), |path, segment| path + "/" + segment)
}

/// Whether a path is one of the template.
fn is_of(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(part, segment)| part.starts_with('{') || part == segment)
}

fn media_type(answer: &Answer) -> String {
    let content_type = answer.header("content-type").unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().to_owned()
}

/// What every answer must have.
fn check_headers(method: &str, path: &str, answer: &Answer) -> Result<(), String> {
    let status = answer.status;
    let request_id = answer.header("x-request-id").unwrap_or_default();
    let is_request_id = (1..=64).contains(&request_id.len())
        && request_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    ensure(is_request_id, || format!("X-Request-Id is {request_id:?}"))?;
    let has = |name, value: &str| answer.header(name) == Some(value);
    ensure(has("x-content-type-options", "nosniff"), || "without nosniff".into())?;
    if path == "/api" || path.starts_with("/api/") {
        let is_customer = is_single(method, path, status);
        let control = if is_customer { "private, no-cache" } else { "no-store" };
        ensure(has("cache-control", control), || format!("without {control}"))?;
        let vary = answer.list("vary");
        let varies = ["Authorization", "Accept"].iter().all(|name| vary.contains(name));
        ensure(varies || !is_customer, || "without the Vary of a customer".into())?;
    }
    let named = |name: &str| answer.header(name).is_some();
    ensure(named("www-authenticate") == matches!(status, 401 | 403), || "a challenge".into())?;
    let is_passing = matches!(status, 429 | 503)
        || (status == 409 && answer.text().contains(r#""code":"idempotency_in_progress""#));
    ensure(named("retry-after") == is_passing, || "Retry-After".into())?;
    let is_tagged = is_single(method, path, status) && method != "PUT";
    ensure(named("etag") == is_tagged, || "ETag".into())?;
    ensure(named("allow") == (status == 405), || "Allow".into())
}

/// Whether the answer is a single customer, or says that the client has it.
fn is_single(method: &str, path: &str, status: u16) -> bool {
    let is_list = (method != "POST" && path == "/api/v1/customers")
        || path == "/api/v1/customers/search"
        || path.ends_with("/history");
    path.starts_with("/api/v1/customer") && matches!(status, 200 | 201 | 304) && !is_list
}

/// What the schema cannot say of a problem.
fn check_problem(answer: &Answer, body: &Value) -> Result<(), String> {
    ensure(body["type"] == "about:blank", || "type".into())?;
    ensure(body["status"] == answer.status, || "status".into())?;
    ensure(body["message"] == body["detail"], || "message and detail differ".into())?;
    let request_id = answer.header("x-request-id");
    ensure(body["request_id"].as_str() == request_id, || "request_id".into())
}
