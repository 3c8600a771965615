//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use customers_domain::token::{Scope, TokenName};

use crate::config::{Database, Logging, Serve};

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

#[derive(Subcommand)]
pub enum Command {
    /// Serve the HTTP API until SIGTERM or SIGINT.
    ///
    /// On either, requests under way are answered (for up to 30 seconds) before the process ends;
    /// a second SIGINT or SIGTERM ends it at once.
    Serve(Serve),
    /// Bring the database to the schema of this version, which every other command does too.
    Migrate,
    /// Make, list and revoke the tokens that callers show.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Copy an SQLite database into a new file, while servers use it.
    ///
    /// The copy holds what was answered before it began. How far it is gets told on stderr; SIGINT
    /// or SIGTERM stops it and leaves nothing. To restore a copy, stop the servers, put it in the
    /// place of the database, and remove that one's -wal and -shm files. PostgreSQL has pg_dump and
    /// continuous archiving for this.
    Backup {
        /// The new file.
        path: PathBuf,
    },
    /// Print the OpenAPI document.
    Openapi,
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
        name: TokenName,
    },
}

#[derive(Args)]
pub struct NewToken {
    /// What it is called: which system, or who, will show it.
    #[arg(long)]
    pub name: TokenName,
    /// What it permits: `read` or `write`, which includes reading.
    #[arg(long, default_value = "write")]
    pub scope: Scope,
    /// After how long it is refused, such as 12h, 90d or 52w; never, unless said.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub expires_in: Option<Duration>,
}

/// A number with one of the units `s m h d w`.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.char_indices().last().and_then(|(at, unit)| {
        let unit = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            'w' => 7 * 24 * 60 * 60,
            _ => return None,
        };
        let digits = text[..at].bytes().all(|b| b.is_ascii_digit());
        text[..at].parse::<u64>().ok().filter(|_| digits)?.checked_mul(unit)
    });
    match seconds {
        Some(0) | None => Err("give a number and one of the units s m h d w, such as 90d".into()),
        Some(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
                let default = argument.get_default_values()[0].to_string_lossy();
                let row = format!("| `{}` | `--{flag}` | `{default}` |", variable.display());
                assert!(readme.contains(&row), "the README has no row {row}");
            }
        }
    }

    #[test]
    fn a_duration_is_a_number_with_a_unit() {
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(duration("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(duration("2w"), Ok(Duration::from_secs(1_209_600)));
        for other in
            ["", "90", "d", "-1d", "+1d", "0d", "1.5h", "1y", "99999999999999999999w", "9é"]
        {
            assert!(duration(other).is_err(), "{other}");
        }
    }
}
