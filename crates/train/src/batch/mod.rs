//! From rows to forward passes: which rows a step sees, and how they are packed.

pub(crate) mod balance;
pub(crate) mod order;
pub(crate) mod pack;
pub(crate) mod refused;
pub(crate) mod score;
pub(crate) mod together;
