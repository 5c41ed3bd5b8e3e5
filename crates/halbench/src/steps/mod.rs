//! The steps, in the order in which they are done.

pub(crate) mod choice;
pub(crate) mod dataset;
pub(crate) mod edit;
pub(crate) mod quality;
pub(crate) mod questions;
pub(crate) mod roles;
pub(crate) mod statistics;
