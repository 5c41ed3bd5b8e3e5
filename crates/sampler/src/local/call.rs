//! What is asked of one call.

use std::sync::Arc;

use percept_model::Prompt;

use super::runner::{ModelRunner, PerModel};
use crate::SamplingParams;

/// What is asked of one call.
pub(crate) struct Call<'c, 'a> {
    pub prompts: &'c [Arc<Prompt>],
    pub params: &'c SamplingParams,
    /// Tokens that are never drawn.
    pub banned: Vec<u32>,
    pub sides: PerModel<&'c ModelRunner<'a>>,
    pub traced: bool,
    pub weight_version: u64,
}
