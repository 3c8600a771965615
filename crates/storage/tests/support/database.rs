//! A database for one test alone, dropped after it.
//!
//! This file is part of several test programs, by `#[path]`, and each uses what it needs.
#![allow(dead_code, reason = "no program needs all of it")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::{PgConnection, SqliteConnection};

/// A database that holds nothing yet.
pub struct TestDatabase(Kind);

enum Kind {
    Sqlite(tempfile::TempDir),
    /// By its name.
    Postgres(String),
    /// By its URL.
    Elsewhere(String),
}

impl TestDatabase {
    /// An SQLite file in a folder of its own, not there yet.
    pub fn sqlite() -> Self {
        Self(Kind::Sqlite(tempfile::tempdir().expect("a folder for a database")))
    }

    /// A database on the server of `TEST_POSTGRES_URL`.
    pub fn postgres() -> Self {
        // template0, because nobody is ever connected to it: a database cannot be copied then.
        Self::postgres_as("ENCODING 'UTF8' TEMPLATE template0")
    }

    /// The same with other options behind `CREATE DATABASE`.
    pub fn postgres_as(options: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("customers_test_{}_{count}", std::process::id());
        // Copying files, which the default avoids for the sake of a loaded server, is faster here.
        on_server(&format!("CREATE DATABASE {name} {options} STRATEGY file_copy"));
        Self(Kind::Postgres(name))
    }

    /// A database of another PostgreSQL server, which is dropped with that.
    pub fn at(url: &str) -> Self {
        Self(Kind::Elsewhere(url.to_owned()))
    }

    /// What the service is given to open it.
    pub fn url(&self) -> String {
        match &self.0 {
            Kind::Elsewhere(url) => url.clone(),
            Kind::Sqlite(_) => format!("sqlite://{}", self.path().display()),
            Kind::Postgres(name) => postgres_url(name),
        }
    }

    /// The SQLite file.
    pub fn path(&self) -> PathBuf {
        match &self.0 {
            Kind::Sqlite(folder) => folder.path().join("customers.db"),
            _ => panic!("a PostgreSQL database has no path"),
        }
    }

    /// A connection of its own, for what takes more than one statement.
    pub fn connect(&self) -> Connection {
        match &self.0 {
            Kind::Sqlite(_) => {
                let path = self.path();
                let mut conn = SqliteConnection::establish(path.to_str().expect("a UTF-8 path"))
                    .expect("a connection to the file");
                // Like the service, it leaves nothing in the file of what it replaces.
                conn.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA secure_delete = ON")
                    .expect("settings of the connection");
                Connection::Sqlite(conn)
            }
            _ => Connection::Postgres(
                PgConnection::establish(&self.url()).expect("a connection to the server"),
            ),
        }
    }

    /// Runs SQL, several statements if need be.
    pub fn execute(&self, sql: &str) {
        self.connect().execute(sql);
    }

    /// The column `value`, a text, of what a query finds.
    pub fn values(&self, query: &str) -> Vec<String> {
        self.connect().values(query)
    }

    /// How many rows a table holds, or so many as the `WHERE` behind it leaves.
    pub fn count(&self, rows: &str) -> usize {
        let counted = self.values(&format!("SELECT CAST(count(*) AS TEXT) AS value FROM {rows}"));
        counted[0].parse().expect("a number")
    }

    /// Closes all connections to a PostgreSQL database, as its shutdown would.
    pub fn end_connections(&self) {
        on_server(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name()
        ));
    }

    /// Lets a PostgreSQL database be reached or not. Those who are connected stay so.
    pub fn allow_connections(&self, allowed: bool) {
        on_server(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", self.name()));
    }

    /// The name of a PostgreSQL database.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Postgres(name) => name,
            _ => panic!("not a database of the server of TEST_POSTGRES_URL"),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Kind::Postgres(name) = &self.0 {
            let dropped = PgConnection::establish(&server_url())
                .map_err(|error| error.to_string())
                .and_then(|mut server| {
                    server
                        .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
                        .map_err(|error| error.to_string())
                });
            // A second panic would end the program and hide the first.
            if let Err(error) = dropped
                && !std::thread::panicking()
            {
                panic!("cannot drop the database {name}: {error}");
            }
        }
    }
}

/// A connection past the service, to look behind its back and to get in its way.
pub enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Runs SQL, several statements if need be.
    pub fn execute(&mut self, sql: &str) {
        let done = match self {
            Self::Sqlite(conn) => conn.batch_execute(sql),
            Self::Postgres(conn) => conn.batch_execute(sql),
        };
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The column `value`, a text, of what a query finds.
    pub fn values(&mut self, query: &str) -> Vec<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            value: String,
        }
        let found: QueryResult<Vec<Row>> = match self {
            Self::Sqlite(conn) => diesel::sql_query(query).load(conn),
            Self::Postgres(conn) => diesel::sql_query(query).load(conn),
        };
        let found = found.unwrap_or_else(|error| panic!("{query}: {error}"));
        found.into_iter().map(|Row { value }| value).collect()
    }
}

/// The server of the tests, which is not for them alone.
pub fn server_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL: these tests need PostgreSQL; run `make test`, which starts a private one",
    )
}

/// The URL of another database of the server.
fn postgres_url(name: &str) -> String {
    let url = server_url();
    let (server, _) = url.rsplit_once('/').expect("a database at the end of TEST_POSTGRES_URL");
    format!("{server}/{name}")
}

fn on_server(sql: &str) {
    PgConnection::establish(&server_url())
        .expect("a connection to the server of TEST_POSTGRES_URL")
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}
