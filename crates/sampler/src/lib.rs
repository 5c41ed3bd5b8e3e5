//! Sampling responses from a model.
//!
//! [`Sampler`] is the seam: prompts and [`SamplingParams`] in, [`Rollout`]s out. What belongs to the engine in this process
//! is [`EngineConfig`], what belongs to decoding with two models [`Extrapolate`].
//!
//! [`LocalSampler`] (continuous batching over a KV cache) holds a snapshot of the weights and decodes many prompts at once. A response is a
//! function of (weights, prompt, sampling parameters, seed, prompt index, sample index) alone:
//! what else is in the batch, whether a start was computed for another prompt, and whether memory
//! ran out on the way change no bit of it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod contrast;
mod error;
mod local;
mod params;
mod progress;
mod rollout;
mod sampler;
mod sampling;

pub use contrast::{Draft, Extrapolate, Gate, Trace};
pub use error::Error;
pub use local::{EngineConfig, LocalSampler};
pub use params::SamplingParams;
pub use progress::Progress;
pub use rollout::{FinishReason, Response, Rollout};
pub use sampler::Sampler;
pub use sampling::{Draw, draw, draw_from};
