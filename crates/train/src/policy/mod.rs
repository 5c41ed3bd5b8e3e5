//! The policy in training.

pub(crate) mod local;
mod moments;
pub(crate) mod schedule;
