//! Supervised fine-tuning.

pub(crate) mod step;
