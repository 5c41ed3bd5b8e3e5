//! Decoding kernels on the host: plain f32 slices, no tensors.
//!
//! The sampler runs here. Everything is batch-invariant and deterministic: what a row becomes does not depend on the
//! rows beside it, on the number of threads, or on the instruction set (AVX-512, AVX2, or plain Rust).

pub(crate) mod attention;
pub(crate) mod blocks;
pub(crate) mod grid;
mod int8;
pub(crate) mod kv;
mod linear;
mod masses;
mod panels;
mod parts;
mod product;
mod rows;
mod spread;
pub(crate) mod views;
mod weights;

pub use attention::attend;
pub use int8::Int8Linear;
pub use kv::{BLOCK, KvCache, KvCounter, KvShape};
pub use linear::PackedLinear;
pub use masses::Mass;
pub use parts::LinearPart;
pub(crate) use rows::rms_norm_into;
pub use rows::{add_rms_norm_rows, rms_norm_heads, rms_norm_rows, rotary_rows, swiglu_rows};
pub use weights::{Linear, WeightDtype};
