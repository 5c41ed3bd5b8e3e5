//! What a sequence has said so far.

use crate::contrast::{Contrast, Place, Scratch, draw_pair};
use crate::engine::Call;
use crate::{Draw, Error, FinishReason, Rollout, Trace, draw};

/// A response that is not finished.
pub(crate) struct Said {
    pub rollout: Rollout,
    pub trace: Option<Trace>,
}

impl Said {
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

    /// Draws the next token from the rows of logits of one or two models.
    pub fn push(
        &mut self,
        call: &Call<'_, '_>,
        logits: [Option<&[f32]>; 2],
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let place = Place {
            prompt: self.rollout.prompt,
            sample: self.rollout.sample,
            position: self.rollout.tokens.len(),
        };
        let (params, banned) = (call.params, call.banned.as_slice());
        let own = logits[0].unwrap_or_default();
        let drawn: Draw = match logits[1] {
            None => draw(own, params, banned, place.uniform(params.seed)),
            Some(base) => {
                let models = Contrast::new(own, base);
                let trace = self.trace.as_mut();
                draw_pair(&models, params, banned, place, scratch, trace)
            }
        };
        if !drawn.log_prob.is_finite() {
            return Err(Error::NonFinite {
                prompt: place.prompt,
                sample: place.sample,
                position: place.position,
            });
        }
        self.rollout.tokens.push(drawn.token);
        self.rollout.log_probs.push(drawn.log_prob);
        Ok(())
    }
}
