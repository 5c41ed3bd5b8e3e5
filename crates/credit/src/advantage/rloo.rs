//! RLOO: REINFORCE whose baseline is the mean reward of the *other* responses to the prompt.
//!
//! `A_i = R_i − (1 / (n − 1)) Σ_{j ≠ i} R_j = n / (n − 1) · (R_i − mean_g)`, the same for every token
//! of response `i`; unbiased, because the baseline does not depend on the response.
//! Source: arXiv 2402.14740; verl `compute_rloo_outcome_advantage`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, Stats};

/// RLOO has no options.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rloo {}

impl Estimator for Rloo {
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let advantage = batch.by_group(|rewards| {
            let mean = Moments::of(rewards).mean;
            let count = rewards.len() as f64;
            rewards
                .iter()
                .map(|reward| count / (count - 1.0) * (reward - mean))
                .collect()
        });
        Ok(Estimate {
            advantage: Advantage::Rows(advantage),
            stats: Stats::new(),
        })
    }
}
