//! Dr.GRPO: GRPO without the division by the group's standard deviation, which favours prompts that
//! are nearly always or nearly never solved.
//!
//! `A_i = R_i − mean_g`, the same for every token of response `i`.
//! Source: arXiv 2503.20783; verl `norm_adv_by_std_in_grpo = false`, TRL
//! `scale_rewards = "none"`. The paper's loss goes with it: `loss_agg_mode = "seq-mean-token-sum-norm"`
//! with `loss_scale_factor = max_completion_length`, and no KL term.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, Stats};

/// Dr.GRPO has no options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DrGrpo {}

impl Estimator for DrGrpo {
    fn check(&self) -> Result<(), Error> {
        Ok(())
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
