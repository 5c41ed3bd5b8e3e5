//! The part of the loss that differs between policy losses.

use crate::{Error, error::require, loss_defaults::LossDefaults};

/// One response, as a policy loss sees it: slices over the row's tokens.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Log-probability under the policy being trained.
    pub log_prob: &'a [f32],
    /// Log-probability under the policy before the update.
    pub old_log_prob: &'a [f32],
    /// Advantage times token weight.
    pub advantage: &'a [f32],
    /// Whether the token is trained.
    pub mask: &'a [bool],
}

impl Row<'_> {
    /// Indices of the trained tokens.
    pub fn trained(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.mask.len()).filter(|&token| self.mask[token])
    }

    /// `log π_θ − log π_old` of a token.
    pub fn log_ratio(&self, token: usize) -> f64 {
        f64::from(self.log_prob[token]) - f64::from(self.old_log_prob[token])
    }
}

/// Policy loss of one token, to be minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenLoss {
    /// Value.
    pub loss: f64,
    /// Derivative with respect to the token's log-probability.
    pub d_log_prob: f64,
    /// Whether the ratio's clip decides the value.
    pub clipped: bool,
    /// Whether the dual clip decides the value.
    pub clipped_lower: bool,
}

/// A policy loss: maps each trained token of a response to its value and derivative.
pub trait Surrogate: Sync {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// What its authors set in the loss.
    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults::default()
    }

    /// Fills in the dual clip, where it has one and the recipe says nothing: what another method brings
    /// (`brought`), else its own. The one in force.
    fn settle_dual_clip(&mut self, _brought: Option<f64>) -> Option<f64> {
        None
    }

    /// Writes `out[token]` for every trained token of `row`; other entries are ignored.
    fn row(&self, row: &Row<'_>, out: &mut [TokenLoss]);
}

/// verl's bound on a log-ratio before it is exponentiated (`torch.clamp(…, −20, 20)`).
pub(super) const LOG_RATIO_BOUND: f64 = 20.0;

/// `exp` of a log-ratio clamped to ±[`LOG_RATIO_BOUND`], and the derivative of that.
pub(super) fn ratio(log_ratio: f64) -> (f64, f64) {
    let ratio = log_ratio.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp();
    let inside = log_ratio.is_nan() || log_ratio.abs() <= LOG_RATIO_BOUND;
    (ratio, if inside { ratio } else { 0.0 })
}

/// Checks the two sides of a ratio clip.
pub(super) fn check_clip(low: f64, high: f64) -> Result<(), Error> {
    require(
        (0.0..=1.0).contains(&low),
        "policy_loss.clip_ratio_low",
        low,
        "it must lie between 0 and 1",
    )?;
    require(
        high >= 0.0,
        "policy_loss.clip_ratio_high",
        high,
        "it must be at least 0",
    )
}
