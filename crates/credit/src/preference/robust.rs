//! Robust DPO: unbiased when a known share of preferences is the wrong way round.
//!
//! `L = [−(1 − ε) log σ(x) + ε log σ(−x)] / (1 − 2ε)`, `x` DPO's margin of rewards and `ε` the share of
//! flipped labels. Source: arXiv 2403.00409. Equal to `{ name = "dpo", loss_type = "robust" }` and TRL's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    margin::robust,
    options::{check_beta, check_label_smoothing},
};
use crate::Error;

/// Options of robust DPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Robust {
    /// Factor of the log-ratios. Default 0.1.
    pub beta: f64,
    /// ε: share of labels that are flipped, less than 0.5. Default 0.1, which the paper recommends; 0 is
    /// DPO.
    pub label_smoothing: f64,
}

impl Default for Robust {
    fn default() -> Self {
        Self {
            beta: 0.1,
            label_smoothing: 0.1,
        }
    }
}

impl PairLoss for Robust {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_label_smoothing(self.label_smoothing)
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected])
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let [chosen, rejected] = pairs.of([Kind::Chosen, Kind::Rejected]);
        for pair in 0..pairs.len() {
            let margin = self.reward(chosen, pair) - self.reward(rejected, pair);
            let (loss, slope) = robust(margin, self.label_smoothing);
            out.add(loss);
            out.slope(Kind::Chosen, pair, self.beta * slope);
            out.slope(Kind::Rejected, pair, -self.beta * slope);
        }
    }
}
