//! Block-sparse causal attention that can be trained: sliding window, PHSA, InfLLM-V2, MoBA, and
//! [NSA](nsa).
//!
//! A query sees the first blocks, the blocks just before it, and a few blocks that it chooses by
//! its product with block keys. The choice carries no gradient; keys and values learn through the
//! attention itself. [`Sparse`] is the differentiable operator on a packed axis,
//! [`SparseCache`] what the sampler keeps beside a [`KvCache`](crate::decode::KvCache). Both run the
//! same code on the same blocks of sixteen tokens, so they give the same bits; with as many blocks
//! as there are, those are the bits of [`decode::attend`](crate::decode::attend).
//!
//! With a prefix, blocks are cut along prefix and span, as if they were one text.

mod back;
mod cache;
mod coarse;
mod config;
pub mod nsa;
mod op;
mod pattern;
mod queries;
mod select;
mod tile;
mod top;

pub use cache::SparseCache;
pub use config::{AttentionConfig, InfLlm2, Moba, Phsa, Punctuation, Sliding};
pub use nsa::{Branches, Nsa, NsaCache};
pub use op::Sparse;
pub use pattern::{Keys, Pattern};
