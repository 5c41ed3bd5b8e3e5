//! Forward and backward on the packed axis.

pub(crate) mod batch;
pub(crate) mod checkpointing;
pub(crate) mod gradients;
pub(crate) mod model;
pub(crate) mod recompute;
pub(crate) mod tape;
