//! SimPO: the mean log-probability of a token is the reward; no reference, and a margin to reach.
//!
//! `L = −(1 − ε) log σ(x) − ε log σ(−x) + cpo_alpha · NLL(y_w)`,
//! `x = β [log π_θ(y_w)/|y_w| − log π_θ(y_l)/|y_l|] − simpo_gamma`. Source: arXiv 2405.14734; option names and
//! the likelihood term (CPO-SimPO, averaged over tokens) as TRL's `CPOTrainer` with `loss_type = "simpo"`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_finite, check_label_smoothing, check_weights},
};
use crate::Error;

/// Options of SimPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SimPo {
    /// Factor of the mean log-probabilities. Default 2.0, as the authors; not comparable with DPO's.
    pub beta: f64,
    /// Margin that the rewards must keep, γ. Default 0.5, as TRL and a quarter of β, as the authors'
    /// code.
    pub simpo_gamma: f64,
    /// Weight of the negative log-likelihood of the chosen responses. Default 0: SimPO; CPO-SimPO sets 1.
    pub cpo_alpha: f64,
    /// ε: share of labels taken to be wrong. Default 0.
    pub label_smoothing: f64,
}

impl Default for SimPo {
    fn default() -> Self {
        Self {
            beta: 2.0,
            simpo_gamma: 0.5,
            cpo_alpha: 0.0,
            label_smoothing: 0.0,
        }
    }
}

impl PairLoss for SimPo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_label_smoothing(self.label_smoothing)?;
        check_finite(&[("preference.loss.simpo_gamma", self.simpo_gamma)])?;
        check_weights(&[("preference.loss.cpo_alpha", self.cpo_alpha)])
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds::policy(&[Kind::Chosen, Kind::Rejected])
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_prob[row] / scores.divisor(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let [chosen, rejected] = pairs.of([Kind::Chosen, Kind::Rejected]);
        for pair in 0..pairs.len() {
            let margin = self.reward(chosen, pair) - self.reward(rejected, pair);
            let (loss, slope) = logistic(margin - self.simpo_gamma, self.label_smoothing);
            out.add(loss);
            out.slope(Kind::Chosen, pair, self.beta * slope / chosen.divisor(pair));
            out.slope(
                Kind::Rejected,
                pair,
                -self.beta * slope / rejected.divisor(pair),
            );
        }
        if self.cpo_alpha > 0.0 {
            out.likelihood(pairs, self.cpo_alpha);
        }
    }
}
