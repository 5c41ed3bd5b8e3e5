//! Decoding with two models in step.

mod draw;
mod extrapolate;
mod gate;
mod models;
mod trace;

pub(crate) use draw::draw_pair;
pub use extrapolate::{Draft, Extrapolate};
pub use gate::Gate;
pub(crate) use models::Contrast;
pub use trace::Trace;
