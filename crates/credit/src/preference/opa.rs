//! OPA-DPO: an expert's answer and the policy's own answer, corrected, each preferred to the policy's own
//! answer, and to themselves with a masked picture.
//!
//! `Δ(a, b) = r(a) − r(b)`, `r = β (log π_θ − log π_ref)`; `y_w` the expert's answer, `y_c` the corrected one, `y_l` the
//! policy's, `m_l` the masked picture:
//!
//! `L = −standard_pair_coef [log σ(Δ(y_w, y_l)) + copo_coef · log σ(Δ(y_w, y_w|m_l))]`
//! `− ai_pair_coef [log σ(Δ(y_c, y_l)) + copo_coef · log σ(Δ(y_c, y_c|m_l))] + anchor_coef · anchors`,
//! an anchor `−log σ(r − anchor_value)` for the better response of each of the four contrasts. Token
//! weights of the batch multiply the log-ratios (the code's response scores).
//!
//! Source: arXiv 2501.09695, §4 (stage 2), and github.com/zhyang2226/OPA-DPO. The paper sums over tokens, as
//! here; the released code compares the two answers token by token at equal positions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_finite, check_weights},
};
use crate::Error;

/// What holds the better responses likely.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpaAnchor {
    /// `−log σ(r − v)`: they are not to become less likely (the paper; mDPO's anchor).
    #[default]
    Above,
    /// The same for the expert's answer and `−log σ(v − r)` for the corrected one: the released code's
    /// signs.
    Released,
    /// `(r − v)²`: the code's other form.
    Squared,
}

/// Options of OPA-DPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Opa {
    /// Factor of the log-ratios. Default 0.1.
    pub beta: f64,
    /// Weight of the contrasts of the expert's answer. Default 1.
    pub standard_pair_coef: f64,
    /// Weight of the contrasts of the corrected answer. Default 1; 0: none is needed.
    pub ai_pair_coef: f64,
    /// Weight of the contrasts of pictures relative to those of answers. Default 0.2; 0: none is needed.
    pub copo_coef: f64,
    /// Weight of the anchors. Default 1.
    pub anchor_coef: f64,
    /// Reward that the anchors hold. Default 0.
    pub anchor_value: f64,
    /// What the anchors do: `above`, `released` or `squared`. Default `above` \[INFERRED: the released
    /// code's sign for the corrected answer contradicts the paper\].
    pub anchor: OpaAnchor,
}

impl Default for Opa {
    fn default() -> Self {
        Self {
            beta: 0.1,
            standard_pair_coef: 1.0,
            ai_pair_coef: 1.0,
            copo_coef: 0.2,
            anchor_coef: 1.0,
            anchor_value: 0.0,
            anchor: OpaAnchor::Above,
        }
    }
}

/// One contrast.
struct Contrast {
    better: Kind,
    worse: Kind,
    weight: f64,
}

impl Opa {
    /// The contrasts whose weight is not 0.
    fn contrasts(&self) -> impl Iterator<Item = Contrast> {
        let (standard, corrected) = (self.standard_pair_coef, self.ai_pair_coef);
        let all = [
            (Kind::Chosen, Kind::Rejected, standard),
            (Kind::Corrected, Kind::Rejected, corrected),
            (
                Kind::Chosen,
                Kind::ChosenRejectedImage,
                standard * self.copo_coef,
            ),
            (
                Kind::Corrected,
                Kind::CorrectedRejectedImage,
                corrected * self.copo_coef,
            ),
        ];
        let contrast = |(better, worse, weight)| Contrast {
            better,
            worse,
            weight,
        };
        all.into_iter()
            .map(contrast)
            .filter(|contrast| contrast.weight > 0.0)
    }

    fn anchor(&self, kind: Kind, reward: f64) -> (f64, f64) {
        let above = reward - self.anchor_value;
        match self.anchor {
            OpaAnchor::Squared => (above * above, 2.0 * above),
            OpaAnchor::Released if kind == Kind::Corrected => {
                let (loss, slope) = logistic(-above, 0.0);
                (loss, -slope)
            }
            OpaAnchor::Above | OpaAnchor::Released => logistic(above, 0.0),
        }
    }
}

impl PairLoss for Opa {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_weights(&[
            (
                "preference.loss.standard_pair_coef",
                self.standard_pair_coef,
            ),
            ("preference.loss.ai_pair_coef", self.ai_pair_coef),
            ("preference.loss.copo_coef", self.copo_coef),
            ("preference.loss.anchor_coef", self.anchor_coef),
        ])?;
        check_finite(&[("preference.loss.anchor_value", self.anchor_value)])
    }

    fn needs(&self) -> PreferenceNeeds {
        let pairs = self
            .contrasts()
            .flat_map(|contrast| [contrast.better, contrast.worse]);
        PreferenceNeeds::ratio(&pairs.collect::<Vec<_>>())
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        for Contrast {
            better,
            worse,
            weight,
        } in self.contrasts()
        {
            let [more, less] = pairs.of([better, worse]);
            for pair in 0..pairs.len() {
                let reward = self.reward(more, pair);
                let (loss, slope) = logistic(reward - self.reward(less, pair), 0.0);
                let (anchor, d_anchor) = self.anchor(better, reward);
                out.add(weight * loss + self.anchor_coef * anchor);
                let d_better = weight * slope + self.anchor_coef * d_anchor;
                out.slope(better, pair, self.beta * d_better);
                out.slope(worse, pair, -self.beta * weight * slope);
            }
        }
    }
}
