//! IPO: the margin is to be `1/(2β)`, not as large as possible.
//!
//! `L = (δ − 1/(2β))²`, `δ` the difference of log-ratios per token, `(log π_θ − log π_ref)(y) / |y|`, of
//! chosen and rejected response. Source: arXiv 2310.12036, eq. 17; the division by the tokens as TRL has
//! it, confirmed there by the authors. Equal to `{ name = "dpo", loss_type = "ipo" }`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms, margin::squared, options::check_beta,
};
use crate::Error;

/// Options of IPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ipo {
    /// The paper's τ. Default 0.1, as TRL.
    pub beta: f64,
}

impl Default for Ipo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl PairLoss for Ipo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)
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
            let per_token = |scores: &Scores| scores.log_ratio(pair) / scores.divisor(pair);
            let (loss, slope) = squared(per_token(chosen) - per_token(rejected), self.beta);
            out.add(loss);
            out.slope(Kind::Chosen, pair, slope / chosen.divisor(pair));
            out.slope(Kind::Rejected, pair, -slope / rejected.divisor(pair));
        }
    }
}
