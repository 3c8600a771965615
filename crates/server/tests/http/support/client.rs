//! A thin HTTP client that holds every answer against the OpenAPI document.

use std::net::SocketAddr;
use std::pin::Pin;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::contract::Document;

/// A client of one server, which shows a token with every call unless told otherwise.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    token: String,
}

impl Client {
    pub fn new(address: SocketAddr, token: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(super::PATIENCE)
            .build()
            .expect("a client");
        Self { http, address, token: token.to_owned() }
    }

    /// The same client with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The client without what it checks.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A call to a target as it is to be sent: path and query, encoded.
    pub fn call(&self, method: &str, target: &str) -> Call {
        Call {
            client: self.clone(),
            method: method.parse().expect("a method"),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            is_anonymous: false,
            body: Vec::new(),
        }
    }

    pub fn get(&self, target: &str) -> Call {
        self.call("GET", target)
    }

    /// A POST whose parameters, if any, stand in the query.
    pub fn post(&self, target: &str) -> Call {
        self.call("POST", target)
    }

    pub fn patch(&self, target: &str) -> Call {
        self.call("PATCH", target)
    }

    pub fn put(&self, target: &str) -> Call {
        self.call("PUT", target)
    }

    pub fn delete(&self, target: &str) -> Call {
        self.call("DELETE", target)
    }

    /// Creates a customer of these parameters, which must work.
    pub async fn create(&self, parameters: &Value) -> Value {
        self.post("/api/v1/customers").json(parameters).await.expect(201)
    }
}

/// A call that is still to be made: by awaiting it.
#[derive(Clone)]
pub struct Call {
    client: Client,
    method: Method,
    target: String,
    headers: HeaderMap,
    is_anonymous: bool,
    body: Vec<u8>,
}

impl Call {
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().expect("the name of a header");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("the value of a header");
        self.headers.append(name, value);
        self
    }

    /// Shows no token.
    pub fn anonymous(mut self) -> Self {
        self.is_anonymous = true;
        self
    }

    /// A body that does not say what it is.
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.header("content-type", media_type).bytes(body)
    }

    /// JSON as it is written.
    pub fn json_text(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/json", body)
    }

    pub fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    /// A form, encoded already.
    pub fn form(self, body: impl Into<Vec<u8>>) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Parts that are not files.
    pub fn multipart(self, parts: &[(&str, &str)]) -> Self {
        let parts = parts.iter().map(|(name, value)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        });
        let body = parts.chain(["--b--\r\n".into()]).collect::<String>();
        self.body("multipart/form-data; boundary=b", body)
    }

    /// Makes the call; an error where there is no answer to it.
    pub async fn attempt(self) -> Result<Answer, reqwest::Error> {
        let url: reqwest::Url =
            format!("http://{}{}", self.client.address, self.target).parse().expect("a URL");
        let (_, sent) = url.as_str().split_at(url.origin().ascii_serialization().len());
        assert_eq!(sent, self.target, "this needs a plain socket: the client would change it");

        let mut request = reqwest::Request::new(self.method.clone(), url);
        *request.headers_mut() = self.headers;
        if !self.is_anonymous && !request.headers().contains_key("authorization") {
            let token = format!("Bearer {}", self.client.token);
            let token = HeaderValue::from_str(&token).expect("a token");
            request.headers_mut().insert("authorization", token);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.into());
        }
        let response = self.client.http.execute(request).await?;
        let answer = Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.into(),
        };
        let document = Document::of(&self.client).await;
        document.check(self.method.as_str(), &self.target, &answer);
        Ok(answer)
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let what = format!("{} {:.200}", self.method, self.target);
        Box::pin(
            async move { self.attempt().await.unwrap_or_else(|error| panic!("{what}: {error:?}")) },
        )
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// A header that occurs at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().expect("an ASCII header");
        assert!(values.next().is_none(), "{name} occurs more than once: {:?}", self.headers);
        Some(value)
    }

    /// The values of a header that is a list, however they are spread.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        let values = values.map(|value| value.to_str().expect("an ASCII header"));
        values.flat_map(|value| value.split(',')).map(str::trim).collect()
    }
}

/// The text percent-encoded, for a segment of a path or a value of a query.
pub fn encode(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}
