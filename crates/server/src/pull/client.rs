//! Asks a system for its customers, and asks again where that may help.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER};
use ureq::tls::{RootCerts, TlsConfig};

use crate::Failure;
use crate::intake::{ReadError, Rows};

/// How often the same is asked for.
const ATTEMPTS: u32 = 10;

/// How long is waited before it is asked again, unless the system says so: this long, and each time
/// twice as long as before, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest that a system may ask to wait for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(3600);

/// How long an answer may take, and how long it may take to reach the system.
const PATIENCE: Duration = Duration::from_secs(120);
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// The most bytes of a page, unpacked: it is held in memory.
const MOST_BYTES: u64 = 64 << 20;

/// What makes a system answer.
pub enum Credentials {
    Token(String),
    Login { email: String, password: String },
}

impl Credentials {
    /// Those that the command line and the environment name.
    ///
    /// # Errors
    ///
    /// Where there are none.
    pub fn new(
        token: Option<&Path>,
        email: Option<String>,
        password: Option<&Path>,
    ) -> Result<Self, Failure> {
        let missing = |flag: &str, variable: &str| {
            Failure::Usage(format!("name a file with {flag}, or set the variable {variable}"))
        };
        match email {
            Some(email) => {
                let password = secret(password, "PULL_PASSWORD")?
                    .ok_or_else(|| missing("--password-file", "PULL_PASSWORD"))?;
                Ok(Self::Login { email, password })
            }
            None => {
                let token = secret(token, "PULL_TOKEN")?
                    .ok_or_else(|| missing("--token-file", "PULL_TOKEN"))?;
                match token.bytes().all(|byte| byte.is_ascii_graphic()) {
                    true => Ok(Self::Token(token)),
                    false => {
                        Err(Failure::Usage("the token has characters that no token has".into()))
                    }
                }
            }
        }
    }
}

/// The first line of a file or a variable.
fn secret(file: Option<&Path>, variable: &str) -> Result<Option<String>, Failure> {
    let text =
        match file {
            Some(file) => Some(std::fs::read_to_string(file).map_err(|error| {
                Failure::Usage(format!("cannot read {}: {error}", file.display()))
            })?),
            None => std::env::var(variable).ok(),
        };
    let line = text.and_then(|text| text.lines().next().map(str::to_owned));
    Ok(line.filter(|line| !line.is_empty()))
}

/// A client of one system.
pub struct Client {
    agent: Agent,
    base: String,
    is_in_clear: bool,
    credentials: Credentials,
    /// The one that was given, or that a login has brought.
    token: Option<String>,
}

/// What was answered.
struct Answer {
    status: u16,
    /// How long the system wants to be left alone.
    wait: Option<Duration>,
    location: Option<String>,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct LoggedIn {
    token: String,
}

/// What systems say of a failure.
#[derive(Deserialize)]
struct Problem {
    message: String,
}

impl Client {
    /// A client of the system at this URL, which may also be the URL of its list.
    ///
    /// # Errors
    ///
    /// Where it is no such URL.
    pub fn new(url: &str, credentials: Credentials) -> Result<Self, Failure> {
        let wrong = |what| Failure::Usage(format!("{what}; it is one such as https://crm.example"));
        let uri: Uri = url.parse().map_err(|_| wrong("the URL is none"))?;
        let is_in_clear = match uri.scheme_str() {
            Some("https") => false,
            Some("http") => !matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]")),
            _ => return Err(wrong("the URL does not begin with https:// or http://")),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("the URL must not hold a password"));
        }
        if uri.query().is_some() {
            return Err(wrong("the URL must not have a query"));
        }
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/api/v1/customers").unwrap_or(base);
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(std::sync::Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("customers/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A token goes nowhere else than where it was sent.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECTED_WITHIN))
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let token = match &credentials {
            Credentials::Token(token) => Some(token.clone()),
            Credentials::Login { .. } => None,
        };
        Ok(Self { agent, base: base.to_owned(), is_in_clear, credentials, token })
    }

    /// The URL of the system.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// What whoever runs it should know before anything is sent.
    pub fn warning(&self) -> Option<String> {
        self.is_in_clear.then(|| {
            format!(
                "warning: what is sent to {} can be read on the way; https:// cannot",
                self.base
            )
        })
    }

    /// The body of an answer of the list.
    ///
    /// # Errors
    ///
    /// Where it is not answered at last, or nobody wants more.
    pub fn list(&mut self, query: &[(&str, String)], rows: &Rows) -> Result<Vec<u8>, ReadError> {
        let url = format!("{}/api/v1/customers", self.base);
        let mut may_log_in = matches!(self.credentials, Credentials::Login { .. });
        loop {
            if self.token.is_none() {
                self.log_in(rows)?;
                may_log_in = false;
            }
            let token = self.token.clone().unwrap_or_default();
            let answer = ask(rows, || {
                let query = query.iter().map(|(name, value)| (*name, value.as_str()));
                let call =
                    self.agent.get(&url).query_pairs(query).header(ACCEPT, "application/json");
                call.header(AUTHORIZATION, format!("Bearer {token}")).call()
            })?;
            match answer.status {
                200 => return Ok(answer.body),
                // The token of a login is good for a while.
                401 if may_log_in => self.token = None,
                _ => return Err(answer.into_error("GET", "/api/v1/customers")),
            }
        }
    }

    fn log_in(&mut self, rows: &Rows) -> Result<(), ReadError> {
        let Credentials::Login { email, password } = &self.credentials else { return Ok(()) };
        let url = format!("{}/api/login", self.base);
        let answer = ask(rows, || {
            self.agent.post(&url).send_form([("email", email.as_str()), ("password", password)])
        })?;
        if answer.status != 200 {
            return Err(answer.into_error("POST", "/api/login"));
        }
        let logged_in: LoggedIn = serde_json::from_slice(&answer.body)
            .map_err(|_| ReadError::Unreadable("a login does not answer with a token".into()))?;
        self.token = Some(logged_in.token);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let (Credentials::Login { .. }, Some(token)) = (&self.credentials, &self.token) {
            let url = format!("{}/api/logout", self.base);
            let call = self.agent.post(&url).header(AUTHORIZATION, format!("Bearer {token}"));
            // It would expire by itself.
            let _ = call.send_empty();
        }
    }
}

impl Answer {
    fn into_error(self, method: &str, path: &str) -> ReadError {
        let said = serde_json::from_slice::<Problem>(&self.body).ok().map(|it| it.message);
        let said = said.or(self.location.map(|url| format!("see {url}")));
        let said: String = said.unwrap_or_default().chars().take(300).collect();
        let status = self.status;
        ReadError::Unreadable(format!("{method} {path} is answered with {status}: {said}"))
    }
}

/// Asks until there is an answer that another attempt would not change.
fn ask(
    rows: &Rows,
    call: impl Fn() -> Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Answer, ReadError> {
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let (what, asked_for) = match call().and_then(read) {
            Ok(answer) if answer.status != 429 && answer.status < 500 => return Ok(answer),
            Ok(answer) => (format!("it answers {}", answer.status), answer.wait),
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                return Err(ReadError::Unreadable(format!(
                    "it answers with more than {} MiB; ask for fewer customers at once with --per-page",
                    MOST_BYTES >> 20
                )));
            }
            Err(error) if may_pass(&error) => (error.to_string(), None),
            Err(error) => return Err(ReadError::unreadable(error)),
        };
        if attempt == ATTEMPTS {
            return Err(ReadError::Unreadable(format!("{what}, {ATTEMPTS} times in a row")));
        }
        let pause = asked_for.unwrap_or(wait).min(LONGEST_ASKED_FOR);
        rows.note(format!("{what}; it is asked again in {:.1} s", pause.as_secs_f64()))?;
        sleep(pause, rows)?;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    unreachable!("the last attempt has ended it")
}

/// Whether it is the network or the system that fails, and not what was asked for or who answers.
fn may_pass(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => !error.get_ref().is_some_and(|it| it.is::<rustls::Error>()),
        ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let wait = text(RETRY_AFTER).and_then(retry_after);
    let location = text(LOCATION).map(str::to_owned);
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec()?;
    Ok(Answer { status, wait, location, body })
}

/// How long `Retry-After` says: in seconds, or until a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Waits, unless nobody wants more.
fn sleep(pause: Duration, rows: &Rows) -> Result<(), ReadError> {
    let until = Instant::now() + pause;
    loop {
        if rows.is_stopped() {
            return Err(ReadError::Stopped);
        }
        match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Ok(()),
            left => std::thread::sleep(left.min(Duration::from_millis(100))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Result<Client, Failure> {
        Client::new(url, Credentials::Token("t".into()))
    }

    #[test]
    fn a_url_is_that_of_a_system_or_of_its_list() {
        for url in
            ["https://a.example", "https://a.example/", "https://a.example/api/v1/customers/"]
        {
            let client = client(url).expect("a URL");
            assert_eq!((client.base(), client.warning()), ("https://a.example", None));
        }
        assert!(client("http://a.example").expect("a URL").warning().is_some());
        assert!(client("http://127.0.0.1:8080").expect("a URL").warning().is_none());
        for url in
            ["a.example", "ftp://a", "https://u:p@a.example", "https://a.example/?x=1", "https://"]
        {
            assert!(client(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_system_asks_to_wait_for_seconds_or_until_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(retry_after(&date).is_some_and(|it| it > Duration::from_secs(27)));
        assert_eq!(retry_after("soon"), None);
    }
}
