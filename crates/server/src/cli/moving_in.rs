//! What is asked for of customers that come in from elsewhere.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use customers_domain::import::OnConflict;
use customers_storage::ImportMode;

use crate::import::Format;

#[derive(Args)]
pub struct ImportFrom {
    /// The file; `-` is stdin.
    pub file: PathBuf,
    /// How it is written. [default: by its name or its beginning]
    #[arg(long)]
    pub format: Option<Format>,
    /// What stands between the values of CSV: one character, or `tab`. [default: found out]
    #[arg(long, value_parser = separator)]
    pub separator: Option<u8>,
    /// Take text of CSV as it is, as an export has written it with --raw: keep an apostrophe in front of
    /// what a spreadsheet takes for a formula.
    #[arg(long)]
    pub raw: bool,
    /// The sheet of a spreadsheet. [default: the first]
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Begin with the row of this line, and pass over those before it.
    #[arg(long, value_name = "LINE", default_value_t = 0, hide_default_value = true)]
    pub start_at: u64,
    /// Let a column `id` hold ids of this registry: a customer is known by it, and gets it where it is new.
    /// Without this the column is ignored, because it may hold the numbers of another system; but not in a
    /// workbook that `customers export` has written, which says so itself.
    #[arg(long)]
    pub ids: bool,
    #[command(flatten)]
    pub how: Intake,
}

#[derive(Args)]
pub struct PullFrom {
    /// Where that system is reached, such as `https://crm.example`.
    pub url: String,
    /// A file that holds a token for it. [default: the variable PULL_TOKEN]
    #[arg(long, value_name = "FILE", conflicts_with = "email")]
    pub token_file: Option<PathBuf>,
    /// Log in there with this address and a password instead.
    #[arg(long)]
    pub email: Option<String>,
    /// A file that holds the password. [default: the variable PULL_PASSWORD]
    #[arg(long, value_name = "FILE", requires = "email")]
    pub password_file: Option<PathBuf>,
    /// How many customers are asked for at once.
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub per_page: u16,
    /// Ask for deleted customers, too: with `filter[trashed]=with`, which takes the scope `write`.
    #[arg(long)]
    pub with_deleted: bool,
    /// Keep in this file how far it is, and go on from there where it exists.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "all_or_nothing"])]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub how: Intake,
}

/// How customers are taken in that come from elsewhere.
#[derive(Args)]
pub struct Intake {
    /// What a column or a member holds that has another name.
    #[arg(long, value_name = "COLUMN=ATTRIBUTE", value_parser = mapping)]
    pub map: Vec<(String, String)>,
    /// What is done where a customer of that id or account is there already, and differs.
    #[arg(long, value_name = "HOW", default_value = "fail")]
    pub on_conflict: ConflictRule,
    /// Write nothing, and tell what would become of each row.
    #[arg(long)]
    pub dry_run: bool,
    /// Keep nothing unless every row can be kept. On SQLite nobody else writes meanwhile.
    #[arg(long)]
    pub all_or_nothing: bool,
    /// Tell what is wrong in this file, made anew, instead of on stderr: CSV by its name, or else NDJSON.
    /// `-` is stdout, and what became of all is told on stderr then.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Intake {
    /// The file of the report, unless that is stdout.
    pub fn report_file(&self) -> Option<&Path> {
        self.report.as_deref().filter(|path| *path != Path::new("-"))
    }

    /// How it is kept.
    pub fn mode(&self) -> ImportMode {
        match (self.dry_run, self.all_or_nothing) {
            (true, _) => ImportMode::DryRun,
            (false, true) => ImportMode::AllOrNothing,
            (false, false) => ImportMode::Batches,
        }
    }
}

/// What is done where a customer is there already, and differs.
#[derive(Clone, Copy, ValueEnum)]
pub enum ConflictRule {
    /// The row is refused.
    Fail,
    /// The customer is left as it is.
    Skip,
    /// The customer is changed; columns that are not there stay as they are.
    Update,
}

impl From<ConflictRule> for OnConflict {
    fn from(rule: ConflictRule) -> Self {
        match rule {
            ConflictRule::Fail => Self::Fail,
            ConflictRule::Skip => Self::Skip,
            ConflictRule::Update => Self::Update,
        }
    }
}

fn mapping(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').ok_or("name a column and an attribute: \"Client=name\"")?;
    Ok((parts.0.to_owned(), parts.1.trim().to_owned()))
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'"' => Ok(*byte),
        _ => Err("give one character, such as ; or tab".into()),
    }
}
