//! What the stage works with and does not change.

use percept_data::Dataset;
use percept_model::Processor;
use percept_reward::{Reward, RewardSet};

use crate::batch::pack::{PackItem, Packed};
use crate::batch::score::{Scores, in_order};
use crate::batch::together::Bundles;
use crate::policy::Policy;
use crate::policy::values::{ScoreOptions, Weights};
use crate::{AlgorithmConfig, Error, Recipe, RlConfig};

/// Tables of the recipe, data, verifiers, processor.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) config: &'a RlConfig,
    pub(crate) data: &'a dyn Dataset,
    pub(crate) rewards: &'a RewardSet,
    /// Rows that are drawn together, where a reward function judges several together.
    pub(crate) bundles: Option<&'a Bundles>,
    pub(crate) processor: &'a Processor,
}

impl<'a> Setup<'a> {
    /// `[algorithm]`.
    pub(crate) fn algorithm(&self) -> &'a AlgorithmConfig {
        &self.recipe.algorithm
    }

    /// Values of responses without gradients, in passes as large as those of updates.
    ///
    /// # Errors
    /// [`Error::Model`] when a prompt does not fit the model.
    pub(crate) fn score(
        &self,
        policy: &impl Policy,
        items: &[PackItem<'_>],
        weights: Weights,
        top_p: Option<f64>,
    ) -> Result<Scores, Error> {
        let options = ScoreOptions {
            weights,
            temperature: self.recipe.rollout.temperature,
            top_p,
        };
        let run = |passes: &[Packed]| policy.score(passes, &options);
        in_order(items, self.config.ppo_max_token_len, run)
    }

    /// The reward of a response of `length` tokens with DAPO's soft length penalty.
    pub(crate) fn shaped(&self, length: usize, reward: &Reward) -> Option<f64> {
        let overlong = self.algorithm().overlong.as_ref();
        let longest = self.recipe.rollout.max_completion_length;
        let penalty = overlong.map_or(0.0, |overlong| overlong.penalty(length, longest));
        reward.total.map(|total| total + penalty)
    }
}
