//! The running program, seen from outside: what it answers over HTTP and what its command line does,
//! on SQLite and on PostgreSQL.

#[path = "../../../storage/tests/support/database.rs"]
mod database;
mod support;

/// Makes tests of cases, which are functions that are given what they ask for: a fresh
/// [`TestDatabase`](database::TestDatabase), a [`Home`](support::Home) on one, or a
/// [`TestServer`](support::TestServer) that runs there. One that is not listed is dead code, of
/// which the compiler warns.
macro_rules! cases {
    ($database:ident: $($case:ident)*) => {
        mod $database {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let database = crate::database::TestDatabase::$database();
                    super::$case(crate::support::Fixture::on(database)).await;
                }
            )*
        }
    };
    (
        $(both: [$($both:ident),* $(,)?])?
        $(sqlite: [$($sqlite:ident),* $(,)?])?
        $(postgres: [$($postgres:ident),* $(,)?])?
    ) => {
        cases!(sqlite: $($($both)*)? $($($sqlite)*)?);
        cases!(postgres: $($($both)*)? $($($postgres)*)?);
    };
}

mod backup;
mod balanced;
mod check;
mod clients;
mod command_line;
mod conditional;
mod cors;
mod crashes;
mod creation;
mod crowds;
mod deleting;
mod documented_calls;
mod erasing;
mod errors;
mod exporting;
mod failover;
mod filtering;
mod full_disks;
mod hang_ups;
mod history;
mod idempotency;
mod import;
mod input;
mod large_pages;
mod legacy;
mod leniency;
mod listing;
mod log;
mod login;
mod metrics;
mod openapi;
mod outages;
mod polling;
mod pull;
mod races;
mod rate_limits;
mod reading;
mod rebuilding;
mod replica;
mod restoring;
mod round_trip;
mod searching;
mod shutdown;
mod sockets;
mod times;
mod tls;
mod tokens;
mod unreadable;
mod updating;
mod upgrade;
mod users;
mod version;
mod walking;
