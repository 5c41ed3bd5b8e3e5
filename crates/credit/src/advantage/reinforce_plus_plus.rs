//! REINFORCE++: no group baseline; returns are normalised over all tokens of the batch.
//!
//! The reward arrives at the last trained token of a response and flows back through its trained
//! tokens: `G_t = γ^(k) R_i`, with `k` the number of trained tokens after `t`.
//! `A_t = (G_t − mean) / sqrt(var + 1e-8)` over all trained tokens of the batch (sample variance).
//! Source: arXiv 2501.03262; verl `compute_reinforce_plus_plus_outcome_advantage`. The paper's
//! per-token KL penalty inside the reward is not part of it; use `use_kl_loss`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, whiten::whiten};
use crate::{Error, Stats, error::require};

/// Options of REINFORCE++.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReinforcePlusPlus {
    /// Discount per token. Default 1.0, as verl (`algorithm.gamma`).
    pub gamma: f64,
}

impl Default for ReinforcePlusPlus {
    fn default() -> Self {
        Self { gamma: 1.0 }
    }
}

impl Estimator for ReinforcePlusPlus {
    fn check(&self) -> Result<(), Error> {
        require(
            (0.0..=1.0).contains(&self.gamma),
            "advantage.gamma",
            self.gamma,
            "it must lie between 0 and 1",
        )
    }

    fn grouped(&self) -> bool {
        false
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let mut advantage = vec![0.0; batch.mask.len()];
        for &row in batch.groups.iter().flatten() {
            let mut value = batch.signals.rewards[row].unwrap_or(0.0);
            for token in batch
                .signals
                .offsets
                .row(row)
                .rev()
                .filter(|&token| batch.mask[token])
            {
                advantage[token] = value;
                value *= self.gamma;
            }
        }
        whiten(&mut advantage, &batch.mask);
        Ok(Estimate {
            advantage: Advantage::Tokens(advantage),
            stats: Stats::new(),
        })
    }
}
