//! CISPO: the importance weight is clipped, the gradient is not; no token is silenced.
//!
//! `ℓ = −sg[clip(r, 1 − low, 1 + high)] · A · log π_θ`, so `∂ℓ/∂log π_θ = −clip(r) A`, with
//! `r = exp(clamp(log π_θ − log π_old, ±20))`.
//! Source: MiniMax-M1, arXiv 2506.13585; verl `compute_policy_loss_cispo`. TRL clips only
//! above, at the absolute value `epsilon_high`: here `clip_ratio_low = 1`,
//! `clip_ratio_high = epsilon_high − 1`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Row, Surrogate, TokenLoss,
    surrogate::{check_clip, ratio},
};
use crate::Error;

/// Options of CISPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cispo {
    /// The weight is at least `1 − clip_ratio_low`. Default 0.2, as verl; 1 means no lower bound, as
    /// in the paper's experiments and in TRL.
    pub clip_ratio_low: f64,
    /// The weight is at most `1 + clip_ratio_high`. Default 0.2, as verl.
    pub clip_ratio_high: f64,
}

impl Default for Cispo {
    fn default() -> Self {
        Self {
            clip_ratio_low: 0.2,
            clip_ratio_high: 0.2,
        }
    }
}

impl Surrogate for Cispo {
    fn check(&self) -> Result<(), Error> {
        check_clip(self.clip_ratio_low, self.clip_ratio_high)
    }

    fn row(&self, row: &Row<'_>, out: &mut [TokenLoss]) {
        for token in row.trained() {
            let (ratio, _) = ratio(row.log_ratio(token));
            let weight = ratio.clamp(1.0 - self.clip_ratio_low, 1.0 + self.clip_ratio_high);
            let d_log_prob = -weight * f64::from(row.advantage[token]);
            out[token] = TokenLoss {
                loss: d_log_prob * f64::from(row.log_prob[token]),
                d_log_prob,
                clipped: weight != ratio,
                clipped_lower: false,
            };
        }
    }
}
