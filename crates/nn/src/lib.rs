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

pub mod reference {
    //! The definition of every operator in Burn's tensor operations: what the kernels are compared
    //! with, and what runs on devices without a kernel. Each stands in its operator's file.

    pub use crate::ops::activation::reference::{gelu, quick_gelu};
    pub use crate::ops::attention::reference::attention;
    pub use crate::ops::embedding::reference::embedding;
    pub use crate::ops::kl::reference::linear_kl;
    pub use crate::ops::layer_norm::reference::layer_norm;
    pub use crate::ops::linear::reference::linear;
    pub use crate::ops::log_prob::reference::linear_log_prob;
    pub use crate::ops::rms_norm::reference::rms_norm;
    pub use crate::ops::rotary::reference::rotary;
    pub use crate::ops::scatter_rows::reference::scatter_rows;
    pub use crate::ops::swiglu::reference::swiglu;
    pub use crate::optim::adamw::reference::adamw;
}

pub use device::{device_model, device_names, parse_device};
pub use error::Error;
pub use ops::activation::{gelu, quick_gelu};
pub use ops::attention::attention;
pub use ops::embedding::{embedding, gather_rows};
pub use ops::kl::{linear_log_prob_kl, linear_log_prob_kl_in};
pub use ops::layer_norm::layer_norm;
pub use ops::linear::{linear, linear_in};
pub use ops::log_prob::{TokenStats, linear_log_prob, linear_log_prob_in};
pub use ops::nucleus::nucleus_entropy;
pub use ops::rms_norm::rms_norm;
pub use ops::rotary::rotary;
pub use ops::scatter_rows::scatter_rows;
pub use ops::sparse;
pub use ops::swiglu::swiglu;
pub use ops::swiglu_linear::swiglu_linear;
pub use optim::{AdamW, Moments, global_norm};
pub use percept_kernels::{Layout, Precision, Span};
pub use tensors::{dot, to_vec};
