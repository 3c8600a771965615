//! The settings: each with its variable, default and meaning, parsed once and passed down.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};
use customers_api::{CorsOrigins, Location, PublicUrl, TrustedProxies};
use customers_domain::{AccountNumbering, InvalidNumbering};
use customers_storage::{DatabaseUrl, InvalidDatabaseUrl, Options, Secret};

use crate::duration::{at_most_an_hour, duration};
use crate::tls;

/// The database and what is made in it.
#[derive(Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// Where customers are kept: sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE.
    ///
    /// A file that is not there is created, with its folder. A PostgreSQL URL goes to the driver as
    /// it is, with several hosts and all parameters.
    #[arg(
        long,
        env,
        global = true,
        value_name = "URL",
        default_value = "sqlite://data/customers.db",
        // It may hold a password.
        hide_env_values = true,
    )]
    database_url: String,

    /// A file that holds that URL, and nothing else, instead of DATABASE_URL: for passwords that
    /// must not stand in the environment.
    #[arg(long, env, global = true, value_name = "PATH", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,

    /// A streaming replica of the PostgreSQL database, from which lists and searches are read as soon
    /// as it has all that was answered before. The primary is asked otherwise.
    #[arg(long, env, global = true, value_name = "URL", hide_env_values = true)]
    database_read_url: Option<String>,

    /// A file that holds that URL, and nothing else, instead of DATABASE_READ_URL.
    #[arg(long, env, global = true, value_name = "PATH", conflicts_with = "database_read_url")]
    database_read_url_file: Option<PathBuf>,

    /// The most connections: to PostgreSQL, or for reading from SQLite.
    #[arg(long, env, global = true, value_name = "NUMBER", default_value = "16")]
    database_connections: NonZeroU32,

    /// What accounts begin with that are made for customers without one.
    #[arg(long, env, global = true, value_name = "TEXT", default_value = "CL")]
    account_prefix: String,

    /// How many digits follow it, filled up with zeros. Larger numbers have more.
    #[arg(long, env, global = true, value_name = "DIGITS", default_value = "6")]
    account_width: usize,
}

impl Database {
    /// The database, by its URL. The parser of the command line must not see what is wrong with it,
    /// because it would repeat the URL with its password.
    pub fn url(&self) -> Result<DatabaseUrl, InvalidSetting> {
        match &self.database_url_file {
            Some(path) => url_in_file("DATABASE_URL_FILE", path),
            None => self.database_url.parse().map_err(InvalidSetting::DatabaseUrl),
        }
    }

    /// How it is used.
    pub fn options(&self) -> Result<Options, InvalidSetting> {
        Ok(Options {
            numbering: AccountNumbering::new(&self.account_prefix, self.account_width)?,
            connections: self.database_connections,
            replica: self.replica()?,
        })
    }

    fn replica(&self) -> Result<Option<Secret>, InvalidSetting> {
        let replica = match (&self.database_read_url_file, self.database_read_url.as_deref()) {
            (Some(path), _) => url_in_file("DATABASE_READ_URL_FILE", path)?,
            (None, None | Some("")) => return Ok(None),
            (None, Some(url)) => url.parse().map_err(InvalidSetting::DatabaseReadUrl)?,
        };
        match (self.url()?, replica) {
            (DatabaseUrl::Postgres(_), DatabaseUrl::Postgres(replica)) => Ok(Some(replica)),
            _ => Err(InvalidSetting::NoReplica),
        }
    }
}

/// The URL in the file that a setting names.
fn url_in_file(setting: &'static str, path: &Path) -> Result<DatabaseUrl, InvalidSetting> {
    let url = std::fs::read_to_string(path).map_err(|source| InvalidSetting::UrlFile {
        setting,
        path: path.to_owned(),
        source,
    })?;
    let url = url.trim().parse();
    url.map_err(|reason| InvalidSetting::UrlInFile { setting, path: path.to_owned(), reason })
}

/// What is logged, and how.
#[derive(Args)]
#[command(next_help_heading = "Log")]
pub struct Logging {
    /// What is logged to stderr: off, error, warn, info, debug or trace, also by module, such as
    /// "info,customers_api=debug".
    #[arg(
        long,
        env,
        global = true,
        value_name = "FILTER",
        // The HTTP server tells of its threads what nobody needs to know, and calls it an error of
        // its own when a stranger sends what is no HTTP.
        default_value = "info,actix_http=off,actix_server=warn"
    )]
    pub rust_log: String,

    /// One line of text or one JSON object per event.
    #[arg(long, env, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How a line of the log is written.
#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// `time LEVEL message key=value …`
    Text,
    /// One object, for programs.
    Json,
}

/// How the API is served.
#[derive(Args)]
pub struct Serve {
    /// The address to listen on. Port 0 takes a free one.
    #[arg(long, env, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,

    /// The address on which Prometheus finds /metrics. [default: nobody is told]
    ///
    /// Whoever can reach it can read it, without a token.
    #[arg(long, env, value_name = "ADDRESS:PORT")]
    pub metrics_bind: Option<SocketAddr>,

    /// A certificate with its chain, in PEM: the service itself speaks TLS, and only that.
    ///
    /// It is read again, with its key, on SIGHUP; connections that are made from then on get it.
    #[arg(long, env, value_name = "PATH", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The private key of that certificate, in PEM.
    #[arg(long, env, value_name = "PATH", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// How long after SIGTERM requests are still taken, while /health/ready answers 503, so that a
    /// balancer finds out and sends none: a number with one of the units s m h, at most an hour.
    /// [default: none are taken any more]
    #[arg(long, env, value_name = "DURATION", value_parser = at_most_an_hour)]
    pub drain: Option<Duration>,

    /// How long the machine's clock has to be steady before expired logins and expired answers to
    /// idempotency keys are removed: a number with one of the units s m h, at most an hour. A clock
    /// that jumps ahead by mistake would expire them all. Shorten it for processes that do not live
    /// an hour.
    #[arg(long, env, value_name = "DURATION", default_value = "1h", value_parser = at_most_an_hour)]
    pub clock_steady: Duration,

    /// The URL under which clients reach the service, such as `https://customers.example`: what the
    /// URLs in answers begin with. [default: http:// and the host that the client names]
    #[arg(long, env, value_name = "URL")]
    public_url: Option<PublicUrl>,

    /// Answer, beside what the API documents, what older documentation of it shows: the id as
    /// `response` when a customer is created, and the customer as `customer`, with 0 and 1 for false
    /// and true, when one is asked for.
    #[arg(
        long,
        env,
        value_name = "BOOL",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        action = ArgAction::Set,
        value_parser = BoolishValueParser::new(),
    )]
    legacy_answers: bool,

    /// Make a token called `first` if the database never held one, and print it to stdout with a
    /// first call to paste. [default: true where stdout is a terminal]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub first_token: Option<bool>,

    /// How long the token of a login is good for: a number with one of the units s m h d w, 36500d at
    /// most.
    #[arg(long, env, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    login_token_ttl: Duration,

    /// How many requests a caller may make in a minute, at each server. 0: any number.
    ///
    /// Callers are told apart by their tokens, the tokens of one user being one, and by their
    /// addresses where they need none.
    #[arg(long, env, value_name = "NUMBER", default_value = "0")]
    rate_limit: u32,

    /// The proxies in front of the service: addresses and networks, split by commas.
    ///
    /// A request that comes from one of them counts as coming from the last address in its
    /// X-Forwarded-For that is none of them.
    #[arg(long, env, value_name = "NETWORKS", default_value = "")]
    trusted_proxies: TrustedProxies,

    /// The origins whose web pages may call, such as `https://crm.example`, split by commas.
    #[arg(long, env, value_name = "ORIGINS", default_value = "")]
    cors_origins: CorsOrigins,
}

impl Serve {
    /// Where certificate and key are kept, if the service speaks TLS.
    pub fn tls(&self) -> Option<tls::Files> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(tls::Files { certificate, key })
    }

    /// Whether tokens travel through a network as they are, as far as can be told: others than this
    /// machine can connect, without TLS, and nothing is said of a proxy that speaks it.
    pub fn is_in_clear(&self) -> bool {
        !self.bind.ip().is_loopback()
            && self.tls_cert.is_none()
            && self.trusted_proxies.is_empty()
            && !self.public_url.as_ref().is_some_and(PublicUrl::is_https)
    }

    /// Returns how the API behaves where the service listens on this address.
    pub fn api(&self, address: SocketAddr) -> customers_api::Settings {
        customers_api::Settings {
            login_token_ttl: self.login_token_ttl,
            rate_limit: NonZeroU32::new(self.rate_limit),
            trusted_proxies: self.trusted_proxies.clone(),
            cors_origins: self.cors_origins.clone(),
            location: Location {
                public_url: self.public_url.clone(),
                is_secure: self.tls_cert.is_some(),
                address,
            },
            legacy_answers: self.legacy_answers,
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSetting {
    #[error("DATABASE_URL: {0}")]
    DatabaseUrl(InvalidDatabaseUrl),
    #[error("{setting}: cannot read {path}: {source}")]
    UrlFile { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{setting}: in {path}: {reason}")]
    UrlInFile { setting: &'static str, path: PathBuf, reason: InvalidDatabaseUrl },
    #[error("DATABASE_READ_URL: {0}")]
    DatabaseReadUrl(InvalidDatabaseUrl),
    #[error(
        "DATABASE_READ_URL: only a PostgreSQL database has replicas, which are PostgreSQL, too"
    )]
    NoReplica,
    #[error("{0}")]
    Numbering(#[from] InvalidNumbering),
    #[error("cannot read the file .env: {0}")]
    Dotenv(String),
}

/// Takes the variables of a file `.env` in the working directory, if there is one, for
/// what the environment does not say.
pub fn read_dotenv() -> Result<(), InvalidSetting> {
    match dotenvy::from_path(".env") {
        Ok(_) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        // The line is not repeated: it may hold a password.
        Err(dotenvy::Error::LineParse(_, column)) => {
            Err(InvalidSetting::Dotenv(format!("a line is not NAME=VALUE, near column {column}")))
        }
        Err(error) => Err(InvalidSetting::Dotenv(error.to_string())),
    }
}
