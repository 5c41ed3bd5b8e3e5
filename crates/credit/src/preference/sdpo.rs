//! S-DPO: one chosen answer against any number of rejected ones, by a softmax.
//!
//! `L = −log σ(−log Σ_j e^(r_j − r_w)) = log Σ e^r − r_w`, `r = β (log π_θ − log π_ref)`; the sum runs over the
//! chosen and all rejected answers. With `p = softmax(r)`: `∂L/∂r_w = −(1 − p_w)`, `∂L/∂r_j = p_j`. One
//! rejected answer makes it DPO; a pair without any has no loss. Source: arXiv 2406.09215 and its code.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms, options::check_beta, softmax};
use crate::Error;

/// Options of S-DPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SDpo {
    /// Factor of the log-ratios. Default 0.1, as DPO; S-DPO's recommender scripts use 1.
    pub beta: f64,
}

impl Default for SDpo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl PairLoss for SDpo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected]).with_many(Kind::Rejected)
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        softmax::contrast(
            pairs,
            &[(Kind::Rejected, "weights/rejected")],
            self.beta,
            out,
        );
    }
}
