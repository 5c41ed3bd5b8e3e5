//! PPO's clipped surrogate with an asymmetric clip and a dual clip.
//!
//! `ℓ = max(−r A, −clip(r, 1 − low, 1 + high) A)`, and for `A < 0` at most `−c A`, with
//! `r = exp(clamp(log π_θ − log π_old, ±20))`.
//! `∂ℓ/∂log π_θ = −r A` where the first branch decides, else 0.
//! Sources: PPO arXiv 1707.06347; dual clip arXiv 1912.09729; clip-higher: DAPO arXiv 2503.14476.
//! Equal to verl `compute_policy_loss_vanilla` and, with `clip_ratio_c = delta` (or `inf` for none),
//! to TRL's `grpo`/`bnpo`/`dr_grpo`/`dapo` losses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Row, Surrogate, TokenLoss,
    surrogate::{check_clip, ratio},
};
use crate::{Error, error::require};

/// Options of the clipped surrogate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ppo {
    /// The ratio is clipped from below at `1 − clip_ratio_low`. Default 0.2, as verl and TRL.
    pub clip_ratio_low: f64,
    /// The ratio is clipped from above at `1 + clip_ratio_high`. Default 0.2, as verl and TRL; DAPO
    /// raises it to 0.28 so that unlikely tokens can still grow.
    pub clip_ratio_high: f64,
    /// Dual clip: a token with negative advantage costs at most `clip_ratio_c · |A|`. Default 3.0, as
    /// verl, and 10 with token weight `fipo`, as its code; DAPO's scripts use 10; `inf` switches it off
    /// (TRL's default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_ratio_c: Option<f64>,
}

impl Default for Ppo {
    fn default() -> Self {
        Self {
            clip_ratio_low: 0.2,
            clip_ratio_high: 0.2,
            clip_ratio_c: None,
        }
    }
}

impl Surrogate for Ppo {
    fn check(&self) -> Result<(), Error> {
        check_clip(self.clip_ratio_low, self.clip_ratio_high)?;
        require(
            self.dual_clip() > 1.0,
            "policy_loss.clip_ratio_c",
            self.dual_clip(),
            "it must exceed 1 (inf switches the dual clip off)",
        )
    }

    fn settle_dual_clip(&mut self, brought: Option<f64>) -> Option<f64> {
        self.clip_ratio_c = self.clip_ratio_c.or(brought);
        self.clip_ratio_c = Some(self.dual_clip());
        self.clip_ratio_c
    }

    fn row(&self, row: &Row<'_>, out: &mut [TokenLoss]) {
        for token in row.trained() {
            out[token] = self.token(row.log_ratio(token), f64::from(row.advantage[token]));
        }
    }
}

/// verl's dual clip.
const DUAL_CLIP: f64 = 3.0;

impl Ppo {
    /// The dual clip in force.
    pub fn dual_clip(&self) -> f64 {
        self.clip_ratio_c.unwrap_or(DUAL_CLIP)
    }

    fn token(&self, log_ratio: f64, advantage: f64) -> TokenLoss {
        let (ratio, slope) = ratio(log_ratio);
        let plain = -advantage * ratio;
        let bound = -advantage * ratio.clamp(1.0 - self.clip_ratio_low, 1.0 + self.clip_ratio_high);
        let clipped = bound > plain;
        let (loss, d_log_prob) = if clipped {
            (bound, 0.0)
        } else {
            (plain, -advantage * slope)
        };
        let ceiling = -advantage * self.dual_clip();
        if advantage < 0.0 && loss > ceiling {
            return TokenLoss {
                loss: ceiling,
                d_log_prob: 0.0,
                clipped,
                clipped_lower: true,
            };
        }
        TokenLoss {
            loss,
            d_log_prob,
            clipped,
            clipped_lower: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_token_is_pushed_until_the_clip_and_no_further() {
        let ppo = Ppo::default();
        let at = |ratio: f64| ppo.token(ratio.ln(), 2.0);
        assert!((at(1.1).d_log_prob + 2.2).abs() < 1e-12);
        assert_eq!((at(1.3).d_log_prob, at(1.3).clipped), (0.0, true));
        assert!(
            (at(0.5).d_log_prob + 1.0).abs() < 1e-12,
            "no clip on the way back"
        );
    }

    #[test]
    fn the_dual_clip_bounds_the_cost_of_a_bad_token() {
        let token = Ppo::default().token(5.0f64.ln(), -2.0);
        assert_eq!(
            (token.loss, token.d_log_prob, token.clipped_lower),
            (6.0, 0.0, true)
        );
        let off = Ppo {
            clip_ratio_c: Some(f64::INFINITY),
            ..Ppo::default()
        };
        assert!((off.token(5.0f64.ln(), -2.0).loss - 10.0).abs() < 1e-12);
    }

    #[test]
    fn a_log_ratio_beyond_the_bound_has_no_gradient() {
        let off = Ppo {
            clip_ratio_c: Some(f64::INFINITY),
            ..Ppo::default()
        };
        let (inside, outside) = (off.token(19.9, -1.0), off.token(25.0, -1.0));
        assert_eq!(inside.d_log_prob, inside.loss);
        assert_eq!((outside.loss, outside.d_log_prob), (20f64.exp(), 0.0));
    }

    #[test]
    fn a_token_without_advantage_has_no_gradient() {
        let off = Ppo {
            clip_ratio_c: Some(f64::INFINITY),
            ..Ppo::default()
        };
        let token = off.token(0.7, 0.0);
        assert_eq!((token.loss, token.d_log_prob), (0.0, 0.0));
    }
}
