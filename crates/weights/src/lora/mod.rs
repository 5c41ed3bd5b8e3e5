//! Low-rank adapters with the rules of PEFT: which layers, which ranks.

pub(crate) mod config;
pub(crate) mod patterns;
pub(crate) mod peft_config;
pub(crate) mod rules;
