//! Customers in JSON: one on each line, or in pages as the list answers them.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::intake::{Cell, Column, Found, ReadError, Row, Sink};

/// The most bytes of a line: more than any customer has.
const MAX_LINE: u64 = 4 << 20;

/// The members of an object in their order, their values exactly as they are written. One that is there
/// twice is so.
#[derive(Default)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The members of an object that is written so.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(text)
            .map_err(|error| format!("is no JSON object, at column {}", error.column()))
    }

    /// The first of this name.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| &**value)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                while let Some(member) = map.next_entry()? {
                    members.0.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

/// Makes rows of objects, and columns of the names of their members.
pub struct Objects<'a> {
    sink: Sink<'a>,
    columns: HashMap<String, usize>,
}

impl<'a> Objects<'a> {
    pub fn new(sink: Sink<'a>) -> Self {
        Self::with(sink, HashMap::new())
    }

    /// Further objects, of which these columns are known.
    pub fn with(sink: Sink<'a>, columns: HashMap<String, usize>) -> Self {
        Self { sink, columns }
    }

    /// The columns that are known by now.
    pub fn into_columns(self) -> HashMap<String, usize> {
        self.columns
    }

    /// Takes what stands on this line: an object, or why it is none.
    ///
    /// # Errors
    ///
    /// Where nobody wants more.
    pub fn take(&mut self, line: u64, read: Result<Members, String>) -> Result<(), ReadError> {
        let mut row = Row { line, cells: Vec::new() };
        let members = match read {
            Ok(members) => members.0,
            Err(what) => return (self.sink)(Found::Broken(row, what)),
        };
        let mut broken = None;
        for (name, value) in members {
            let at = match self.columns.get(&name) {
                Some(at) => *at,
                None => {
                    let at = self.columns.len();
                    self.columns.insert(name.clone(), at);
                    (self.sink)(Found::Member(Column { name, letters: None }))?;
                    at
                }
            };
            match cell(&value) {
                Ok(cell) => row.cells.push((at, cell)),
                // Half of a character that is written as two.
                Err(error) => broken = Some(format!("holds what is no text: {error}")),
            }
        }
        (self.sink)(match broken {
            Some(what) => Found::Broken(row, what),
            None => Found::Row(row),
        })
    }
}

/// A value exactly as it is written.
fn cell(value: &RawValue) -> serde_json::Result<Cell> {
    let text = value.get();
    Ok(match text.as_bytes()[0] {
        b'n' => Cell::Null,
        b't' => Cell::Boolean(true),
        b'f' => Cell::Boolean(false),
        b'"' => Cell::Text(serde_json::from_str(text)?),
        b'{' | b'[' => Cell::Composite,
        _ => Cell::Number(text.to_owned()),
    })
}

/// Reads an object from each line that is not blank.
pub fn read_lines(input: &mut dyn Read, sink: Sink<'_>) -> Result<(), ReadError> {
    let mut rows = Objects::new(sink);
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line);
        if length.map_err(ReadError::unreadable)? == 0 {
            break;
        }
        if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n').map_err(ReadError::unreadable)?;
            rows.take(number, Err("is longer than 4 MiB".to_owned()))?;
            continue;
        }
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        rows.take(number, Members::read(text))?;
    }
    Ok(())
}

/// Reads values one after the other: pages, whose customers are their `data`; arrays of customers;
/// customers.
pub fn read_pages(input: &mut dyn Read, sink: Sink<'_>) -> Result<(), ReadError> {
    let mut input = BufReader::new(input);
    if input.fill_buf().map_err(ReadError::unreadable)?.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    let mut rows = Objects::new(sink);
    let mut json = serde_json::Deserializer::from_reader(input);
    let mut reading = Reading { rows: &mut rows, number: 0, stopped: None };
    // Until nothing but white space is left.
    while json.end().is_err() {
        if let Err(error) = (&mut reading).deserialize(&mut json) {
            let unreadable =
                || ReadError::Unreadable(format!("this is no page of customers: {error}"));
            return Err(reading.stopped.take().unwrap_or_else(unreadable));
        }
    }
    Ok(())
}

/// What is read of a value at the top.
struct Reading<'a, 'b> {
    rows: &'a mut Objects<'b>,
    number: u64,
    stopped: Option<ReadError>,
}

impl Reading<'_, '_> {
    fn take<E: de::Error>(&mut self, read: Result<Members, String>) -> Result<(), E> {
        self.number += 1;
        self.rows.take(self.number, read).map_err(|stopped| {
            self.stopped = Some(stopped);
            E::custom("stopped")
        })
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of customers, or customers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut customers: A) -> Result<(), A::Error> {
        while let Some(customer) = customers.next_element::<Box<RawValue>>()? {
            self.take::<A::Error>(Members::read(customer.get().as_bytes()))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut members, mut is_page) = (Members::default(), false);
        while let Some(name) = map.next_key::<String>()? {
            if name == "data" {
                is_page = true;
                map.next_value_seed(&mut *self)?;
            } else {
                members.0.push((name, map.next_value()?));
            }
        }
        if is_page { Ok(()) } else { self.take(Ok(members)) }
    }
}
