//! Where engines differ, and nowhere else.

use std::sync::Arc;

use percept_model::Prompt;

use crate::{Error, Progress, Rollout, SamplingParams};

/// What samples responses: an engine in this process or behind a server. A prompt is its tokens and what stands at the
/// places of its images; a rollout brings token ids, the log-probabilities of the weights that sampled them, and the
/// version of these weights.
pub trait Sampler {
    /// Samples `params.n` responses to each prompt, ordered by prompt, then sample. `progress` is called on the way.
    ///
    /// # Errors
    /// [`Error::Params`] for impossible parameters; what the engine cannot do.
    fn generate(
        &self,
        prompts: &[Arc<Prompt>],
        params: &SamplingParams,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Rollout>, Error>;
}
