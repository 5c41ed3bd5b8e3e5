//! A small model made from nothing, with a tokenizer of its own.

pub(crate) mod config;
pub(crate) mod processor;
