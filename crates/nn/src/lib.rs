//! Differentiable operators of the training path on Burn tensors, the host kernels of the
//! sampler, and the optimiser.
//!
//! An operator is a plain function built from Burn's tensor operations (module [`mod@reference`]: the
//! definition, which tests compare with) and, on the CPU, a kernel with an analytic backward. The
//! choice is made in one place.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod adamw;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod device;
mod error;
mod gemm;
pub mod host;
mod host_op;
mod kernels;
mod layout;
mod nucleus;
mod ops;
mod precision;
mod recompute;
mod recycler;
pub mod reference;
pub mod sparse;
mod tiled;

pub use adamw::{AdamW, Moments, global_norm};
pub use device::{device_model, device_names, parse_device};
pub use error::Error;
pub use layout::{Layout, Span};
pub use nucleus::nucleus_entropy;
pub use ops::{
    attention, dot, embedding, gather_rows, gelu, layer_norm, quick_gelu, rms_norm, rotary,
    scatter_rows, swiglu, to_vec,
};
pub use precision::{Precision, TokenStats, linear, linear_log_prob, linear_log_prob_kl};
pub use recycler::Recycler;
