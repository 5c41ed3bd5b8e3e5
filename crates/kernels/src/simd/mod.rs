//! Sixteen lanes of f32, whatever the processor has.
//!
//! Every kernel of [`super`] is written once over [`Lanes`] and compiled three times: AVX-512 (one register),
//! AVX2 + FMA (two registers) and plain Rust (an array, `f32::mul_add`). All three compute the same IEEE operations
//! in the same order, so they give the same bits; reductions always run over sixteen logical lanes.

mod isa;
mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use isa::{Isa, dispatch};
pub(crate) use lanes::{Kernel, LANES, Lanes};
