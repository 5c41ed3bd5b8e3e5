//! The recipe: one typed TOML file that fixes a run completely.

pub(crate) mod check;
pub(crate) mod file;
mod foreign_keys;
pub(crate) mod idle;
pub(crate) mod methods;
mod pairs;
pub(crate) mod parts;
mod paths;
pub(crate) mod preference;
mod schema;
mod sizes;
pub(crate) mod supervised;
pub(crate) mod tables;
