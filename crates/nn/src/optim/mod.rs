//! The optimiser.

pub(crate) mod adamw;
mod global_norm;
mod moments;
mod owned;

pub use adamw::AdamW;
pub use global_norm::global_norm;
pub use moments::Moments;
