//! The text tower.

pub(crate) mod gates;
pub(crate) mod model;
pub(crate) mod rope;
