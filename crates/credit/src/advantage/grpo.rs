//! GRPO: a response's reward relative to the other responses to the same prompt.
//!
//! `A_i = (R_i − mean_g) / (std_g + eps)`, the same for every token of response `i`, with `mean_g`
//! and `std_g` over the graded responses of its group and `std_g` the sample deviation (`n − 1`).
//! Source: DeepSeekMath, arXiv 2402.03300, §4.1.2. Convention: verl's (`compute_grpo_outcome_advantage`,
//! eps 1e-6); TRL differs only in eps (1e-4). A group of one gets 0 as in TRL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, Stats, error::require_eps};

/// Options of GRPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Grpo {
    /// Whether to divide by the group's standard deviation. Default true, as verl
    /// (`norm_adv_by_std_in_grpo`) and TRL (`scale_rewards = "group"`).
    #[serde(alias = "norm_adv_by_std_in_grpo")]
    pub norm_adv_by_std: bool,
    /// Added to the standard deviation. Default 1e-6, as verl; TRL uses 1e-4.
    pub eps: f64,
}

impl Default for Grpo {
    fn default() -> Self {
        Self {
            norm_adv_by_std: true,
            eps: 1e-6,
        }
    }
}

impl Estimator for Grpo {
    fn check(&self) -> Result<(), Error> {
        require_eps(self.eps)
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let advantage = batch.by_group(|rewards| {
            let group = Moments::of(rewards);
            let scale = if self.norm_adv_by_std {
                group.std + self.eps
            } else {
                1.0
            };
            rewards
                .iter()
                .map(|reward| (reward - group.mean) / scale)
                .collect()
        });
        Ok(Estimate {
            advantage: Advantage::Rows(advantage),
            stats: Stats::new(),
        })
    }
}
