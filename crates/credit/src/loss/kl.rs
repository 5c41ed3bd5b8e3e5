//! Per-token estimates of `KL(π_θ ‖ π_ref)`, used as a loss, and the divergence itself.
//!
//! With `x = log π_ref − log π_θ` of the token: `k1 = −x`, `k2 = x² / 2`, `k3 = exp(x) − x − 1`.
//! `full` is `Σ π_θ·(log π_θ − log π_ref)` over the whole vocabulary, which the caller computes.
//! Source: J. Schulman, "Approximating KL divergence" (2020); verl `kl_penalty_forward`, whose
//! clamps are kept: x to ±20, k3 to at most 10 (which x reaches long before 20 on either side).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// KL estimator; verl's names are accepted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KlLossType {
    /// `log π_θ − log π_ref` (verl `kl`): unbiased value, but its gradient has mean zero; to look at,
    /// not to train with.
    #[serde(alias = "kl")]
    K1,
    /// Half the squared log-ratio (verl `mse`): its gradient is that of the KL on-policy.
    #[serde(alias = "mse")]
    K2,
    /// `exp(x) − x − 1` (verl `low_var_kl`): unbiased, never negative, low variance. Default, as verl
    /// and GRPO.
    #[default]
    #[serde(alias = "low_var_kl")]
    K3,
    /// The divergence itself, over the whole vocabulary (TRL's `kl_penalty = "full"`): no noise of the
    /// token that was drawn, for a pass of the reference in every update.
    Full,
}

/// verl's bound on `x` and on `k3`.
const MAX_LOG_RATIO: f64 = 20.0;
const MAX_K3: f64 = 10.0;

impl KlLossType {
    /// Value, and derivative with respect to `log_prob`; none for `full`, which one token does not
    /// tell.
    pub fn estimate(self, log_prob: f64, ref_log_prob: f64) -> Option<(f64, f64)> {
        let x = ref_log_prob - log_prob;
        Some(match self {
            Self::K1 => (-x, 1.0),
            Self::K2 => (0.5 * x * x, -x),
            Self::K3 => {
                let bounded = x.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO);
                let value = bounded.exp() - bounded - 1.0;
                match value > MAX_K3 {
                    true => (MAX_K3, 0.0),
                    false => (value, 1.0 - x.exp()),
                }
            }
            Self::Full => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_policies_have_no_divergence() {
        for kind in [KlLossType::K1, KlLossType::K2, KlLossType::K3] {
            assert_eq!(kind.estimate(-1.5, -1.5).unwrap().0, 0.0);
        }
        assert_eq!(KlLossType::Full.estimate(-1.5, -1.5), None);
    }

    #[test]
    fn verl_names_are_read() {
        for (name, kind) in [
            ("kl", KlLossType::K1),
            ("mse", KlLossType::K2),
            ("low_var_kl", KlLossType::K3),
            ("full", KlLossType::Full),
        ] {
            assert_eq!(
                serde_json::from_value::<KlLossType>(name.into()).unwrap(),
                kind
            );
        }
        assert_eq!(serde_json::to_value(KlLossType::K3).unwrap(), "k3");
    }
}
