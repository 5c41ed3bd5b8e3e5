//! Differentiable operators of the training path on Burn tensors, and the optimiser.
//!
//! An operator is a plain function built from Burn's tensor operations (module [`mod@reference`]: the
//! definition, which tests compare with) and, on the CPU, a kernel of `percept-kernels` with an analytic backward. The
//! operator's own file makes the choice.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod device;
mod error;
mod host_op;
mod ops;
mod optim;
mod recompute;
mod tensors;

pub use device::{device_model, device_names, parse_device};
pub use error::Error;
pub use ops::*;
pub use optim::{AdamW, Moments, global_norm};
pub use percept_kernels::{Layout, Precision, Span};
pub use tensors::{dot, to_vec};
