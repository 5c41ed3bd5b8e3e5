//! How per-token losses become one number, whatever the micro-batches.
//!
//! With `N` the trained tokens of the mini-batch, `S` its sequences with at least one trained token,
//! and `n_i` the trained tokens of sequence `i`, a token's loss is multiplied by
//!
//! | mode | coefficient | known as |
//! |---|---|---|
//! | `token-mean` | `1 / N` | DAPO, TRL `dapo`/`bnpo` |
//! | `seq-mean-token-sum` | `1 / S` | |
//! | `seq-mean-token-mean` | `1 / (S · n_i)` | GRPO's paper, GSPO, TRL `grpo` |
//! | `seq-mean-token-sum-norm` | `1 / (S · loss_scale_factor)` | Dr.GRPO, TRL `dr_grpo` |
//!
//! Source: verl `agg_loss`.

use std::ops::{Add, AddAssign};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Offsets, error::require};

/// Aggregation of per-token losses, by verl's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossAggMode {
    /// Mean over all tokens: every token counts the same. verl's default.
    #[default]
    TokenMean,
    /// Sum over the tokens of a sequence, mean over sequences.
    SeqMeanTokenSum,
    /// Mean over the tokens of a sequence, mean over sequences: short responses weigh more per token.
    SeqMeanTokenMean,
    /// Sum over the tokens of a sequence divided by the constant `loss_scale_factor`, mean over
    /// sequences.
    SeqMeanTokenSumNorm,
}

/// Totals of a mini-batch: what its micro-batches must divide by so that they add up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Normaliser {
    /// Trained tokens.
    pub tokens: usize,
    /// Sequences with at least one trained token.
    pub sequences: usize,
}

impl Normaliser {
    /// Counts a mini-batch. `mask` is the credit's, in which ungraded rows do not count. Panics when
    /// `mask` is shorter than the token axis.
    pub fn of(offsets: &Offsets, mask: &[bool]) -> Self {
        let trained = offsets
            .iter()
            .map(|row| mask[row].iter().filter(|&&bit| bit).count());
        trained.fold(Self::default(), |total, tokens| Self {
            tokens: total.tokens + tokens,
            sequences: total.sequences + usize::from(tokens > 0),
        })
    }
}

impl Add for Normaliser {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            sequences: self.sequences + other.sequences,
        }
    }
}

impl AddAssign for Normaliser {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl LossAggMode {
    /// Coefficient of each token's loss in a sequence of `trained` trained tokens.
    pub(crate) fn coefficient(self, trained: usize, total: &Normaliser, scale: f64) -> f64 {
        let sequences = total.sequences.max(1) as f64;
        match self {
            Self::TokenMean => 1.0 / total.tokens.max(1) as f64,
            Self::SeqMeanTokenSum => 1.0 / sequences,
            Self::SeqMeanTokenMean => 1.0 / (sequences * trained.max(1) as f64),
            Self::SeqMeanTokenSumNorm => 1.0 / (sequences * scale),
        }
    }

    /// The constant of `seq-mean-token-sum-norm`; 1, and not read, for the other modes.
    pub(crate) fn scale(self, loss_scale_factor: Option<f64>) -> Result<f64, Error> {
        if self != Self::SeqMeanTokenSumNorm {
            return Ok(1.0);
        }
        let scale = loss_scale_factor.unwrap_or(f64::NAN);
        require(
            scale.is_finite() && scale > 0.0,
            "loss_scale_factor",
            scale,
            "loss_agg_mode seq-mean-token-sum-norm (which advantage dr_grpo brings) needs a positive number, the longest possible response: max_completion_length; or set another loss_agg_mode",
        )?;
        Ok(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_without_trained_tokens_does_not_count() {
        let offsets = Offsets::from_lengths([2, 2, 0]);
        let total = Normaliser::of(&offsets, &[true, false, false, false]);
        assert_eq!(
            total,
            Normaliser {
                tokens: 1,
                sequences: 1
            }
        );
    }

    #[test]
    fn the_norm_mode_asks_for_its_constant() {
        let error = LossAggMode::SeqMeanTokenSumNorm.scale(None).unwrap_err();
        assert!(
            error.to_string().contains("max_completion_length"),
            "{error}"
        );
        assert_eq!(LossAggMode::TokenMean.scale(None), Ok(1.0));
    }

    #[test]
    fn names_are_verls() {
        let names = [
            "token-mean",
            "seq-mean-token-sum",
            "seq-mean-token-mean",
            "seq-mean-token-sum-norm",
        ];
        for name in names {
            let mode: LossAggMode = serde_json::from_value(name.into()).unwrap();
            assert_eq!(serde_json::to_value(mode).unwrap(), name);
        }
    }
}
