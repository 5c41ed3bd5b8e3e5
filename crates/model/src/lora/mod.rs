//! Low-rank adapters on a model, and their files.

mod adapters;
pub(crate) mod attached;
mod file;
mod modules;
