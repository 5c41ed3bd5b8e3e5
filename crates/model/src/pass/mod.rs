//! The model, and its passes forward and backward on the packed axis.

mod attention;
pub(crate) mod batch;
pub(crate) mod checkpointing;
mod files;
mod forward;
mod images;
pub(crate) mod model;
pub(crate) mod part;
pub(crate) mod recompute;
pub(crate) mod tape;
