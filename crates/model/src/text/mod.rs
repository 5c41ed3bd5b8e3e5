//! The text tower.

pub(crate) mod attention;
pub(crate) mod gates;
pub(crate) mod layer;
pub(crate) mod model;
pub(crate) mod rope;
