//! Which database a URL names.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A database, named by a URL: `sqlite://PATH` or whatever PostgreSQL's libpq takes behind
/// `postgres://` or `postgresql://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, absolute (`sqlite:///var/lib/customers.db`) or relative to the working directory
    /// (`sqlite://data/customers.db`).
    Sqlite(PathBuf),
    /// A PostgreSQL server. Several hosts and all parameters go to libpq as they are.
    Postgres(Secret),
}

impl DatabaseUrl {
    /// Which database it is: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            match path {
                "" => Err(InvalidDatabaseUrl::NoPath),
                ":memory:" => Err(InvalidDatabaseUrl::Memory),
                path if path.contains('?') => Err(InvalidDatabaseUrl::Parameters),
                path => Ok(Self::Sqlite(path.into())),
            }
        } else if ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            Ok(Self::Postgres(Secret(url.to_owned())))
        } else {
            Err(InvalidDatabaseUrl::Scheme)
        }
    }
}

/// What may be shown: the path, or the PostgreSQL URL without user, password and parameters.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(Secret(url)) => {
                let location = url.split_once("://").map_or("", |(_, rest)| rest);
                // A password may hold an @, a / or a ? that nobody encoded: what stands behind the
                // last @ is shown, unless a parameter may have one too.
                let (login, location) = location.rsplit_once('@').unwrap_or(("", location));
                let location = location.split('?').next().unwrap_or_default();
                let is_clear = !login.contains('?');
                write!(f, "postgres://{}", if is_clear { location } else { "…" })
            }
        }
    }
}

/// Text that holds a password and is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text, to be given to the driver and to nobody else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The text names no database. It is not repeated: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Neither SQLite nor PostgreSQL.
    #[error(
        "a database URL begins with sqlite:// (sqlite://data/customers.db) or with postgres:// \
         (postgres://user:password@host/database)"
    )]
    Scheme,
    /// `sqlite://` and nothing behind it.
    #[error("a path is missing behind sqlite://, such as sqlite://data/customers.db")]
    NoPath,
    /// `sqlite://PATH?mode=ro`: the parameters would be taken for a part of the file's name.
    #[error(
        "an SQLite URL has no parameters: leave out the ? and everything behind it, or rename the file"
    )]
    Parameters,
    /// `sqlite://:memory:`, which would be lost with the process.
    #[error("an SQLite database in memory would lose every customer; name a file")]
    Memory,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_names_the_database() {
        let parse = str::parse::<DatabaseUrl>;
        assert_eq!(parse("sqlite://data/c.db"), Ok(DatabaseUrl::Sqlite("data/c.db".into())));
        assert_eq!(parse("sqlite:///srv/c.db"), Ok(DatabaseUrl::Sqlite("/srv/c.db".into())));
        assert!(matches!(parse("postgresql://a,b/db"), Ok(DatabaseUrl::Postgres(_))));
        assert_eq!(parse("sqlite://"), Err(InvalidDatabaseUrl::NoPath));
        assert_eq!(parse("sqlite://:memory:"), Err(InvalidDatabaseUrl::Memory));
        for with_parameters in
            ["sqlite:///x.db?mode=ro", "sqlite://a?", "sqlite://:memory:?cache=shared"]
        {
            assert_eq!(parse(with_parameters), Err(InvalidDatabaseUrl::Parameters));
        }
        // Of a URL on the web, # would begin another part; here it is a character as any other.
        assert_eq!(parse("sqlite://c#.db"), Ok(DatabaseUrl::Sqlite("c#.db".into())));
        for other in ["", "mysql://h/db", "data/customers.db", "sqlite:c.db", "POSTGRES://h/db"] {
            assert_eq!(parse(other), Err(InvalidDatabaseUrl::Scheme), "{other}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url: DatabaseUrl =
            "postgres://me:p@ss/word@h1:5432,h2/db?password=secret".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://h1:5432,h2/db");
        assert_eq!(format!("{url:?}"), "Postgres((hidden))");
        for url in ["postgres://me:sec?ret@h/db", "postgres://me@h/db?password=sec@ret"] {
            let shown = url.parse::<DatabaseUrl>().unwrap().to_string();
            assert_eq!(shown, "postgres://…");
        }
    }
}
