//! Matrix products in bfloat16 with f32 sums, on x86 processors that have instructions for them.
//!
//! Factors are rounded to bfloat16 (8 bits of mantissa, to nearest even) while they are packed into
//! tiles; each sum of `k` products is kept in f32. That is what `torch.autocast` does to a linear
//! layer, but for its result, which stays f32 here.
//!
//! Packing (`pack`), threads and the API are the same everywhere; only the kernel that multiplies
//! two lines of tiles is the processor's: `amx` (Intel, from 2023) or `avx512` (`VDPBF16PS`: AMD
//! from Zen 4, Intel from Cooper Lake). Both add along `k` in a fixed order, but not in the same one:
//! bits are equal on processors of a kind.

mod amx;
mod avx512;
mod block;
mod kind;
mod pack;
mod right;
#[cfg(test)]
mod tests;

pub(crate) use kind::is_available;
pub(crate) use right::Right;
