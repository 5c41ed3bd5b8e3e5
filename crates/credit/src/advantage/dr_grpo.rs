//! Dr.GRPO: GRPO without the division by the group's standard deviation, which favours prompts that
//! are nearly always or nearly never solved.
//!
//! `A_i = R_i − mean_g`, the same for every token of response `i`.
//! Source: arXiv 2503.20783; verl `norm_adv_by_std_in_grpo = false`, TRL
//! `scale_rewards = "none"`. The paper's loss comes with it, unless the recipe sets
//! `loss_agg_mode`: `seq-mean-token-sum-norm`, divided by the longest possible response
//! (`loss_scale_factor`, by default `max_completion_length`). The paper has no KL term.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, LossAggMode, LossDefaults, Stats};

/// Dr.GRPO has no options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrGrpo {}

impl Estimator for DrGrpo {
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults {
            loss_agg_mode: Some(LossAggMode::SeqMeanTokenSumNorm),
            ..LossDefaults::default()
        }
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let advantage = batch.by_group(|rewards| {
            let mean = Moments::of(rewards).mean;
            rewards.iter().map(|reward| reward - mean).collect()
        });
        Ok(Estimate {
            advantage: Advantage::Rows(advantage),
            stats: Stats::new(),
        })
    }
}
