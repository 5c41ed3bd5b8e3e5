//! What is asked of one call.

use std::sync::Arc;

use percept_model::Prompt;

use super::config::EngineConfig;
use super::runner::{ModelRunner, PerModel};
use crate::{Extrapolate, SamplingParams};

/// What is asked of one call.
pub(crate) struct Call<'c, 'a> {
    pub prompts: &'c [Arc<Prompt>],
    pub params: &'c SamplingParams,
    /// A stream of random numbers for each prompt; none: its index.
    pub streams: Option<&'c [u64]>,
    /// How many likeliest first tokens are kept.
    pub top_logprobs: usize,
    pub engine: &'c EngineConfig,
    /// How two models are mixed; none: the tuned one alone.
    pub extrapolate: Option<&'c Extrapolate>,
    /// Tokens that are never drawn.
    pub banned: Vec<u32>,
    pub models: PerModel<&'c ModelRunner<'a>>,
    pub traced: bool,
    pub weight_version: u64,
}

impl Call<'_, '_> {
    /// The stream of a prompt's random numbers.
    pub fn stream(&self, prompt: usize) -> u64 {
        let chosen = self.streams.and_then(|streams| streams.get(prompt));
        chosen.copied().unwrap_or(prompt as u64)
    }
}
