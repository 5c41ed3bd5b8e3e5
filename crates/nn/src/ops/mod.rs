//! The operators of the training path, one file each: what it is, its definition in Burn's operations (`reference`), and
//! the choice between a kernel and the definition.
//!
//! Shapes and indices are checked before any kernel runs; a mismatch is a mistake of the calling
//! code and panics with both shapes.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod embedding;
pub(crate) mod kl;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod log_prob;
mod masked;
pub(crate) mod nucleus;
mod parts;
pub(crate) mod rms_norm;
pub(crate) mod rotary;
pub(crate) mod scatter_rows;
pub mod sparse;
pub(crate) mod swiglu;
pub(crate) mod swiglu_linear;

pub mod reference {
    //! The definition of every operator in Burn's tensor operations: what the kernels are compared
    //! with, and what runs on devices without a kernel. Each stands in its operator's file.

    pub use crate::ops::activation::reference::{gelu, quick_gelu};
    pub use crate::ops::attention::reference::attention;
    pub use crate::ops::embedding::reference::embedding;
    pub use crate::ops::kl::reference::{linear_forward_kl, linear_kl};
    pub use crate::ops::layer_norm::reference::layer_norm;
    pub use crate::ops::linear::reference::linear;
    pub use crate::ops::log_prob::reference::linear_log_prob;
    pub use crate::ops::rms_norm::reference::rms_norm;
    pub use crate::ops::rotary::reference::rotary;
    pub use crate::ops::scatter_rows::reference::scatter_rows;
    pub use crate::ops::swiglu::reference::swiglu;
    pub use crate::optim::adamw::reference::adamw;
}

pub use activation::{gelu, quick_gelu};
pub use attention::attention;
pub use embedding::{embedding, gather_rows};
pub use kl::{linear_log_prob_kl, linear_log_prob_kl_in};
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_in};
pub use log_prob::{TokenStats, linear_log_prob, linear_log_prob_in};
pub use nucleus::nucleus_entropy;
pub use rms_norm::rms_norm;
pub use rotary::rotary;
pub use scatter_rows::scatter_rows;
pub use swiglu::swiglu;
pub use swiglu_linear::swiglu_linear;
