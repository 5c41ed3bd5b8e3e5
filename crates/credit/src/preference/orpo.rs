//! ORPO: supervised training on the chosen answers and a penalty by odds; no reference.
//!
//! `L = NLL(y_w) − β log σ(log odds(y_w) − log odds(y_l))`, `odds = P/(1 − P)` with `log P` the mean
//! log-probability of the response's tokens; NLL is averaged over tokens. `∂ log odds/∂ log P = 1/(1 − P)`.
//! Source: arXiv 2403.07691 (its λ is `beta`); equal to TRL's `ORPOTrainer`, except that a response
//! more certain than `log P = −1e-7` counts as that certain: its odds are infinite.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms, math::logistic, options::check_beta,
};
use crate::Error;

/// Options of ORPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Orpo {
    /// Weight of the odds term. Default 0.1, as the paper and TRL.
    pub beta: f64,
}

impl Default for Orpo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

/// Largest mean log-probability whose odds are told apart: the resolution of f32 near 1.
const CERTAIN: f64 = -1e-7;

/// `log(P/(1 − P))` of `log P`, and its derivative.
fn log_odds(log_p: f64) -> (f64, f64) {
    let bounded = log_p.min(CERTAIN);
    let rest = -bounded.exp_m1();
    let slope = if log_p <= CERTAIN { 1.0 / rest } else { 0.0 };
    (bounded - rest.ln(), slope)
}

impl PairLoss for Orpo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)
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
            let odds = |scores: &Scores| log_odds(scores.log_prob[pair] / scores.divisor(pair));
            let ((more, d_more), (less, d_less)) = (odds(chosen), odds(rejected));
            let (loss, slope) = logistic(more - less, 0.0);
            out.add(self.beta * loss);
            let slope = self.beta * slope;
            out.slope(Kind::Chosen, pair, slope * d_more / chosen.divisor(pair));
            out.slope(
                Kind::Rejected,
                pair,
                -slope * d_less / rejected.divisor(pair),
            );
            out.count("log_odds_chosen", more - less);
            out.count("log_odds_ratio", -loss);
        }
        out.likelihood(pairs, 1.0);
    }
}
