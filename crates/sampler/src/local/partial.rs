//! A response that is being sampled.

use percept_kernels::decode::Mass;

use super::call::Call;
use crate::contrast::{Contrast, draw_pair};
use crate::sampling::{
    Draw, Penalties, Scratch, TokenPlace, draw, draw_from, draw_penalised, likeliest,
};
use crate::{Error, FinishReason, Rollout, Trace};

/// A response that is not finished, and what its next token depends on.
pub(crate) struct PartialRollout {
    pub rollout: Rollout,
    pub trace: Option<Trace>,
    /// The likeliest first tokens of the sampler's own model with their log-probabilities.
    pub first: Vec<(u32, f32)>,
    penalties: Option<Penalties>,
}

/// What is known of the next token of a sequence.
pub(crate) struct NextLogits<'a> {
    /// Logits of the sampler's own model.
    pub own: &'a [f32],
    /// The parts of their soft-max, where they were made with them.
    pub masses: Option<&'a [Mass]>,
    /// Logits of the second model, where there is one.
    pub base: Option<&'a [f32]>,
}

impl PartialRollout {
    /// Nothing yet.
    pub fn new(call: &Call<'_, '_>, prompt: usize, sample: usize) -> Self {
        Self {
            rollout: Rollout {
                prompt,
                sample,
                tokens: Vec::new(),
                log_probs: Vec::new(),
                text: String::new(),
                finish_reason: FinishReason::Length,
                weight_version: call.weight_version,
            },
            trace: call.traced.then(Trace::default),
            first: Vec::new(),
            penalties: Penalties::new(call.params, &call.prompts[prompt].tokens),
        }
    }

    /// (prompt, sample): the order of the call.
    pub fn place(&self) -> (usize, usize) {
        (self.rollout.prompt, self.rollout.sample)
    }

    /// The last token.
    pub fn last(&self) -> u32 {
        self.rollout.tokens.last().copied().unwrap_or_default()
    }

    /// Draws the next token.
    pub fn push(
        &mut self,
        call: &Call<'_, '_>,
        next: NextLogits<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let place = TokenPlace {
            stream: call.stream(self.rollout.prompt),
            sample: self.rollout.sample,
            position: self.rollout.tokens.len(),
        };
        if call.top_logprobs > 0 && place.position == 0 {
            self.first = likeliest(next.own, call.params.scale(), call.top_logprobs);
        }
        let (params, banned) = (call.params, call.banned.as_slice());
        let u = place.uniform(params.seed);
        let drawn: Draw = match (next.base, &self.penalties, next.masses) {
            (None, None, None) => draw(next.own, params, banned, u),
            (None, None, Some(masses)) => draw_from(next.own, masses, params, banned, u),
            (None, Some(penalties), masses) => {
                let row = scratch.copy(next.own);
                penalties.apply(params, row);
                draw_penalised(next.own, masses, row, params, banned, u)
            }
            (Some(base), ..) => {
                let models = Contrast::new(next.own, base);
                let trace = self.trace.as_mut();
                draw_pair(
                    &models,
                    params,
                    call.extrapolate,
                    banned,
                    place,
                    scratch,
                    trace,
                )
            }
        };
        if !drawn.log_prob.is_finite() {
            return Err(Error::NonFinite {
                prompt: self.rollout.prompt,
                sample: place.sample,
                position: place.position,
            });
        }
        if let Some(penalties) = &mut self.penalties {
            penalties.push(drawn.token);
        }
        self.rollout.tokens.push(drawn.token);
        self.rollout.log_probs.push(drawn.log_prob);
        Ok(())
    }
}
