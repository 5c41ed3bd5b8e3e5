//! Kernels on the CPU: slices in, slices out, no tensors.
//!
//! * [`train`]: the operators of the training path, each a [`HostOp`] with its analytic backward;
//! * [`decode`]: the kernels of the sampler, whose rows do not depend on each other;
//! * [`sparse`]: block-sparse attention for both;
//! * matrix products (`gemm`) and vectors of sixteen lanes (`simd`), which all of them are written in.
//!
//! All `unsafe` of the workspace stands here. Every block names the invariant that it rests on and who upholds it; the
//! portable path of the tests runs under Miri and all of them under AddressSanitizer (`tools/sanitize.sh`).

#![allow(unsafe_code)]
#![deny(clippy::undocumented_unsafe_blocks)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod decode;
mod error;
mod gemm;
mod layout;
mod lines;
mod op;
mod precision;
mod recycler;
mod shared;
mod simd;
pub mod sparse;
#[cfg(test)]
mod testing;
mod threads;
pub mod train;
mod unwritten;

pub use error::Error;
pub use layout::{Layout, Span};
pub use op::{HostOp, INPUTS, Keep};
pub use precision::Precision;
pub use recycler::Recycler;
pub use threads::Threads;
