//! What the columns of a table are called, and which attributes they hold.

use std::collections::HashMap;

use customers_domain::lenient::{self, Sent};
use customers_domain::{Attribute, CustomerChanges, Kind, Rule, Value, fold, import};

use super::row::{Cell, Column, Row};

/// What the spreadsheets of French telephone companies call the attributes.
const LABELS: &[(&str, &str)] = &[
    ("Compte client", "customerAccount"),
    ("Compte comptable", "accountsReference"),
    ("Raison sociale", "name"),
    ("SIRET", "registrationNumber"),
    ("Numéro de TVA intracommunautaire", "taxRegistrationNumber"),
    ("Type de société", "type"),
    ("Capital social", "capital"),
    ("Première ligne d'adresse", "mainAddressLine1"),
    ("Seconde ligne d'adresse", "mainAddressLine2"),
    ("Code Postal", "mainAddressPostalCode"),
    ("Ville", "mainAddressCity"),
    ("Site Web", "website"),
    ("Actif", "active"),
    ("Revendeur", "isReseller"),
    ("Niveau de revendeur", "resellerLevel"),
    ("Facturer la TVA", "chargeVAT"),
    ("Appliquer la TVA auto-liquidée", "applyVATAutoReverseOperators"),
    ("Client sous contrat d'astreinte", "onCallDuty"),
    ("Client VIP", "vip"),
];

/// The most columns there may be; a spreadsheet has no more. Each object of JSON can bring others.
const MOST: usize = 16_384;

/// The highest id that may come in: the other half is for customers to come, whose ids go on behind it.
const MAX_ID: i64 = 1 << 52;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Attribute(&'static Attribute),
    Id,
    CreatedAt,
    UpdatedAt,
    DeletedAt,
}

impl Target {
    fn named(name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "created_at" => Some(Self::CreatedAt),
            "updated_at" => Some(Self::UpdatedAt),
            "deleted_at" => Some(Self::DeletedAt),
            name => Attribute::named(name).map(Self::Attribute),
        }
    }

    /// The name of what it holds.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attribute(attribute) => attribute.name,
            Self::Id => "id",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::DeletedAt => "deleted_at",
        }
    }
}

/// A heading as it is compared: without case, accents, and what is neither letter nor digit.
fn key(heading: &str) -> String {
    fold(heading).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// The columns that are known so far.
pub struct Columns {
    by_heading: HashMap<String, Target>,
    mapped: Vec<(String, bool)>,
    columns: Vec<(Column, Option<Target>)>,
}

impl Columns {
    /// Columns of these further headings, each with the name of what it holds.
    ///
    /// # Errors
    ///
    /// Where there is nothing of such a name.
    pub fn new(map: &[(String, String)]) -> Result<Self, String> {
        let names = import::names().map(|name| (name, name));
        let known = LABELS.iter().copied().chain(names);
        let mut by_heading: HashMap<_, _> = known
            .filter_map(|(heading, name)| Some((key(heading), Target::named(name)?)))
            .collect();
        let mut mapped = Vec::new();
        for (heading, name) in map {
            let target = Target::named(name).ok_or_else(|| {
                format!("--map {heading}={name}: there is no attribute called {name}")
            })?;
            by_heading.insert(key(heading), target);
            mapped.push((heading.clone(), false));
        }
        Ok(Self { by_heading, mapped, columns: Vec::new() })
    }

    /// Adds columns; the headings of those that hold nothing known.
    ///
    /// # Errors
    ///
    /// Where two columns hold the same, or there are too many.
    pub fn add(&mut self, columns: Vec<Column>) -> Result<Vec<String>, String> {
        if self.columns.len() + columns.len() > MOST {
            return Err(format!("there are more than {MOST} columns"));
        }
        let mut unknown = Vec::new();
        for column in columns {
            let folded = key(&column.name);
            let target = self.by_heading.get(&folded).copied();
            let twin = self.columns.iter().find(|(_, other)| other.is_some() && *other == target);
            if let (Some((twin, _)), Some(target)) = (twin, target) {
                return Err(format!(
                    "the columns {} and {} both hold {}; remove or rename one of them",
                    twin.name,
                    column.name,
                    target.name()
                ));
            }
            for (heading, is_there) in &mut self.mapped {
                *is_there |= key(heading) == folded;
            }
            if target.is_none() && !column.name.trim().is_empty() {
                unknown.push(column.name.chars().take(100).collect());
            }
            self.columns.push((column, target));
        }
        Ok(unknown)
    }

    /// # Errors
    ///
    /// Where no column holds anything known, or one that was named on the command line is not there.
    pub fn check(&self, may_be_empty: bool) -> Result<(), String> {
        if self.columns.is_empty() {
            let nothing = || "there is nothing in it".to_owned();
            return may_be_empty.then_some(()).ok_or_else(nothing);
        }
        if let Some((missing, _)) = self.mapped.iter().find(|(_, is_there)| !is_there) {
            return Err(format!("--map: there is no column {missing}"));
        }
        match self.columns.iter().any(|(_, target)| target.is_some()) {
            true => Ok(()),
            false => {
                Err("no column of it is known; name them with --map \"COLUMN=ATTRIBUTE\"".into())
            }
        }
    }

    /// Whether one of them holds ids.
    pub fn has_ids(&self) -> bool {
        self.columns.iter().any(|(_, target)| *target == Some(Target::Id))
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
        for (at, cell) in &row.cells {
            let Some((column, Some(target))) = self.columns.get(*at) else { continue };
            let mut fault =
                |what: String| faults.push((*at, Fault::of(column, target.name(), what)));
            match cell {
                Cell::Error(error) => {
                    fault(format!("holds an error of the spreadsheet, {error}"));
                    continue;
                }
                Cell::Broken => {
                    fault("is not in the encoding of the file, UTF-8".to_owned());
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
                (self.position(name), self.fault(name, violation.rule.to_string()))
            })),
        }
        faults.sort_by_key(|(at, _)| *at);
        Err(faults.into_iter().map(|(_, fault)| fault).collect())
    }

    /// What is wrong with an attribute, wherever it stands.
    pub fn fault(&self, name: &str, what: String) -> Fault {
        match self.columns.get(self.position(name)) {
            Some((column, _)) => Fault::of(column, name, what),
            None => Fault { column: None, field: Some(name.to_owned()), what },
        }
    }

    /// Which column holds an attribute; one behind the last where none does.
    fn position(&self, name: &str) -> usize {
        let holds = |target: &Option<Target>| target.is_some_and(|it| it.name() == name);
        let at = self.columns.iter().position(|(_, target)| holds(target));
        at.unwrap_or(self.columns.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(headings: &[&str]) -> Result<Vec<String>, String> {
        let column = |name: &&str| Column { name: name.to_string(), letters: None };
        Columns::new(&[])?.add(headings.iter().map(column).collect())
    }

    #[test]
    fn headings_are_names_or_labels_in_any_case() {
        for (label, name) in LABELS {
            assert!(Target::named(name).is_some(), "{label}");
            assert!(columns(&[&label.to_uppercase(), &label.replace('\'', "’")]).is_err());
        }
        assert_eq!(columns(&["NUMERO DE TVA INTRACOMMUNAUTAIRE", "Customer_Account"]), Ok(vec![]));
        assert_eq!(columns(&["name", "Notes", ""]), Ok(vec!["Notes".into()]));
    }

    #[test]
    fn no_heading_means_two_things() {
        let known = LABELS.iter().map(|(label, _)| key(label));
        let keys: Vec<_> = known.chain(import::names().map(key)).collect();
        let all: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(all.len(), keys.len());
    }
}
