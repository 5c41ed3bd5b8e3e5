//! GSPO: the importance ratio is that of the whole response, per token on average.
//!
//! `s_i = exp(mean_t(log π_θ − log π_old))` over the response's trained tokens (log capped at 10);
//! `ℓ_t = max(−s A_t, −clip(s, 1 − low, 1 + high) A_t)`. In the token form (GSPO-token) that verl and
//! we use, `s_{i,t} = sg[s_i] · π_θ / sg[π_θ]`, so `∂ℓ_t/∂log π_θ(t) = −s A_t` where the first branch
//! decides, else 0. For one advantage per response and `loss_agg_mode = "seq-mean-token-mean"` (the
//! paper's, and the default with this loss) this is exactly the gradient of the sequence form.
//! Source: arXiv 2507.18071; verl `compute_policy_loss_gspo`; TRL
//! `importance_sampling_level = "sequence"` with `loss_type = "grpo"`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossAggMode, Row, Surrogate, TokenLoss, surrogate::check_clip};
use crate::{Error, LossDefaults};

/// Options of GSPO. Unless the recipe sets `loss_agg_mode`, it is `seq-mean-token-mean`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gspo {
    /// The ratio is clipped from below at `1 − clip_ratio_low`. Default 3e-4 (paper, verl's GSPO
    /// scripts): a mean over tokens moves far less than one token does.
    pub clip_ratio_low: f64,
    /// The ratio is clipped from above at `1 + clip_ratio_high`. Default 4e-4 (paper, verl's GSPO
    /// scripts).
    pub clip_ratio_high: f64,
}

impl Default for Gspo {
    fn default() -> Self {
        Self {
            clip_ratio_low: 3e-4,
            clip_ratio_high: 4e-4,
        }
    }
}

/// verl's bound on the mean log-ratio before it is exponentiated.
const MAX_LOG_RATIO: f64 = 10.0;

impl Surrogate for Gspo {
    fn check(&self) -> Result<(), Error> {
        check_clip(self.clip_ratio_low, self.clip_ratio_high)
    }

    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults {
            loss_agg_mode: Some(LossAggMode::SeqMeanTokenMean),
            ..LossDefaults::default()
        }
    }

    fn row(&self, row: &Row<'_>, out: &mut [TokenLoss]) {
        let trained = row.trained().count().max(1) as f64;
        let mean = row.trained().map(|token| row.log_ratio(token)).sum::<f64>() / trained;
        // Written so that a NaN stays one.
        let ratio = if mean > MAX_LOG_RATIO {
            MAX_LOG_RATIO.exp()
        } else {
            mean.exp()
        };
        let slope = if mean > MAX_LOG_RATIO { 0.0 } else { ratio };
        let bounded = ratio.clamp(1.0 - self.clip_ratio_low, 1.0 + self.clip_ratio_high);
        for token in row.trained() {
            let advantage = f64::from(row.advantage[token]);
            let (plain, bound) = (-advantage * ratio, -advantage * bounded);
            let clipped = bound > plain;
            let (loss, d_log_prob) = if clipped {
                (bound, 0.0)
            } else {
                (plain, -advantage * slope)
            };
            out[token] = TokenLoss {
                loss,
                d_log_prob,
                clipped,
                clipped_lower: false,
            };
        }
    }
}
