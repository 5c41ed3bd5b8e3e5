//! Supervised fine-tuning.

mod step;

pub(crate) use step::Sft;
