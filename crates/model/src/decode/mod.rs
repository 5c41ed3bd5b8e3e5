//! Decoding on the host: one token at a time for many sequences that share their prompts.
//!
//! A [`Decoder`] is a snapshot of a model's text decoder as packed weights: f32, bfloat16 or eight bits.
//! [`Decoder::prefill`] computes a prompt once into a [`Prefix`]; [`Decoder::start`] makes a [`Sequence`] that shares
//! it; [`Decoder::step`] appends one token to each of many sequences. What a sequence becomes does not depend on the
//! sequences beside it, on the number of threads, or on where its prompt ends: prefill and step give the same bits for
//! the same tokens.

pub(crate) mod decoder;
mod pass;
pub(crate) mod past;
mod prompt;
mod rope;
mod weights;
