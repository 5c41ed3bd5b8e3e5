//! HALVA: the phrase that is wrong against the phrase that is right, and a leash on other answers.
//!
//! `L = mean over aligned phrases of log(1 + e^(log π_θ(wrong) − log π_θ(right))) + loss_alpha · mean over general
//! responses of Σ_t KL(π_ref ‖ π_θ)`. A phrase's log-probability is the sum over its tokens, each given all
//! before it in its own response; there is no reference in the first term.
//! Source: arXiv 2405.18654 (DPA), github.com/pritamqu/HALVA. The code also averages over phrases that other
//! pairs of the batch have and this one lacks, which adds `log 2` each and no gradient; here the mean is over
//! those that are there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, KindNeeds, PairLoss, Pairs, PreferenceNeeds, Scores, Terms, math::logistic,
    options::check_weights, phrases::aligned,
};
use crate::Error;

/// Options of HALVA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Halva {
    /// α: weight of the divergence. Default 0.4, as the authors for LLaVA-1.5-7B (13B 0.5; VILA-13B 0.2).
    /// 0: no general responses are needed.
    pub loss_alpha: f64,
}

impl Default for Halva {
    fn default() -> Self {
        Self { loss_alpha: 0.4 }
    }
}

impl PairLoss for Halva {
    fn check(&self) -> Result<(), Error> {
        check_weights(&[("preference.loss.loss_alpha", self.loss_alpha)])
    }

    fn needs(&self) -> PreferenceNeeds {
        let mut needs = PreferenceNeeds::policy(&[Kind::Chosen, Kind::Rejected]);
        for kind in needs.kinds.values_mut() {
            kind.phrase = true;
        }
        if self.loss_alpha > 0.0 {
            let general = KindNeeds {
                ref_kl: true,
                many: true,
                ..KindNeeds::default()
            };
            needs.kinds.insert(Kind::General, general);
        }
        needs.per_token = true;
        needs
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        scores.log_prob[row]
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        let responses = [Kind::Chosen, Kind::Rejected].map(|kind| &pairs.batch.responses[&kind]);
        let share = 1.0 / pairs.totals.phrases.max(1) as f64;
        let mut slopes = responses.map(|responses| vec![0.0; responses.offsets.tokens()]);
        let log_probs = responses.map(|responses| responses.log_prob.unwrap_or_default());
        let mut alignment = 0.0;
        for phrase in (0..pairs.len()).flat_map(|pair| aligned(pairs.batch, pair)) {
            let sum = |side: usize| -> f64 {
                let tokens = phrase[side].iter();
                tokens.map(|&token| f64::from(log_probs[side][token])).sum()
            };
            let (loss, slope) = logistic(sum(0) - sum(1), 0.0);
            alignment += share * loss;
            for (side, sign) in [(0, 1.0), (1, -1.0)] {
                for &token in &phrase[side] {
                    slopes[side][token] += sign * share * slope;
                }
            }
        }
        out.add_normalised(alignment);
        out.stats.insert("loss/alignment", alignment);
        let [chosen, rejected] = slopes;
        for (kind, token) in [(Kind::Chosen, chosen), (Kind::Rejected, rejected)] {
            if let Some(slopes) = out.of_kind(kind) {
                slopes.token = token;
            }
        }
        if self.loss_alpha == 0.0 {
            return;
        }
        let responses = pairs.totals.kinds.get(&Kind::General).copied().unwrap_or(0);
        let share = self.loss_alpha / responses.max(1) as f64;
        let divergence = share * pairs.of([Kind::General])[0].ref_kl.iter().sum::<f64>();
        out.add_normalised(divergence);
        out.stats.insert("loss/divergence", divergence);
        if let Some(slopes) = out.of_kind(Kind::General) {
            slopes.ref_kl.fill(share);
        }
    }
}
