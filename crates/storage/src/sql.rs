//! Statements that are put together of pieces, where diesel's own builder has no words for them or
//! would have them prepared anew each time.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::OnceLock;

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, Binary, Bool, HasSqlType, Integer, Nullable, Text};
use diesel::sqlite::Sqlite;

/// A statement, or a part of one: text and the values that are bound in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    pieces: Vec<Piece>,
    /// Whether it is one of many, and not worth keeping prepared. A plan for these values is made
    /// each time then, too.
    is_unique: bool,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Cow<'static, str>),
    Bind(Bind),
    OneOf(List),
}

/// A list of values that is bound as one value, so that a statement takes as many of them as it is given.
#[derive(Debug, Clone)]
struct List {
    values: Values,
    /// The values as SQLite reads them, written when they are needed.
    json: OnceLock<String>,
}

impl List {
    fn json(&self) -> &String {
        self.json.get_or_init(|| {
            let json = match &self.values {
                Values::Numbers(numbers) => serde_json::to_string(numbers),
                Values::Texts(texts) => serde_json::to_string(texts),
                Values::Booleans(booleans) => serde_json::to_string(booleans),
            };
            json.expect("a list of plain values")
        })
    }
}

/// Values that a column is compared with, none of which is NULL.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
    Booleans(Vec<bool>),
}

/// How SQLite compares with a list.
const IN_JSON: [&str; 2] = [" IN (SELECT value FROM json_each(", "))"];

/// A value that is bound.
#[derive(Debug, Clone)]
pub(crate) enum Bind {
    Integer(Option<i32>),
    BigInt(Option<i64>),
    Bool(bool),
    Text(Option<String>),
    Binary(Vec<u8>),
}

macro_rules! bind_from {
    ($( $type:ty => |$value:ident| $bind:expr; )+) => {
        $( impl From<$type> for Bind {
            fn from($value: $type) -> Self { $bind }
        } )+
    };
}

bind_from! {
    i32 => |value| Self::Integer(Some(value));
    Option<i32> => |value| Self::Integer(value);
    i64 => |value| Self::BigInt(Some(value));
    Option<i64> => |value| Self::BigInt(value);
    bool => |value| Self::Bool(value);
    &str => |value| Self::Text(Some(value.to_owned()));
    String => |value| Self::Text(Some(value));
    Option<String> => |value| Self::Text(value);
    Vec<u8> => |value| Self::Binary(value);
}

impl Sql {
    /// The statement that begins so.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self::default().push(text)
    }

    /// Adds text.
    pub fn push(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.pieces.push(Piece::Text(text.into()));
        self
    }

    /// Adds a value.
    pub fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.pieces.push(Piece::Bind(value.into()));
        self
    }

    /// Adds values with commas between them.
    pub fn list(mut self, values: impl IntoIterator<Item = impl Into<Bind>>) -> Self {
        for (position, value) in values.into_iter().enumerate() {
            if position > 0 {
                self = self.push(", ");
            }
            self = self.bind(value);
        }
        self
    }

    /// Adds that what stands before is one of these values.
    pub fn one_of(mut self, values: Values) -> Self {
        self.pieces.push(Piece::OneOf(List { values, json: OnceLock::new() }));
        self
    }

    /// Adds another part.
    pub fn append(mut self, other: Self) -> Self {
        self.pieces.extend(other.pieces);
        self.is_unique |= other.is_unique;
        self
    }

    /// Adds parts with text between them.
    pub fn join(mut self, parts: impl IntoIterator<Item = Self>, between: &'static str) -> Self {
        for (position, part) in parts.into_iter().enumerate() {
            if position > 0 {
                self = self.push(between);
            }
            self = self.append(part);
        }
        self
    }

    /// Is planned for its values and not kept prepared.
    pub fn unique(mut self) -> Self {
        self.is_unique = true;
        self
    }

    /// Whether it is one of many, and not worth keeping prepared.
    pub fn is_unique(&self) -> bool {
        self.is_unique
    }

    /// The text as SQLite takes it, with a `?` for each value, and the values.
    pub fn in_sqlite(&self) -> (String, Vec<&dyn rusqlite::ToSql>) {
        let mut text = String::new();
        let mut values: Vec<&dyn rusqlite::ToSql> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Bind(bind) => {
                    text.push('?');
                    values.push(bind);
                }
                Piece::OneOf(list) => {
                    let [before, behind] = IN_JSON;
                    text.push_str(before);
                    text.push('?');
                    text.push_str(behind);
                    values.push(list.json());
                }
            }
        }
        (text, values)
    }
}

impl rusqlite::ToSql for Bind {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Integer(value) => rusqlite::ToSql::to_sql(value),
            Self::BigInt(value) => rusqlite::ToSql::to_sql(value),
            Self::Bool(value) => rusqlite::ToSql::to_sql(value),
            Self::Text(value) => rusqlite::ToSql::to_sql(value),
            Self::Binary(value) => rusqlite::ToSql::to_sql(value),
        }
    }
}

/// `column = value` of each but the id, which never changes, with commas between them.
pub(crate) fn assignments(columns: Vec<(&'static str, Bind)>) -> Sql {
    let assignments = columns.into_iter().filter(|(name, _)| *name != "id");
    let assignments = assignments.map(|(name, value)| Sql::new(name).push(" = ").bind(value));
    Sql::default().join(assignments, ", ")
}

/// A database that compares with a list.
trait Compare: Backend {
    fn push_one_of<'b>(list: &'b List, out: AstPass<'_, 'b, Self>) -> QueryResult<()>;
}

impl Compare for Sqlite {
    fn push_one_of<'b>(list: &'b List, mut out: AstPass<'_, 'b, Self>) -> QueryResult<()> {
        let [before, behind] = IN_JSON;
        out.push_sql(before);
        out.push_bind_param::<Text, _>(list.json())?;
        out.push_sql(behind);
        Ok(())
    }
}

impl Compare for Pg {
    fn push_one_of<'b>(list: &'b List, mut out: AstPass<'_, 'b, Self>) -> QueryResult<()> {
        out.push_sql(" = ANY(");
        match &list.values {
            Values::Numbers(numbers) => out.push_bind_param::<Array<BigInt>, _>(numbers)?,
            Values::Texts(texts) => out.push_bind_param::<Array<Text>, _>(texts)?,
            Values::Booleans(booleans) => out.push_bind_param::<Array<Bool>, _>(booleans)?,
        }
        out.push_sql(")");
        Ok(())
    }
}

impl<DB> QueryFragment<DB> for Sql
where
    DB: Compare
        + HasSqlType<Integer>
        + HasSqlType<BigInt>
        + HasSqlType<Bool>
        + HasSqlType<Text>
        + HasSqlType<Binary>,
    Option<i32>: ToSql<Nullable<Integer>, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    bool: ToSql<Bool, DB>,
    Option<String>: ToSql<Nullable<Text>, DB>,
    Vec<u8>: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.is_unique {
            out.unsafe_to_cache_prepared();
        }
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_sql(text),
                Piece::Bind(Bind::Integer(value)) => {
                    out.push_bind_param::<Nullable<Integer>, _>(value)?;
                }
                Piece::Bind(Bind::BigInt(value)) => {
                    out.push_bind_param::<Nullable<BigInt>, _>(value)?;
                }
                Piece::Bind(Bind::Bool(value)) => out.push_bind_param::<Bool, _>(value)?,
                Piece::Bind(Bind::Text(value)) => {
                    out.push_bind_param::<Nullable<Text>, _>(value)?;
                }
                Piece::Bind(Bind::Binary(value)) => out.push_bind_param::<Binary, _>(value)?,
                Piece::OneOf(list) => DB::push_one_of(list, out.reborrow())?,
            }
        }
        Ok(())
    }
}

/// Kept prepared by its text.
impl QueryId for Sql {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C> RunQueryDsl<C> for Sql {}

/// A query whose columns are of these types.
pub(crate) struct Typed<ST> {
    sql: Sql,
    columns: PhantomData<ST>,
}

impl Sql {
    /// The whole statement as a query whose columns are of these types.
    pub fn typed<ST>(self) -> Typed<ST> {
        Typed { sql: self, columns: PhantomData }
    }
}

impl<ST> Query for Typed<ST> {
    type SqlType = ST;
}

impl<ST, DB: Backend> QueryFragment<DB> for Typed<ST>
where
    Sql: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.sql.walk_ast(out)
    }
}

impl<ST> QueryId for Typed<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST, C> RunQueryDsl<C> for Typed<ST> {}
