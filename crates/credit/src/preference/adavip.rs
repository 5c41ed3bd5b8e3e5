//! AdaViP: a rejected answer and a rejected picture in one loss, balanced by what the model still gets
//! wrong.
//!
//! Three responses: `++` the chosen answer with the picture, `+−` the rejected answer with the picture,
//! `−+` the chosen answer with the rejected picture (the same picture without what the answer speaks of).
//! `L = −log σ(−log Σ_j e^(r_j − r₊₊)) = log(e^r₊₊ + e^r₊₋ + e^r₋₊) − r₊₊`, `r = β (log π_θ − log π_ref)`.
//!
//! With `p = softmax(r)`: `∂L/∂r₊₊ = −(1 − p₊₊)`, `∂L/∂r₊₋ = p₊₋`, `∂L/∂r₋₊ = p₋₊`. The weights of the two
//! contrasts stand to each other as `p₋₊/p₊₋ = e^(r₋₊ − r₊₋)`: the one that the model separates worse gets
//! more of the gradient, without a number to tune. `weights/rejected` and `weights/chosen_rejected_image`
//! log them. With the rejected picture equal to the picture, `r₋₊ = r₊₊`: the loss is `log 2` plus DPO's at
//! a margin greater by `log 2`, and the visual contrast, being of a response with itself, moves nothing.
//!
//! A pair may have any number of rejected answers and pictures; one whose picture could not be edited has
//! none of the latter and is then trained by its answers alone \[INFERRED\].
//! Source: arXiv 2504.15619, §3; the softmax as S-DPO (arXiv 2406.09215) by the same group. No code is
//! public.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_finite, check_weights},
    softmax,
};
use crate::Error;

/// Options of AdaViP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdaVip {
    /// Factor of the log-ratios. Default 0.1 \[INFERRED: its group's and its data's scripts\].
    pub beta: f64,
    /// Weight of mDPO's anchor, `−log σ(r₊₊ − anchor)`, which keeps the chosen answer from losing
    /// probability together with its rivals. Default 0: the paper shows none.
    pub anchor_weight: f64,
    /// Reward that the anchor holds the chosen answer above. Default 0, as mDPO.
    pub anchor: f64,
}

impl Default for AdaVip {
    fn default() -> Self {
        Self {
            beta: 0.1,
            anchor_weight: 0.0,
            anchor: 0.0,
        }
    }
}

impl PairLoss for AdaVip {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_weights(&[("preference.loss.anchor_weight", self.anchor_weight)])?;
        check_finite(&[("preference.loss.anchor", self.anchor)])
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected, Kind::ChosenRejectedImage])
            .with_many(Kind::Rejected)
            .with_many(Kind::ChosenRejectedImage)
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let negatives = [
            (Kind::Rejected, "weights/rejected"),
            (Kind::ChosenRejectedImage, "weights/chosen_rejected_image"),
        ];
        softmax::contrast(pairs, &negatives, self.beta, out);
        if self.anchor_weight == 0.0 {
            return;
        }
        let [chosen] = pairs.of([Kind::Chosen]);
        for pair in 0..pairs.len() {
            let (loss, slope) = logistic(self.reward(chosen, pair) - self.anchor, 0.0);
            out.add(self.anchor_weight * loss);
            out.slope(Kind::Chosen, pair, self.anchor_weight * self.beta * slope);
        }
    }
}
