//! mDPO: DPO on answers, DPO on pictures, and an anchor that keeps the chosen answer likely.
//!
//! `L = −log σ(r(y_w) − r(y_l)) − visual_weight · log σ(r(y_w) − r(y_w | m_l)) − anchor_weight · log σ(r(y_w) − anchor)`,
//! `r = β (log π_θ − log π_ref)`, `m_l` a picture that has lost what the answer speaks of: a random crop of
//! 1 % to 20 % of the picture in the paper, no picture at all in the released code.
//! Source: arXiv 2406.11839, eq. 5–8; github.com/luka-group/mDPO.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_finite, check_weights},
};
use crate::Error;

/// The picture that the chosen answer should be less likely with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VisualNegative {
    /// The pair's rejected picture.
    #[default]
    RejectedImage,
    /// None.
    NoImage,
}

impl VisualNegative {
    fn kind(self) -> Kind {
        match self {
            Self::RejectedImage => Kind::ChosenRejectedImage,
            Self::NoImage => Kind::ChosenNoImage,
        }
    }
}

/// Options of mDPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MDpo {
    /// Factor of the log-ratios. Default 0.1.
    pub beta: f64,
    /// What the visual term compares with: `rejected_image` (the paper) or `no_image` (the released
    /// code). Default `rejected_image`.
    pub visual_negative: VisualNegative,
    /// Weight of the visual term. Default 1.
    pub visual_weight: f64,
    /// Weight of the anchor. Default 1.
    pub anchor_weight: f64,
    /// δ: reward that the anchor holds the chosen answer above. Default 0.
    pub anchor: f64,
}

impl Default for MDpo {
    fn default() -> Self {
        Self {
            beta: 0.1,
            visual_negative: VisualNegative::RejectedImage,
            visual_weight: 1.0,
            anchor_weight: 1.0,
            anchor: 0.0,
        }
    }
}

impl PairLoss for MDpo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_weights(&[
            ("preference.loss.visual_weight", self.visual_weight),
            ("preference.loss.anchor_weight", self.anchor_weight),
        ])?;
        check_finite(&[("preference.loss.anchor", self.anchor)])
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected, self.visual_negative.kind()])
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let negative = self.visual_negative.kind();
        let [chosen, rejected, visual] = pairs.of([Kind::Chosen, Kind::Rejected, negative]);
        for pair in 0..pairs.len() {
            let reward = |scores: &Scores| self.reward(scores, pair);
            let (language, d_language) = logistic(reward(chosen) - reward(rejected), 0.0);
            let (image, d_image) = logistic(reward(chosen) - reward(visual), 0.0);
            let (anchor, d_anchor) = logistic(reward(chosen) - self.anchor, 0.0);
            out.add(language + self.visual_weight * image + self.anchor_weight * anchor);
            let d_image = self.visual_weight * d_image;
            let d_chosen = d_language + d_image + self.anchor_weight * d_anchor;
            out.slope(Kind::Chosen, pair, self.beta * d_chosen);
            out.slope(Kind::Rejected, pair, -self.beta * d_language);
            out.slope(negative, pair, -self.beta * d_image);
        }
    }
}
