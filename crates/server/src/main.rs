#![doc = include_str!("../README.md")]

mod backup;
mod check;
mod cli;
mod config;
mod connections;
mod duration;
mod erase;
mod export;
mod formula;
mod http;
mod import;
mod intake;
mod logging;
mod metrics;
mod output;
mod printable;
mod pull;
mod rebuild;
mod restore;
mod same_file;
mod serve;
mod signals;
mod sweeping;
mod tls;
mod token;
mod upkeep;
mod user;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use customers_domain::{RepositoryError, WriteError};
use customers_storage::{DatabaseUrl, Store};

use crate::cli::{Cli, Command};
use crate::config::{Database, InvalidSetting};

/// Quicker than the system's where there are many small pieces, as customers are.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The exit code of a command that SIGINT or SIGTERM has stopped before its end: that of shells, 128 and the
/// number of SIGINT.
const STOPPED: u8 = 130;

/// Why a command failed: what is printed before the process ends.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    #[error("{url}: {source}")]
    Open { url: String, source: customers_storage::OpenError },
    #[error("cannot listen on {address}: {source}; choose another address with --bind or BIND")]
    Bind { address: std::net::SocketAddr, source: std::io::Error },
    #[error("nothing was erased, because it cannot be undone: add --yes to erase this")]
    Unconfirmed,
    #[error(
        "cannot listen on {address}: {source}; choose another address with --metrics-bind or METRICS_BIND"
    )]
    BindMetrics { address: std::net::SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Usage(String),
    /// SIGINT or SIGTERM came before the end.
    #[error("{0}")]
    Stopped(String),
    /// What was read changed meanwhile.
    #[error("{0}")]
    Changed(String),
    #[error("{}", causes(.0.as_ref()))]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// An error and what it came of, each once: some tell their cause themselves.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let is_of_store = error.is::<RepositoryError>()
        || matches!(error.downcast_ref(), Some(WriteError::Repository(_)));
    // That the store failed, or is away, is for callers of the API; here it is told why.
    let error = error.source().filter(|_| is_of_store).unwrap_or(error);
    let mut told = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

impl Failure {
    fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The exit code: 2 for what was asked for wrongly, as in clap; 3 for a list that changed while it was
    /// read; 130 for a command that was stopped, as shells have it; 1 for everything else.
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting(_) | Self::Tls(_) | Self::Usage(_) | Self::Unconfirmed => {
                ExitCode::from(2)
            }
            Self::Changed(_) => ExitCode::from(3),
            Self::Stopped(_) => ExitCode::from(STOPPED),
            _ => ExitCode::FAILURE,
        }
    }
}

#[actix_web::main]
async fn main() -> ExitCode {
    let mut drain = None;
    let ran = match config::read_dotenv() {
        Ok(()) => {
            let cli = Cli::of_process();
            drain = cli.command.drain();
            run(cli).await
        }
        Err(error) => Err(error.into()),
    };
    let code = match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logging::print_last(&format!("error: {failure}\n"));
            failure.exit_code()
        }
    };
    logging::finish(drain);
    code
}

async fn run(cli: Cli) -> Result<(), Failure> {
    logging::start(&cli.logging).map_err(Failure::other)?;
    signals::survive_file_limit()?;
    match cli.command {
        Command::Serve(settings) => serve::serve(&cli.database, settings).await,
        Command::Check(settings) => check::run(&cli.database, &settings),
        Command::Migrate => {
            open(&cli.database)?;
            output::print("The database is at the schema of this version.")?;
            Ok(())
        }
        Command::Rebuild => {
            expect_database(&cli.database)?;
            rebuild::run(&cli.database.url()?).await
        }
        Command::Token(command) => token::run(open(&cli.database)?, command).await,
        Command::User(command) => user::run(open(&cli.database)?, command).await,
        Command::Import(from) => import::run(&cli.database, from).await,
        Command::Pull(from) => pull::run(&cli.database, from).await,
        Command::Backup { path } => backup::run(&cli.database.url()?, &path).await,
        Command::Restore { file } => restore::run(&cli.database.url()?, &file).await,
        Command::Export(to) => {
            expect_database(&cli.database)?;
            export::run(&cli.database, to).await
        }
        Command::Erase { id, yes } => {
            expect_database(&cli.database)?;
            let from_file = matches!(cli.database.url()?, DatabaseUrl::Sqlite(_));
            erase::run(open(&cli.database)?, from_file, id, yes).await
        }
        Command::Openapi { client } => {
            let document =
                if client { customers_api::client_document() } else { customers_api::document() };
            // Whoever reads may stop early, like `head` does.
            match std::io::stdout().write_all(document.as_bytes()) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::other(error)),
                _ => Ok(()),
            }
        }
    }
}

/// Refuses to go on where there is no database, for commands that have nothing to do in a new one: its
/// name is mistyped.
fn expect_database(settings: &Database) -> Result<(), Failure> {
    match settings.url()? {
        DatabaseUrl::Sqlite(path) if !path.exists() => Err(Failure::other(format!(
            "there is no database {}; DATABASE_URL or --database-url says which one to use",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Opens the database, which creates and migrates it.
fn open(settings: &Database) -> Result<Store, Failure> {
    let url = settings.url()?;
    customers_storage::open(&url, settings.options()?)
        .map_err(|source| Failure::Open { url: url.to_string(), source })
}
