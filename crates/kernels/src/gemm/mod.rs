//! Matrix products on slices.

#[cfg(target_arch = "x86_64")]
pub(crate) mod bf16;
mod mat;
mod product;
mod support;

pub(crate) use mat::Mat;
pub(crate) use product::{Right, matrix, product};
pub(crate) use support::has_bf16;
