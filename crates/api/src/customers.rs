//! The customers: thin handlers, each under its description.

pub(crate) mod answer;
pub(crate) mod history;
pub(crate) mod lists;
mod path;
pub(crate) mod reading;
pub(crate) mod writing;

/// Where customers are listed and created.
const PATH: &str = "/api/v1/customers";
