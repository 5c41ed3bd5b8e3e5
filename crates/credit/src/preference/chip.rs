//! CHiP: answers, segments, tokens and pictures in one margin.
//!
//! `L = −log σ(β M)`, `M = ρ(y_w) − ρ(y_l) + [ρ(y_w) − ρ(y_w|m_l)] − tok_beta · [K(y_l) − sg K(y_w)]`, with
//! `ρ = Σ_t w_t (log π_θ − log π_ref)` (`w` the batch's token weights: the authors give 4 to tokens of segments in
//! which the two answers differ, 1 to others), `m_l` the picture with diffusion noise (step 500 of 1000),
//! `K = Σ_t KL(π_ref ‖ π_θ)` (TDPO), and `sg` a stopped gradient.
//! `∂L/∂ρ(y_w) = −2βσ(−βM)`, `∂L/∂K(y_l) = β tok_beta σ(−βM)`.
//! Source: github.com/LVUGAI/CHiP (`chip_loss`); arXiv 2501.16629, which shows the same parts as losses of
//! their own. Option names are the code's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_weights},
};
use crate::Error;

/// Options of CHiP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Chip {
    /// Factor of the margin. Default 0.1 (the code's `dpo_beta`).
    pub beta: f64,
    /// Whether pictures are contrasted. Default true.
    pub use_cross_modal_loss: bool,
    /// Whether the divergences of single tokens enter the margin. Default true; needs `ref_kl`.
    pub use_tok: bool,
    /// Weight of the divergences. Default 0.1.
    pub tok_beta: f64,
}

impl Default for Chip {
    fn default() -> Self {
        Self {
            beta: 0.1,
            use_cross_modal_loss: true,
            use_tok: true,
            tok_beta: 0.1,
        }
    }
}

impl PairLoss for Chip {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_weights(&[("preference.loss.tok_beta", self.tok_beta)])
    }

    fn needs(&self) -> PreferenceNeeds {
        let mut needs = PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected]);
        for kind in needs.kinds.values_mut() {
            kind.ref_kl = self.use_tok;
        }
        if self.use_cross_modal_loss {
            let visual = PreferenceNeeds::ratio(&[Kind::ChosenRejectedImage]);
            needs.kinds.extend(visual.kinds);
        }
        needs
    }

    /// The code's weight of tokens in segments that differ.
    fn segment_weight(&self) -> f64 {
        4.0
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let [chosen, rejected] = pairs.of([Kind::Chosen, Kind::Rejected]);
        let visual = self
            .use_cross_modal_loss
            .then(|| pairs.of([Kind::ChosenRejectedImage])[0]);
        let tok_beta = if self.use_tok { self.tok_beta } else { 0.0 };
        for pair in 0..pairs.len() {
            let ratio = |scores: &Scores| scores.log_ratio(pair);
            let sight = visual.map_or(0.0, |visual| ratio(chosen) - ratio(visual));
            let divergence = rejected.ref_kl[pair] - chosen.ref_kl[pair];
            let margin = ratio(chosen) - ratio(rejected) + sight - tok_beta * divergence;
            let (loss, slope) = logistic(self.beta * margin, 0.0);
            out.add(loss);
            let slope = self.beta * slope;
            let contrasts = if visual.is_some() { 2.0 } else { 1.0 };
            out.slope(Kind::Chosen, pair, contrasts * slope);
            out.slope(Kind::Rejected, pair, -slope);
            out.slope(Kind::ChosenRejectedImage, pair, -slope);
            out.divergence_slope(Kind::Rejected, pair, -tok_beta * slope);
        }
    }
}
