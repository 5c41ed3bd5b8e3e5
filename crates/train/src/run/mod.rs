//! A run: a list of stages from a recipe to a report, in a folder that can be gone on with.

pub(crate) mod begin;
mod changes;
mod checkpoint;
#[cfg(test)]
mod doubles;
pub(crate) mod driver;
mod evaluation;
mod falling;
pub(crate) mod ledger;
mod log;
pub(crate) mod memory;
mod names;
pub(crate) mod news;
pub(crate) mod observer;
pub(crate) mod opened;
pub(crate) mod seen;
pub(crate) mod stage;
pub(crate) mod state;
mod summary;
mod warn;
pub(crate) mod warning;
pub(crate) mod watch;
