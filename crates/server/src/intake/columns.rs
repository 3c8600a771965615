//! What the columns of a table are called, and which attributes they hold.

use std::collections::HashMap;

use customers_domain::lenient::{self, Sent};
use customers_domain::{Attribute, CustomerAccount, CustomerChanges, Kind, Rule, Value, import};
use customers_storage::Brought;

use super::headings::{Headings, Target, key};
use super::row::{Cell, Column, Row};

/// The most columns there may be; a spreadsheet has no more. Each object of JSON can bring others.
pub const MOST: usize = 16_384;

/// The highest id that may come in: the other half is for customers to come, whose ids go on behind it.
const MAX_ID: i64 = 1 << 52;

/// The columns that are known so far.
pub struct Columns {
    headings: Headings,
    /// Whether a column `id` holds ids of this registry, and not numbers of somewhere else.
    trusts_ids: bool,
    columns: Vec<(Column, Option<Target>)>,
}

/// A column that is ignored.
#[derive(Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its heading, cut where it is long.
    pub heading: String,
    pub why: Why,
}

/// Why a column is ignored.
#[derive(Debug, PartialEq, Eq)]
pub enum Why {
    /// Its heading means nothing, and may be like one that does.
    Unknown { like: Option<&'static str> },
    /// It holds ids, and those of a file count only where that is said.
    Ids,
}

impl Columns {
    pub fn new(headings: Headings, trusts_ids: bool) -> Self {
        Self { headings, trusts_ids, columns: Vec::new() }
    }

    /// Lets columns that are added from now on hold ids.
    pub fn trust_ids(&mut self) {
        self.trusts_ids = true;
    }

    /// What a column of this heading holds; nothing where that are ids which do not count.
    fn target(&self, heading: &str) -> Option<Target> {
        self.headings.target(heading).filter(|it| self.trusts_ids || *it != Target::Id)
    }

    /// Adds columns of a row of headings, or a member that an object has first; those of them that are
    /// ignored.
    ///
    /// # Errors
    ///
    /// Where two of these columns hold the same, or there are too many.
    pub fn add(&mut self, columns: Vec<Column>) -> Result<Vec<Ignored>, String> {
        let known = self.columns.len();
        if known + columns.len() > MOST {
            return Err(format!("there are more than {MOST} columns"));
        }
        for column in columns {
            let target = self.target(&column.name);
            let twin = self.columns[known..].iter().find(|(_, it)| it.is_some() && *it == target);
            if let (Some((twin, _)), Some(target)) = (twin, target) {
                return Err(format!(
                    "the columns {} and {} both hold {}; remove or rename one of them",
                    twin.name,
                    column.name,
                    target.name()
                ));
            }
            self.columns.push((column, target));
        }
        let is_held = |like: &Target| self.columns.iter().any(|(_, it)| *it == Some(*like));
        let why = |heading: &str| match self.headings.target(heading) {
            Some(_) => Why::Ids,
            None => Why::Unknown {
                like: self.headings.like(heading).filter(|it| !is_held(it)).map(Target::name),
            },
        };
        let ignored = |(column, target): &(Column, Option<Target>)| {
            (target.is_none() && !column.name.trim().is_empty()).then(|| Ignored {
                heading: column.name.chars().take(100).collect(),
                why: why(&column.name),
            })
        };
        Ok(self.columns[known..].iter().filter_map(ignored).collect())
    }

    /// # Errors
    ///
    /// Where no column holds anything known, or one that was named on the command line is not there.
    pub fn check(&self, may_be_empty: bool) -> Result<(), String> {
        if self.columns.is_empty() {
            let nothing = || "there is nothing in it".to_owned();
            return may_be_empty.then_some(()).ok_or_else(nothing);
        }
        let names = self.columns.iter().map(|(column, _)| &*column.name);
        if let Some(missing) = self.headings.missing(names) {
            return Err(format!("--map: there is no column {missing}"));
        }
        match self.columns.iter().any(|(_, target)| target.is_some()) {
            true => Ok(()),
            false => {
                Err("no column of it is known; name them with --map \"COLUMN=ATTRIBUTE\"".into())
            }
        }
    }

    /// Whether a column of this heading holds ids.
    pub fn means_ids(&self, heading: &str) -> bool {
        self.target(heading) == Some(Target::Id)
    }

    /// Whether one of them holds ids.
    pub fn has_ids(&self) -> bool {
        self.columns.iter().any(|(_, target)| *target == Some(Target::Id))
    }

    /// Whether a value of a row stands below no heading.
    pub fn is_below_nothing(&self, row: &Row) -> bool {
        row.cells.iter().any(|(at, cell)| {
            let column = self.columns.get(*at);
            column.is_none_or(|(column, _)| column.name.trim().is_empty())
                && !cell.as_sent().is_nothing()
        })
    }

    /// Adds the ids and accounts of a row to those that are brought along, as far as they can be read.
    pub fn note_numbers(&self, row: &Row, brought: &mut Brought) {
        for (at, cell) in &row.cells {
            match self.columns.get(*at) {
                Some((_, Some(Target::Id))) => {
                    if let Ok(Some(id)) = lenient::id(cell.as_sent()) {
                        brought.add_id(id);
                    }
                }
                Some((_, Some(Target::Attribute(it)))) if it.name == "customerAccount" => {
                    if let Ok(Value::Text(text)) = read(it, cell.as_sent())
                        && let Ok(account) = CustomerAccount::new(&text)
                    {
                        brought.add_account(&account);
                    }
                }
                _ => {}
            }
        }
    }

    /// The customer of a row.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn read(&self, row: &Row) -> Result<import::Incoming, Vec<Fault>> {
        let mut faults = Vec::new();
        let (mut id, mut created_at, mut updated_at) = (None, None, None);
        let mut deleted_at = None;
        let mut values = Vec::with_capacity(row.cells.len());
        let mut held = HashMap::with_capacity(row.cells.len());
        for (at, cell) in &row.cells {
            let Some((column, Some(target))) = self.columns.get(*at) else { continue };
            let mut fault =
                |what: String| faults.push((*at, Fault::of(column, target.name(), what)));
            if let Some(twin) = held.insert(target.name(), *at) {
                fault(match twin == *at {
                    true => "is there twice; leave one of them out".to_owned(),
                    false => {
                        let twin = &self.columns[twin].0.name;
                        format!("is held by {twin}, too; leave one of them out")
                    }
                });
                continue;
            }
            match cell {
                Cell::Error(error) => {
                    fault(format!("holds an error of the spreadsheet, {error}"));
                    continue;
                }
                Cell::Broken => {
                    fault("is not in the encoding of the file".to_owned());
                    continue;
                }
                _ => {}
            }
            let sent = cell.as_sent();
            let mut time = || lenient::time(sent).map_err(|rule| fault(rule.to_string())).ok();
            match target {
                Target::Id => match lenient::id(sent) {
                    Ok(Some(given)) if given.get() > MAX_ID => {
                        fault(format!("must be at most {MAX_ID}, so that there are ids behind it"));
                    }
                    Ok(given) => id = given,
                    Err(rule) => fault(rule.to_string()),
                },
                Target::CreatedAt => created_at = time().flatten(),
                Target::UpdatedAt => updated_at = time().flatten(),
                Target::DeletedAt => deleted_at = time(),
                Target::Attribute(attribute) => match read(attribute, sent) {
                    // An empty cell says nothing of what always has a value.
                    Ok(Value::Null) if attribute.cleared().is_none() && !attribute.required() => {}
                    value => values.push((*attribute, value)),
                },
            }
        }
        match CustomerChanges::from_values(values) {
            Ok(changes) if faults.is_empty() => {
                return Ok(import::Incoming { id, changes, created_at, updated_at, deleted_at });
            }
            Ok(_) => {}
            Err(violations) => faults.extend(violations.iter().map(|violation| {
                let name = violation.attribute.name;
                let what = violation.rule.to_string();
                match held.get(name) {
                    Some(at) => (*at, Fault::of(&self.columns[*at].0, name, what)),
                    None => (self.columns.len(), self.fault(name, what)),
                }
            })),
        }
        faults.sort_by_key(|(at, _)| *at);
        Err(faults.into_iter().map(|(_, fault)| fault).collect())
    }

    /// What is wrong with an attribute, in its column where it has one.
    pub fn fault(&self, name: &str, what: String) -> Fault {
        let holds = |target: &Option<Target>| target.is_some_and(|it| it.name() == name);
        let mut columns = self.columns.iter().filter(|(_, target)| holds(target));
        match (columns.next(), columns.next()) {
            (Some((column, _)), None) => Fault::of(column, name, what),
            _ => Fault { column: None, field: Some(name.to_owned()), what },
        }
    }
}

/// Reads a value as HTTP does; of a boolean a spreadsheet may also say `oui`, `non`, `vrai`, `faux`.
fn read<'a>(attribute: &Attribute, sent: Sent<'a>) -> Result<Value<'a>, Rule> {
    if let (Kind::Boolean, Sent::Text(text)) = (attribute.kind, sent) {
        match key(text).as_str() {
            "oui" | "vrai" => return Ok(Value::Boolean(true)),
            "non" | "faux" => return Ok(Value::Boolean(false)),
            _ => {}
        }
    }
    lenient::read(attribute.kind, sent)
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub column: Option<String>,
    pub field: Option<String>,
    pub what: String,
}

impl Fault {
    fn of(column: &Column, field: &str, what: String) -> Self {
        let name = match &column.letters {
            Some(letters) => format!("{letters} ({})", column.name),
            None => column.name.clone(),
        };
        Self { column: Some(name), field: Some(field.to_owned()), what }
    }

    /// What is wrong with the row as a whole.
    pub fn of_row(what: String) -> Self {
        Self { column: None, field: None, what }
    }
}
