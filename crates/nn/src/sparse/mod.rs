//! Block-sparse causal attention that can be trained: sliding window, PHSA, InfLLM-V2, MoBA, and
//! [NSA](nsa).
//!
//! A query sees the first blocks, the blocks just before it, and a few blocks that it chooses by
//! its product with block keys. The choice carries no gradient; keys and values learn through the
//! attention itself. [`attention`] is the differentiable operator on a packed axis,
//! [`SparseCache`] what the sampler keeps beside a [`KvCache`](crate::host::KvCache). Both run the
//! same code on the same blocks of sixteen tokens, so they give the same bits; with as many blocks
//! as there are, those are the bits of [`host::attend`](crate::host::attend).
//!
//! With a prefix, blocks are cut along prefix and span, as if they were one text.

mod back;
mod cache;
mod coarse;
mod config;
pub mod nsa;
mod op;
pub mod reference;
mod select;
mod tile;

pub use cache::SparseCache;
pub use config::{AttentionConfig, InfLlm2, Keys, Moba, Pattern, Phsa, Punctuation, Sliding};
pub use nsa::{Branches, Nsa, NsaCache};
pub use op::attention;
