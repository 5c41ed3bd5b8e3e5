//! Rollouts of one prompt with their rewards.

use std::sync::Arc;

use percept_data::{ImageAblation, Sample};
use percept_model::{Processor, Prompt};
use percept_reward::{Reward, Verdict};
use percept_sampler::Rollout;

use crate::Error;
use crate::batch::pack::PackItem;

/// One prompt, its G rollouts, their rewards.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The row.
    pub(crate) sample: Sample,
    /// What the model saw.
    pub(crate) prompt: Arc<Prompt>,
    /// G responses.
    pub(crate) rollouts: Vec<Rollout>,
    /// What the verifiers said, one per response.
    pub(crate) rewards: Vec<Reward>,
    /// Totals after reward shaping; none where a verifier could not grade.
    pub(crate) scores: Vec<Option<f64>>,
    /// How many of them, the last ones, are an expert's.
    pub(crate) experts: usize,
}

/// Score of the first reward function, which is the one that says right or wrong; none where it
/// could not grade.
pub(crate) fn first_score(reward: &Reward) -> Option<f64> {
    match reward.parts.first() {
        Some((_, Verdict::Score(score))) => Some(*score),
        _ => None,
    }
}

impl Group {
    /// The responses that the policy sampled.
    pub(crate) fn sampled(&self) -> &[Rollout] {
        &self.rollouts[..self.rollouts.len() - self.experts]
    }

    /// Whether each response is an expert's.
    pub(crate) fn is_expert(&self) -> impl Iterator<Item = bool> + use<> {
        let (sampled, all) = (self.sampled().len(), self.rollouts.len());
        (0..all).map(move |index| index >= sampled)
    }

    /// Mean score of the first reward function over the policy's own graded responses; 0 without
    /// one.
    pub(crate) fn accuracy(&self) -> f64 {
        let own = &self.rewards[..self.sampled().len()];
        let scores: Vec<f64> = own.iter().filter_map(first_score).collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    /// The prompt and its responses for a forward pass.
    pub(crate) fn item(&self) -> PackItem<'_> {
        PackItem {
            prompt: &self.prompt,
            responses: self.rollouts.iter().map(|r| r.tokens.as_slice()).collect(),
        }
    }

    /// The prompt without its image; none when it has no image to lose.
    ///
    /// # Errors
    /// [`Error::Data`] or [`Error::Model`] when there is no such prompt.
    pub(crate) fn without_image(
        &self,
        processor: &Processor,
        ablation: ImageAblation,
    ) -> Result<Option<Prompt>, Error> {
        if self.prompt.vision.is_empty() {
            return Ok(None);
        }
        let sample = self.sample.ablated(ablation)?;
        Ok(Some(processor.prompt(&sample)?))
    }

    /// Whether its graded rewards are all equal: it teaches nothing.
    pub(crate) fn flat(&self) -> bool {
        let mut graded = self.scores.iter().flatten();
        let first = graded.next();
        graded.all(|score| Some(score) == first)
    }
}
