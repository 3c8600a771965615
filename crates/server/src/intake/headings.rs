//! What headings mean: the names of the API, the labels of spreadsheets, and what the command line says.

use customers_domain::{Attribute, fold, import};
use indexmap::IndexMap;

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

/// Headings are like each other from here on: 1 is the same.
const LIKE: f64 = 0.7;

/// So many letters in common make them like each other, too.
const COMMON: usize = 4;

/// What is longer is like none of them, and comparing it takes long.
const LONGEST: usize = 100;

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
pub fn key(heading: &str) -> String {
    fold(heading).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// What headings mean.
pub struct Headings {
    known: IndexMap<String, Target>,
    /// What the command line says, with the headings as they are written there.
    mapped: IndexMap<String, (String, Target)>,
}

impl Headings {
    /// The headings that are known, and these further ones, each with a name or a label of what it means.
    ///
    /// # Errors
    ///
    /// Where nothing is called so, a heading comes twice, or two mean the same.
    pub fn new(map: &[(String, String)]) -> Result<Self, String> {
        let known = LABELS.iter().copied().chain(import::names().map(|name| (name, name)));
        let known = known.filter_map(|(heading, name)| Some((key(heading), Target::named(name)?)));
        let mut headings = Self { known: known.collect(), mapped: IndexMap::new() };
        for (heading, name) in map {
            let target = headings.known.get(&key(name)).copied().ok_or_else(|| {
                format!(
                    "--map {heading}={name}: there is no attribute called {name}; {}",
                    headings.advice(name)
                )
            })?;
            if let Some((twin, _)) = headings.mapped.values().find(|(_, it)| *it == target) {
                let name = target.name();
                return Err(format!("--map: {twin} and {heading} cannot both be {name}"));
            }
            if headings.mapped.insert(key(heading), (heading.clone(), target)).is_some() {
                return Err(format!("--map: {heading} can be one attribute only"));
            }
        }
        Ok(headings)
    }

    /// What a heading means.
    pub fn target(&self, heading: &str) -> Option<Target> {
        let key = key(heading);
        let mapped = self.mapped.get(&key).map(|(_, target)| *target);
        mapped.or_else(|| self.known.get(&key).copied())
    }

    /// The heading that the command line says means ids, where one does.
    pub fn mapped_to_ids(&self) -> Option<&str> {
        let mut mapped = self.mapped.values();
        mapped.find(|(_, target)| *target == Target::Id).map(|(heading, _)| &**heading)
    }

    /// A heading of the command line that none of these is.
    pub fn missing<'a>(&self, headings: impl Iterator<Item = &'a str>) -> Option<&str> {
        let there: Vec<_> = headings.map(key).collect();
        let mut mapped = self.mapped.iter();
        mapped.find(|(key, _)| !there.contains(key)).map(|(_, (heading, _))| &**heading)
    }

    /// What a heading that means nothing is most like, of what is equally so the first.
    pub fn like(&self, heading: &str) -> Option<Target> {
        let wanted = key(heading);
        if wanted.len() > LONGEST {
            return None;
        }
        let likeness = |known: &str| {
            let (short, long) =
                if known.len() < wanted.len() { (known, &*wanted) } else { (&*wanted, known) };
            match short.len() >= COMMON && long.contains(short) {
                true => short.len() as f64,
                false => strsim::normalized_levenshtein(short, long),
            }
        };
        let known = self.known.iter().rev().map(|(known, target)| (likeness(known), *target));
        let like = known.filter(|(likeness, _)| *likeness >= LIKE);
        like.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, target)| target)
    }

    fn advice(&self, name: &str) -> String {
        match self.like(name) {
            Some(like) => format!("is {} meant?", like.name()),
            None => format!("there are {}", import::names().collect::<Vec<_>>().join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(map: &[(&str, &str)]) -> Result<Headings, String> {
        let owned = |(heading, name): &(&str, &str)| (heading.to_string(), name.to_string());
        Headings::new(&map.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn headings_are_names_or_labels_in_any_case() {
        let headings = of(&[]).expect("headings");
        for (label, name) in LABELS {
            for label in [label.to_uppercase(), label.replace('\'', "’")] {
                assert_eq!(headings.target(&label).map(Target::name), Some(*name), "{label}");
            }
        }
        for (heading, name) in [
            ("NUMERO DE TVA INTRACOMMUNAUTAIRE", Some("taxRegistrationNumber")),
            ("Customer_Account", Some("customerAccount")),
            ("Notes", None),
            ("", None),
        ] {
            assert_eq!(headings.target(heading).map(Target::name), name, "{heading}");
        }
    }

    #[test]
    fn no_heading_means_two_things() {
        let known = of(&[]).expect("headings").known.len();
        assert_eq!(known, LABELS.len() + import::names().count());
    }

    #[test]
    fn headings_are_like_others() {
        let headings = of(&[]).expect("headings");
        for (heading, like) in [
            ("account", Some("customerAccount")),
            ("Client", Some("customerAccount")),
            ("E-mail", Some("emailAddress")),
            ("Mobile phone number", Some("mobilePhone")),
            ("Adresse", Some("mainAddressLine1")),
            ("brand id", Some("brand_id")),
            ("webiste", Some("website")),
            ("Notes", None),
            ("Nom", None),
            ("", None),
        ] {
            assert_eq!(headings.like(heading).map(Target::name), like, "{heading}");
        }
        assert!(headings.like(&"account".repeat(1 << 20)).is_none());
    }

    #[test]
    fn what_is_mapped_has_one_meaning() {
        let headings = of(&[("Nom", "raison sociale"), ("name", "comment")]).expect("headings");
        let target = |heading| headings.target(heading).map(Target::name);
        assert_eq!((target("NOM"), target("name")), (Some("name"), Some("comment")));
        assert_eq!(headings.missing(["name", "nom"].into_iter()), None);
        assert_eq!(headings.missing(["name"].into_iter()), Some("Nom"));
        for (map, told) in [
            (&[("a", "name"), ("A", "phone")][..], "A can be one attribute only"),
            (&[("a", "name"), ("a", "name")], "a and a cannot both be name"),
            (&[("a", "name"), ("b", "Raison sociale")], "a and b cannot both be name"),
            (&[("a", "nam")], "there is no attribute called nam; is name meant?"),
            (&[("a", "xyz")], "called xyz; there are id, brand_id, "),
        ] {
            let error = of(map).err().unwrap_or_default();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
