//! NSA, native sparse attention: three branches, mixed by gates of each query head.
//!
//! `o = g_cmp·o_cmp + g_slc·o_slc + g_win·o_win`, `g = σ(W_g x)` of the hidden state `x`:
//!
//! * compressed: attention to the mean key and value of every complete block; 0 where there is
//!   none yet;
//! * selected: attention to the tokens of a few blocks: the first ones, the last ones, and those
//!   with the highest compressed soft-max, summed over the query heads of a key/value head;
//! * window: attention to the last tokens.
//!
//! Source: arXiv 2502.11089, in the form of `naive_nsa_with_compression` of
//! fla-org/native-sparse-attention. From there, not from the paper: a mean in the place of the
//! learned compression (an MLP with positions within the block), blocks of compression that do not
//! overlap and are those of selection, one set of keys and values for all branches, and a linear
//! gate in the place of an MLP.
//!
//! The selected branch is [`Sparse`](super::Sparse): its choice by mean keys is NSA's. The other two see one run of rows,
//! of tokens or of means ([`Runs`]); [`Gated`] adds a branch by its gates.

mod attend;
mod back;
mod cache;
mod config;
mod gate;
mod place;
mod runs;

pub use cache::NsaCache;
pub use config::{Branches, Nsa};
pub use gate::{GATES, Gated};
pub use place::Rows;
pub use runs::Runs;
