//! V-DPO: DPO on log-probabilities that are guided towards the picture, as classifier-free guidance does.
//!
//! `L = DPO` with `log p̃(y) = γ log π_θ(y|m) − (γ − 1) log π(y|m₀)` in place of `log π_θ(y|m)`; `m₀` is no picture
//! or a blank one, `π(y|m₀)` carries no gradient, the reference's term stays plain. γ = 1 is DPO; the more γ
//! exceeds it, the more an answer is judged by what the picture adds to it. `∂L/∂log π_θ(y_w|m)` is γ times
//! DPO's at the guided margin.
//! Source: arXiv 2411.02712; github.com/YuxiXie/V-DPO (`calculate_log_probs`, sums of log-probabilities;
//! its other form, which guides the logits, needs the whole vocabulary and is not offered).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, KindNeeds, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::logistic,
    options::{check_beta, check_label_smoothing, check_weights},
};
use crate::Error;

/// Who says how likely an answer is without the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guide {
    /// The policy as it is now (the code's `dynamic_llm`).
    #[default]
    Policy,
    /// The reference.
    Reference,
}

/// Options of V-DPO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VDpo {
    /// Factor of the log-ratios. Default 0.1, as the authors' script (`scale_coeff`).
    pub beta: f64,
    /// γ of the formula above, the code's. Default 1.5 \[INFERRED: the script's 0.0 would leave the policy
    /// without a gradient; the paper counts from 0, one less\]. 1 switches guidance off.
    pub gamma: f64,
    /// Who says how likely an answer is without the picture: `policy` or `reference`. Default `policy`, as
    /// the authors' script.
    pub guide: Guide,
    /// ε: share of labels taken to be wrong. Default 0.
    pub label_smoothing: f64,
    /// Take ε of each pair from its annotator's confidence c: `(1 − c)/2`. Default false.
    pub dynamic_label_smoothing: bool,
}

impl Default for VDpo {
    fn default() -> Self {
        Self {
            beta: 0.1,
            gamma: 1.5,
            guide: Guide::Policy,
            label_smoothing: 0.0,
            dynamic_label_smoothing: false,
        }
    }
}

impl VDpo {
    /// Guided log-ratio of an answer.
    fn guided(&self, seeing: &Scores, blind: &Scores, row: usize) -> f64 {
        let blind = match self.guide {
            Guide::Policy => blind.log_prob[row],
            Guide::Reference => blind.ref_log_prob[row],
        };
        self.gamma * seeing.log_prob[row] - (self.gamma - 1.0) * blind - seeing.ref_log_prob[row]
    }
}

impl PairLoss for VDpo {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_label_smoothing(self.label_smoothing)?;
        check_weights(&[("preference.loss.gamma", self.gamma)])
    }

    fn needs(&self) -> PreferenceNeeds {
        let mut needs = PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected]);
        let blind = KindNeeds {
            log_prob: self.guide == Guide::Policy,
            ref_log_prob: self.guide == Guide::Reference,
            ..KindNeeds::default()
        };
        if self.gamma != 1.0 {
            needs
                .kinds
                .extend([(Kind::ChosenNoImage, blind), (Kind::RejectedNoImage, blind)]);
        }
        needs.confidence = self.dynamic_label_smoothing;
        needs
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let [chosen, rejected] = pairs.of([Kind::Chosen, Kind::Rejected]);
        let [chosen_blind, rejected_blind] = match self.gamma == 1.0 {
            // Multiplied by 0.
            true => [chosen, rejected],
            false => pairs.of([Kind::ChosenNoImage, Kind::RejectedNoImage]),
        };
        let confidence = pairs
            .batch
            .confidence
            .filter(|_| self.dynamic_label_smoothing);
        for pair in 0..pairs.len() {
            let margin = self.guided(chosen, chosen_blind, pair)
                - self.guided(rejected, rejected_blind, pair);
            let smoothing = confidence.map_or(self.label_smoothing, |confidence| {
                (1.0 - f64::from(confidence[pair])) / 2.0
            });
            let (loss, slope) = logistic(self.beta * margin, smoothing);
            out.add(loss);
            let slope = self.beta * self.gamma * slope;
            out.slope(Kind::Chosen, pair, slope);
            out.slope(Kind::Rejected, pair, -slope);
            out.count("rewards/guided_margins", self.beta * margin);
        }
    }
}
