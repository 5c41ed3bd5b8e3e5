//! SAPO: a soft gate instead of a clip; far from the old policy the gradient fades, it is not cut.
//!
//! `ℓ = −A · (4/τ) · σ(τ (r − 1))`, `τ = tau_pos` where `A > 0`, else `tau_neg`, with
//! `r = exp(clamp(log π_θ − log π_old, ±20))`; `∂ℓ/∂log π_θ = −A · 4 σ (1 − σ) · r`, which is `−A` at
//! `r = 1`. Source: arXiv 2511.20347; verl `compute_policy_loss_sapo` and TRL
//! `loss_type = "sapo"`, which both aggregate by `seq-mean-token-mean`, as the paper does: so does this
//! loss, unless the recipe sets `loss_agg_mode`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossAggMode, Row, Surrogate, TokenLoss, surrogate::ratio};
use crate::{Error, LossDefaults, error::require};

/// Options of SAPO. Unless the recipe sets `loss_agg_mode`, it is `seq-mean-token-mean`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sapo {
    /// Temperature of the gate for tokens of positive advantage. Default 1.0, as verl and TRL.
    pub tau_pos: f64,
    /// Temperature for the others. Default 1.05, as verl and TRL.
    pub tau_neg: f64,
}

impl Default for Sapo {
    fn default() -> Self {
        Self {
            tau_pos: 1.0,
            tau_neg: 1.05,
        }
    }
}

impl Surrogate for Sapo {
    fn check(&self) -> Result<(), Error> {
        for (field, value) in [
            ("policy_loss.tau_pos", self.tau_pos),
            ("policy_loss.tau_neg", self.tau_neg),
        ] {
            let ok = value.is_finite() && value > 0.0;
            require(ok, field, value, "it must exceed 0")?;
        }
        Ok(())
    }

    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults {
            loss_agg_mode: Some(LossAggMode::SeqMeanTokenMean),
            ..LossDefaults::default()
        }
    }

    fn row(&self, row: &Row<'_>, out: &mut [TokenLoss]) {
        for token in row.trained() {
            let (ratio, slope) = ratio(row.log_ratio(token));
            let advantage = f64::from(row.advantage[token]);
            let tau = if advantage > 0.0 {
                self.tau_pos
            } else {
                self.tau_neg
            };
            let gate = 1.0 / (1.0 + (-tau * (ratio - 1.0)).exp());
            out[token] = TokenLoss {
                loss: -advantage * gate * 4.0 / tau,
                d_log_prob: -advantage * 4.0 * gate * (1.0 - gate) * slope,
                clipped: false,
                clipped_lower: false,
            };
        }
    }
}
