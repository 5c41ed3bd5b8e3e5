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
