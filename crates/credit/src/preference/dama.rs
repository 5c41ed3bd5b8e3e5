//! DAMA: DPO whose β follows how hard the data are and how far the model is.
//!
//! `L = mean over kept pairs of −log σ(β' g)`, `g` the log-ratio gap `(log π_θ − log π_ref)(y_w) − (log π_θ − log π_ref)(y_l)`,
//! `β' = max(min_beta, β · [σ(c)/σ(c̄)] · [mean over kept pairs of σ(g) / σ(ḡ)])` without gradient, `c` the CLIP
//! similarity of the chosen answer with the picture less that of the rejected one, `c̄` its mean over the
//! data set, `ḡ` a running mean of `g`.
//!
//! Kept are `⌊keep · pairs⌋` of the mini-batch, drawn without replacement with probability ∝
//! `exp(−(g − ḡ)²/2)`: outliers mislead `β'`. The draw is by Gumbel keys on the batch's `draw`, in logarithms,
//! where the authors' code falls back to uniform choices when every weight underflows. After the loss,
//! `ḡ ← momentum · ḡ + (1 − momentum) · mean g`, from 0; it is the loss's state.
//! Source: arXiv 2502.01943; github.com/injadlu/DAMA.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Kind, PairLoss, Pairs, PreferenceNeeds, Scores, Terms,
    math::{logistic, sigmoid},
    options::{check_beta, check_finite, check_weights},
};
use crate::{Error, error::require};

/// Options of DAMA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dama {
    /// Factor of the log-ratios before it is adapted. Default 0.1.
    pub beta: f64,
    /// Share of the pairs of a mini-batch that are kept. Default 0.8.
    pub keep: f64,
    /// Momentum of the running mean of gaps. Default 0.9.
    pub momentum: f64,
    /// Mean CLIP gap of the data set. Default 0.0482, that of the authors' data; take your own.
    pub clip_gap_mean: f64,
    /// Least β'. Default 1e-3.
    pub min_beta: f64,
}

impl Default for Dama {
    fn default() -> Self {
        Self {
            beta: 0.1,
            keep: 0.8,
            momentum: 0.9,
            clip_gap_mean: 0.048_219_046_491_168_1,
            min_beta: 1e-3,
        }
    }
}

/// Least `σ(ḡ)` that is divided by: with a running mean of −1e4 it would be 0.
const LEAST_MEAN: f64 = 1e-6;

impl Dama {
    /// Pairs that are kept: the greatest Gumbel keys.
    fn kept(&self, gaps: &[f64], draw: &[f64], mean: f64) -> Vec<usize> {
        let key = |pair: usize| {
            let distance = gaps[pair] - mean;
            let gumbel = -(-draw[pair].clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON).ln()).ln();
            gumbel - 0.5 * distance * distance
        };
        let mut order: Vec<(usize, f64)> = (0..gaps.len()).map(|pair| (pair, key(pair))).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        // One at least, of which the authors' code would keep none.
        let count = ((self.keep * gaps.len() as f64).floor() as usize).max(1);
        let mut kept: Vec<usize> = order
            .into_iter()
            .take(count)
            .map(|(pair, _)| pair)
            .collect();
        kept.sort_unstable();
        kept
    }
}

impl PairLoss for Dama {
    fn check(&self) -> Result<(), Error> {
        check_beta(self.beta)?;
        check_finite(&[("preference.loss.clip_gap_mean", self.clip_gap_mean)])?;
        check_weights(&[("preference.loss.min_beta", self.min_beta)])?;
        require(
            self.keep > 0.0 && self.keep <= 1.0,
            "preference.loss.keep",
            self.keep,
            "it must exceed 0 and be at most 1",
        )?;
        require(
            (0.0..1.0).contains(&self.momentum),
            "preference.loss.momentum",
            self.momentum,
            "it must be at least 0 and less than 1",
        )
    }

    fn needs(&self) -> PreferenceNeeds {
        PreferenceNeeds {
            clip_gap: true,
            draw: true,
            whole_batch: true,
            ..PreferenceNeeds::ratio(&[Kind::Chosen, Kind::Rejected])
        }
    }

    fn reward(&self, scores: &Scores, row: usize) -> f64 {
        self.beta * scores.log_ratio(row)
    }

    fn contrast(&self, pairs: &Pairs<'_>, out: &mut Terms) {
        if pairs.is_empty() {
            return;
        }
        let [chosen, rejected] = pairs.of([Kind::Chosen, Kind::Rejected]);
        let gap = |pair| chosen.log_ratio(pair) - rejected.log_ratio(pair);
        let gaps: Vec<f64> = (0..pairs.len()).map(gap).collect();
        let mean = pairs.state.gap_mean;
        let kept = self.kept(&gaps, pairs.batch.draw.unwrap_or_default(), mean);
        let count = kept.len() as f64;
        let apart = kept.iter().map(|&pair| sigmoid(gaps[pair])).sum::<f64>() / count;
        let of_model = apart / sigmoid(mean).max(LEAST_MEAN);
        let clip_gap = pairs.batch.clip_gap.unwrap_or_default();
        // The mean is over what is kept, `add` and `slope` divide by all pairs.
        let scale = gaps.len() as f64 / count;
        for &pair in &kept {
            let of_data = sigmoid(f64::from(clip_gap[pair])) / sigmoid(self.clip_gap_mean);
            let beta = (self.beta * of_data * of_model)
                .max(self.min_beta)
                .min(f64::MAX);
            let (loss, slope) = logistic(beta * gaps[pair], 0.0);
            out.add(scale * loss);
            out.slope(Kind::Chosen, pair, scale * beta * slope);
            out.slope(Kind::Rejected, pair, -scale * beta * slope);
            out.count("beta_used", scale * beta);
        }
        let batch_mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        out.state.gap_mean = self.momentum * mean + (1.0 - self.momentum) * batch_mean;
        out.stats.insert("gap_mean", out.state.gap_mean);
    }
}
