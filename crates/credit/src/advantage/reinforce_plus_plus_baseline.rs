//! REINFORCE++-baseline: the group's mean as baseline, the batch's deviation as scale.
//!
//! `B_i = R_i − mean_g`, then `A_t = (B_i − mean) / sqrt(var + 1e-8)` over all trained tokens of the
//! batch (sample variance). Groups without contrast thereby do not blow up as they do in GRPO.
//! Source: arXiv 2501.03262 (the `-baseline` variant); verl
//! `compute_reinforce_plus_plus_baseline_outcome_advantage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments, whiten::whiten};
use crate::{Error, Stats};

/// REINFORCE++-baseline has no options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePlusPlusBaseline {}

impl Estimator for ReinforcePlusPlusBaseline {
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let rows = batch.by_group(|rewards| {
            let mean = Moments::of(rewards).mean;
            rewards.iter().map(|reward| reward - mean).collect()
        });
        let offsets = batch.signals.offsets;
        let mut advantage = vec![0.0; offsets.tokens()];
        for (range, value) in offsets.iter().zip(rows) {
            advantage[range].fill(value);
        }
        whiten(&mut advantage, &batch.mask);
        Ok(Estimate {
            advantage: Advantage::Tokens(advantage),
            stats: Stats::new(),
        })
    }
}
