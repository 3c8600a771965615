//! The command line.

mod moving_in;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use customers_domain::token::Scope;
use customers_domain::user::EmailAddress;
use customers_domain::{CustomerId, Name};

use crate::config::{Database, Logging, Serve};
use crate::duration::duration;

pub use moving_in::{ImportFrom, Intake, PullFrom};

/// A registry of customers, over HTTP.
///
/// Settings are flags or environment variables; the variables may stand in a file `.env` in the
/// working directory. A flag wins over a variable, a variable over the file.
#[derive(Parser)]
#[command(name = "customers", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub logging: Logging,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process; where it cannot be understood, the process ends.
    pub fn of_process() -> Self {
        let mut command = with_plain_usage(Self::command());
        let mut matches = command.get_matches_mut();
        Self::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit())
    }
}

/// Shows one usage whatever is wrong. What is set by variables would otherwise be shown as something that
/// must be given.
fn with_plain_usage(mut command: clap::Command) -> clap::Command {
    command.build();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    command.override_usage(usage).mut_subcommands(with_plain_usage)
}

#[derive(Subcommand)]
pub enum Command {
    /// Serve the HTTP API until SIGTERM or SIGINT.
    ///
    /// On either, requests under way are answered (for up to 30 seconds) before the process ends;
    /// a second SIGINT or SIGTERM ends it at once.
    Serve(Serve),
    /// Say what would keep `serve` from working with the same settings, and change nothing.
    ///
    /// Looks at the address, the certificate, the database (whether it can be reached and written, is
    /// of this version, and is sound) and its disk; the exit code is 1 where there is a problem. For
    /// SQLite it reads the whole file, while servers may use it.
    Check(Serve),
    /// Bring the database to the schema of this version, which every other command does too.
    Migrate,
    /// Mend what lists and searches look at, from the customers, beside running servers.
    ///
    /// Compares all customers with their search keys, phone numbers, the search index and the count of
    /// them, some at a time, and writes only what is missing or wrong; `check` says whether that is
    /// needed. How far it is gets told on stderr. SIGINT or SIGTERM stops it: what is mended by then
    /// stays so, and it may be run again at any time. After going back to an older version of customers,
    /// it brings the search keys back to that version.
    Rebuild,
    /// Make, list and revoke the tokens that callers show.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Make, list and disable the users who log in with e-mail and password.
    #[command(subcommand)]
    User(UserCommand),
    /// Bring in customers from a CSV, NDJSON, JSON, XLSX or ODS file, beside running servers.
    ///
    /// The first row of a table names its columns: as the API names the attributes, or as spreadsheets
    /// do ("Compte client", "Raison sociale", …), in any case and accents. Beside attributes, a column
    /// may be created_at, updated_at or deleted_at, and id, which counts with --ids only. A customer is
    /// known by its id, or else by its account: what is there already is left alone, so that the same file can be imported again, to go
    /// on after SIGINT for example. Rows with mistakes are told with line, column and field.
    ///
    /// The exit code is 0 if every row came in or was there, 1 if rows were refused or something failed,
    /// and 130 if SIGINT or SIGTERM stopped it before the end: it says then what is kept and how to go on.
    Import(ImportFrom),
    /// Bring in customers from a running system that has the same list of customers.
    ///
    /// Its pages are asked for one after the other, by cursor where it knows that. Where it is too busy
    /// or fails for a while it is asked again, later and later, as late as it says. What is there
    /// already is passed over, as it is by `import`. Neither token nor password may be an argument,
    /// which other users of the machine could see.
    ///
    /// The exit codes are those of `import`, and 3 if the list changed while it was read, so that
    /// customers may be missing: run it again then.
    Pull(PullFrom),
    /// Copy an SQLite database into a new file, while servers use it.
    ///
    /// The copy holds what was answered before it began. How far it is gets told on stderr; SIGINT
    /// or SIGTERM stops it and leaves nothing. `customers restore` puts a copy in the place of the
    /// database. PostgreSQL has pg_dump and continuous archiving for this.
    Backup {
        /// The new file.
        path: PathBuf,
    },
    /// Put a copy of an SQLite database in the place of the database.
    ///
    /// The servers must be stopped: the command refuses while any process has the database open. It copies
    /// the file beside the database, looks whether the copy is sound and of a schema that this version
    /// knows, and only then replaces the database and removes what SQLite has kept beside it. The file
    /// itself stays as it is. What was written to the database since the copy was made is lost.
    /// PostgreSQL has pg_restore for this.
    Restore {
        /// The copy, as `customers backup` made it.
        file: PathBuf,
    },
    /// Write customers to a file or to stdout, as NDJSON, CSV or XLSX, while servers run.
    ///
    /// Sorted by id, all as they are at the moment of the start, whatever is written meanwhile. CSV and
    /// XLSX have a column for each attribute, called as the API calls it, and id, created_at,
    /// updated_at and deleted_at. Whatever a spreadsheet would take for a formula has an apostrophe in
    /// front of it in CSV, unless --raw is given. A file gets its name when it is complete, and takes the
    /// place of another one of that name. With --id, it is all that is kept of one customer: a JSON
    /// document of the customer, deleted or not, and its history.
    Export(ExportTo),
    /// Take all that is known of a customer, deleted or not, from the registry. It cannot be undone.
    ///
    /// The name becomes "(erased)", every other attribute but id and account what it is by default.
    /// No value and no id of a request is left in the history, which goes on telling who changed which
    /// attribute and when, and no value in the answers kept for idempotency keys, in what is searched, or
    /// in free parts of an SQLite file. Backups and exports, and on PostgreSQL what VACUUM has not removed
    /// yet, keep what they had.
    ///
    /// Servers may run meanwhile. Without --yes it is shown what would be erased, and nothing changes;
    /// the exit code is 2 then. It is 1 where there is no such customer, and where the file could not be
    /// cleaned because somebody reads for long: run it again then.
    Erase {
        /// The number of the customer.
        #[arg(value_parser = customer_id)]
        id: CustomerId,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// Print the OpenAPI document.
    Openapi {
        /// Print what client generators are given that know no OpenAPI 3.1: OpenAPI 3.0.3, each call
        /// in one way only, without limits and defaults.
        #[arg(long)]
        client: bool,
    },
}

impl Command {
    /// How long the command serves on after it was asked to end, if it serves and is told how long.
    pub fn drain(&self) -> Option<Duration> {
        match self {
            Self::Serve(settings) => settings.drain,
            _ => None,
        }
    }
}

#[derive(Args)]
pub struct ExportTo {
    /// The file; `-` is stdout. [default: stdout]
    pub path: Option<PathBuf>,
    /// How it is written. [default: by the name of the file, or ndjson on stdout]
    #[arg(long)]
    pub format: Option<ExportFormat>,
    /// Only customers that a filter of the list lets pass: `--filter mainAddressCity=Paris,Lyon` is
    /// `filter[mainAddressCity]=Paris,Lyon` there. All filters must let a customer pass.
    #[arg(long = "filter", value_name = "NAME=VALUE", value_parser = filter)]
    pub filters: Vec<(String, String)>,
    /// Deleted customers, too, or only them. [default: without them]
    #[arg(long, value_name = "WHICH")]
    pub trashed: Option<Deleted>,
    /// Write text into CSV as it is, also what a spreadsheet takes for a formula.
    #[arg(long)]
    pub raw: bool,
    /// The customer of this number alone, deleted or not, with its history.
    #[arg(
        long,
        value_name = "ID",
        value_parser = customer_id,
        conflicts_with_all = ["format", "filters", "trashed", "raw"],
    )]
    pub id: Option<CustomerId>,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A JSON object on each line, as the API answers it.
    Ndjson,
    /// UTF-8, separated by commas, with a row of names first.
    Csv,
    /// A spreadsheet, of up to 1,048,575 customers.
    Xlsx,
}

/// Which deleted customers are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Deleted {
    /// Beside those that are not.
    With,
    /// Without those that are not.
    Only,
}

#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, alone on the last line. It cannot be shown again.
    Create(NewToken),
    /// List the tokens that are not revoked.
    List,
    /// Revoke a token. Running servers refuse it within 5 seconds.
    Revoke {
        /// The name that it was made under.
        name: Name,
    },
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Make a user, who can log in at once.
    Create(NewUser),
    /// Give a user another password, and revoke the user's tokens.
    ///
    /// Running servers refuse them within 5 seconds. A user who is disabled stays so.
    Password {
        /// The address that the user logs in with.
        email: EmailAddress,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// List the users.
    List,
    /// Keep a user from logging in, and revoke the user's tokens.
    ///
    /// Running servers refuse them within 5 seconds.
    Disable {
        /// The address that the user logs in with.
        email: EmailAddress,
    },
    /// Let a user who was disabled log in again.
    Enable {
        /// The address that the user logs in with.
        email: EmailAddress,
    },
}

#[derive(Args)]
pub struct NewUser {
    /// The address that the user logs in with, in whatever case.
    #[arg(long)]
    pub email: EmailAddress,
    /// What the user is called.
    #[arg(long)]
    pub name: Name,
    /// What the user may do: `read` or `write`, which includes reading.
    #[arg(long, default_value = "write")]
    pub scope: Scope,
    #[command(flatten)]
    pub password: PasswordFrom,
}

#[derive(Args)]
pub struct PasswordFrom {
    /// Read the password, of 8 to 1024 characters, from stdin, up to the first line break.
    #[arg(long, required = true)]
    pub password_stdin: bool,
}

#[derive(Args)]
pub struct NewToken {
    /// What it is called: which system, or who, will show it.
    #[arg(long)]
    pub name: Name,
    /// What it permits: `read` or `write`, which includes reading.
    #[arg(long, default_value = "write")]
    pub scope: Scope,
    /// After how long it is refused, such as 12h, 90d or 52w, 36500d at most; never, unless said.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub expires_in: Option<Duration>,
}

fn filter(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("write a name and a value, such as type=SAS")?;
    Ok((parts.0.trim().to_owned(), parts.1.to_owned()))
}

fn customer_id(text: &str) -> Result<CustomerId, String> {
    let id = text.parse().ok().and_then(CustomerId::new);
    id.ok_or_else(|| "an id is a number from 1 to 9007199254740991".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_readme_lists_every_setting_with_its_default() {
        let readme = include_str!("../../../README.md");
        let command = Cli::command();
        let commands = std::iter::once(&command).chain(command.get_subcommands());
        for argument in commands.flat_map(|command| command.get_arguments()) {
            if let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) {
                let default = argument.get_default_values().first().filter(|it| !it.is_empty());
                let default = default.map(|default| format!(" `{}`", default.to_string_lossy()));
                let default = default.unwrap_or_default();
                let row = format!("| `{}` | `--{flag}` |{default} |", variable.display());
                assert!(readme.contains(&row), "the README has no row {row}");
            }
        }
    }
}
