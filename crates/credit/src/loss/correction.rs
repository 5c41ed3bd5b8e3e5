//! The gap between the engine that sampled and the engine that trains.
//!
//! Truncated importance sampling (TIS) multiplies a token's policy loss by the detached weight
//! `w = min(exp(clamp(log π_old − log π_rollout, ±20)), cap)`, with `π_old` the trainer's and
//! `π_rollout` the sampler's probability under the same weights.
//! Source: Yao et al., "Your efficient RL framework secretly brings you off-policy RL training"
//! (2025); verl `rollout_is = "token"`, TRL `vllm_importance_sampling_mode = "token_truncate"`.

use super::surrogate::LOG_RATIO_BOUND;
use crate::{Error, signals::same_length};

/// Importance weight of one token.
pub(super) fn truncated_weight(old_log_prob: f32, rollout_log_prob: f32, cap: f64) -> f64 {
    let log_ratio = f64::from(old_log_prob) - f64::from(rollout_log_prob);
    let weight = log_ratio.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp();
    if weight > cap { cap } else { weight }
}

/// How far the sampler's probabilities are from the trainer's, over the trained tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mismatch {
    /// Mean of `|π_old − π_rollout|` (verl `training/rollout_probs_diff_mean`). Below 0.005 is normal;
    /// above 0.01 the run is off-policy without knowing it.
    pub probs_diff_mean: f64,
    /// Maximum of the same.
    pub probs_diff_max: f64,
    /// Mean of `log π_rollout − log π_old`: an estimate of `KL(π_rollout ‖ π_old)`.
    pub kl: f64,
}

impl Mismatch {
    /// Measures it. All slices are `[tokens]`.
    pub fn of(
        old_log_prob: &[f32],
        rollout_log_prob: &[f32],
        mask: &[bool],
    ) -> Result<Self, Error> {
        same_length("old_log_prob", old_log_prob.len(), mask.len(), "tokens")?;
        same_length(
            "rollout_log_prob",
            rollout_log_prob.len(),
            mask.len(),
            "tokens",
        )?;
        let mut out = Self::default();
        let trained = (0..mask.len()).filter(|&token| mask[token]);
        let mut count = 0usize;
        for token in trained {
            let (old, rollout) = (
                f64::from(old_log_prob[token]),
                f64::from(rollout_log_prob[token]),
            );
            let diff = (old.exp() - rollout.exp()).abs();
            count += 1;
            out.probs_diff_mean += diff;
            out.probs_diff_max = out.probs_diff_max.max(diff);
            out.kl += rollout - old;
        }
        out.probs_diff_mean /= count.max(1) as f64;
        out.kl /= count.max(1) as f64;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_engine_has_no_gap() {
        let log_prob = [-0.5, -3.0];
        assert_eq!(
            Mismatch::of(&log_prob, &log_prob, &[true; 2]),
            Ok(Mismatch::default())
        );
        assert_eq!(truncated_weight(-0.5, -0.5, 2.0), 1.0);
    }

    #[test]
    fn the_weight_is_capped_from_above_only() {
        assert_eq!(truncated_weight(0.0, -3.0, 2.0), 2.0);
        assert!((truncated_weight(-3.0, 0.0, 2.0) - (-3.0f64).exp()).abs() < 1e-12);
    }
}
