//! The adapter for PostgreSQL and what speaks its protocol: everything on threads, as many as there
//! are connections.

mod check;
mod connections;
mod customers;
pub(crate) mod ddl;
pub(crate) mod horizon;
mod ids;
pub(crate) mod import;
mod readers;
mod reads;
mod replica;
mod search_index;
mod sequences;
mod tokens;
mod upkeep;
mod users;
mod writes;

use std::num::NonZeroU32;
use std::sync::Arc;

use customers_domain::AccountNumbering;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::Text;

use crate::error::OpenError;
use crate::mending::Mending;
use crate::reading::Ask;
use crate::refresh::Old;
use crate::statistics::{Instrumented, Statistics};
use crate::{Options, indexes, migrations, refresh};
pub(crate) use check::check;
use connections::{Connections, PATIENCE};
pub(crate) use ddl::Ddl;
use ids::Ids;
use readers::Readers;
use reads::Asked;
use replica::Replica;

pub(crate) struct PostgresStore {
    connections: Connections,
    readers: Readers,
    replica: Option<Replica>,
    ids: Ids,
    numbering: AccountNumbering,
    mending: Arc<Mending>,
    upkeep: upkeep::State,
}

impl PostgresStore {
    pub fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let url = &connections::with_time_limits(url);
        let mut conn = connect_for_long(url)?;
        check_encoding(&mut conn)?;
        migrations::migrate_postgres(&mut conn, || connect_for_long(url))?;
        let failed = |error: Error| OpenError::Migrate(error.into());
        match refresh::old_keys(&mut import::target(&mut conn))? {
            Old::None => {}
            old => {
                if matches!(old, Old::Many) && ddl::is_alone(&mut conn).map_err(failed)? {
                    set_indexes_aside(&mut conn);
                }
                let step = |conn: &mut PgConnection| refresh::step(&mut import::target(conn));
                refresh::refresh(|| conn.transaction(step)).map_err(failed)?;
            }
        }
        // Beside others, this takes as long as they read, and is done while the service runs.
        if indexes::are_set_aside(&mut import::target(&mut conn)).map_err(failed)?
            && ddl::is_alone(&mut conn).map_err(failed)?
        {
            let mut ddl = Ddl::connect(url)?;
            while ddl.restore_index().map_err(failed)? {}
        }
        let has_search_index = search_index::ensure(&mut conn).map_err(failed)?;
        // A role may lack the right to look at a sequence, and needs it only where one is behind.
        if let Err(error) = sequences::catch_up(&mut conn) {
            log::debug!("the sequences of ids were not looked at: {error}");
        }
        let connected = |error: r2d2::Error| OpenError::Connect(error.into());
        let count = Readers::of(options.connections);
        let readers = Readers::start(url, count).map_err(connected)?;
        // Where there is to be one only, there are two.
        let others = NonZeroU32::new(options.connections.get() - count.get());
        let connections = Connections::new(url, others.unwrap_or(NonZeroU32::MIN), PATIENCE)
            .map_err(connected)?;
        let replica = match options.replica {
            Some(replica) => {
                let origin = replica::Origin::of(&mut conn)
                    .map_err(|error| OpenError::Connect(error.into()))?;
                let url = connections::with_time_limits(replica.expose());
                Some(Replica::new(&url, options.connections, origin).map_err(connected)?)
            }
            None => None,
        };
        Ok(Self {
            readers,
            connections,
            replica,
            ids: Ids::default(),
            numbering: options.numbering,
            mending: Arc::default(),
            upkeep: upkeep::State::new(url, has_search_index),
        })
    }
}

/// It is about time only: where it cannot be done, the indexes stay.
fn set_indexes_aside(conn: &mut PgConnection) {
    let set_aside = conn.transaction(|conn| {
        let conn = &mut import::target(conn);
        indexes::lock(conn)?;
        match indexes::are_set_aside(conn)? {
            true => Ok(()),
            false => indexes::set_aside(conn),
        }
    });
    if let Err(error) = set_aside {
        log::debug!("the indexes stay where they are: {error}");
    }
}

impl Instrumented for PostgresStore {
    fn statistics(&self) -> Statistics {
        let mut pools = vec![self.connections.statistics("postgres"), self.readers.statistics()];
        pools.extend(self.replica.as_ref().map(Replica::statistics));
        Statistics {
            pools,
            writer: None,
            mended: self.mending.statistics(),
            missing_indexes: self.upkeep.missing_indexes(),
        }
    }
}

/// A connection of its own for a read that takes long, and whether there is an index of all that is
/// searched.
pub(crate) fn connect_for_reading(url: &str) -> Result<(PgConnection, bool), OpenError> {
    let mut conn = connect_for_long(&connections::with_time_limits(url))?;
    let has_search_index =
        search_index::exists(&mut conn).map_err(|error: Error| OpenError::Connect(error.into()))?;
    Ok((conn, has_search_index))
}

/// A connection that can be asked for lists and searches.
pub(crate) fn asked(conn: &mut PgConnection, has_search_index: bool) -> impl Ask {
    Asked { conn, has_search_index }
}

/// Whatever limits the role, the database or the server sets on time: `transaction_timeout` is there from
/// PostgreSQL 17 on.
const WITHOUT_TIMEOUTS: &str = "
    SELECT set_config(name, '0', FALSE) FROM pg_settings WHERE name IN ('statement_timeout',
        'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
        'idle_session_timeout')";

/// A connection for work that may take hours, such as a migration, and may have to wait in the middle of a
/// transaction.
fn connect_for_long(url: &str) -> Result<PgConnection, OpenError> {
    let mut conn = connect(url)?;
    conn.batch_execute(WITHOUT_TIMEOUTS).map_err(|error| OpenError::Connect(error.into()))?;
    Ok(conn)
}

fn connect(url: &str) -> Result<PgConnection, OpenError> {
    PgConnection::establish(url).map_err(|error| {
        OpenError::Connect(if may_repeat_password(url, &error.to_string()) {
            "it cannot be told why without showing parts of the URL; check that its user, password \
             and parameters are percent-encoded"
                .into()
        } else {
            error.into()
        })
    })
}

/// libpq repeats the parts of a URL that make no sense to it. These are parts of the password where
/// that was not percent-encoded and ended too early.
fn may_repeat_password(url: &str, message: &str) -> bool {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    login.is_some_and(|(login, _)| login.contains(['@', '/', '?']))
        || ["percent-encoded", " URI"].iter().any(|part| message.contains(part))
}

fn check_encoding(conn: &mut PgConnection) -> Result<(), OpenError> {
    let encoding = diesel::select(diesel::dsl::sql::<Text>("current_setting('server_encoding')"))
        .get_result::<String>(conn)
        .map_err(|error| OpenError::Connect(error.into()))?;
    if encoding == "UTF8" { Ok(()) } else { Err(OpenError::Encoding(encoding)) }
}
