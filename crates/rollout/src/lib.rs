//! Sampling responses from a model: continuous batching over a KV cache.
//!
//! [`Sampler`] holds a snapshot of the weights and decodes many prompts at once. A response is a
//! function of (weights, prompt, sampling parameters, seed, prompt index, sample index) alone:
//! what else is in the batch changes no bit of it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod sampler;
mod sampling;

pub use sampler::{FinishReason, Progress, Rollout, Sampler};
pub use sampling::{Draw, SamplingParams, draw, uniform};

/// Why sampling stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model refused its input.
    #[error(transparent)]
    Model(#[from] percept_model::Error),
    /// Sampling parameters that mean nothing.
    #[error("sampling: {field} is {found}; expected {expected}")]
    Params {
        /// The parameter.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Weights that give no distribution.
    #[error(
        "prompt {prompt}, sample {sample}, token {position}: the model's logits are not finite\n  help: the weights hold NaN or infinity, or training diverged; go back to an earlier checkpoint"
    )]
    NonFinite {
        /// Index of the prompt in the call.
        prompt: usize,
        /// Index of its sample.
        sample: usize,
        /// Index of the token in the response.
        position: usize,
    },
}
