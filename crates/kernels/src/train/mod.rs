//! Operators of the training path: f32 slices in, f32 slices out, each with its analytic backward.

mod activation;
mod adamw;
mod attention;
mod gated;
mod layer_norm;
mod linear;
mod log_prob;
mod norm;
mod nucleus;
mod rotary;
mod rows;
mod swiglu;
mod tasks;

pub use activation::{Activation, Function};
pub use adamw::{AdamWStep, sum_of_squares};
pub use attention::Attention;
pub use gated::GatedLinear;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use log_prob::{HostArray, KlDirection, LogProb, Second};
pub use norm::RmsNorm;
pub use nucleus::nucleus_entropy;
pub use rotary::Rotary;
pub use rows::{Gather, Scatter};
pub use swiglu::SwiGlu;
