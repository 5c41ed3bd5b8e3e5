//! Supervised fine-tuning: the negative log-likelihood of the trained tokens.
//!
//! `L = −Σ_t c_t · v_i · log π_θ(t)`, with `c` the coefficient of the aggregation mode and `v_i` an
//! optional weight of the sample (1 without). verl and TRL average over tokens (`token-mean`).

use super::{LossAggMode, Normaliser};
use crate::{Error, Offsets, signals::same_length};

/// Supervised loss of a micro-batch, as its share of the mini-batch's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SftLoss {
    /// The scalar to minimise.
    pub loss: f64,
    /// `[tokens]` `∂loss/∂log_prob`: minus the token's coefficient; 0 for tokens that are not trained.
    pub d_log_prob: Vec<f32>,
}

/// Computes the supervised loss of a micro-batch; `total` counts the mini-batch it belongs to.
/// `log_prob` and `mask` are `[tokens]`, `sample_weight` is `[rows]`.
///
/// ```
/// use percept_credit::{LossAggMode, Normaliser, Offsets, sft_loss};
///
/// let offsets = Offsets::from_lengths([3, 1]);
/// let mask = [false, true, true, true];
/// let total = Normaliser::of(&offsets, &mask);
/// let sft = sft_loss(LossAggMode::TokenMean, &offsets, &[-9.0, -1.0, -2.0, -3.0], &mask, None, &total)?;
/// assert_eq!(sft.loss, 2.0);
/// assert_eq!(sft.d_log_prob[0], 0.0);
/// # Ok::<(), percept_credit::Error>(())
/// ```
///
/// Errors: slices of different lengths, and `seq-mean-token-sum-norm`, whose constant has no meaning
/// here.
pub fn sft_loss(
    loss_agg_mode: LossAggMode,
    offsets: &Offsets,
    log_prob: &[f32],
    mask: &[bool],
    sample_weight: Option<&[f32]>,
    total: &Normaliser,
) -> Result<SftLoss, Error> {
    same_length("log_prob", log_prob.len(), offsets.tokens(), "tokens")?;
    same_length("mask", mask.len(), offsets.tokens(), "tokens")?;
    if let Some(weight) = sample_weight {
        same_length("sample_weight", weight.len(), offsets.rows(), "rows")?;
    }
    let scale = loss_agg_mode.scale(None)?;
    let mut out = SftLoss {
        loss: 0.0,
        d_log_prob: vec![0.0; log_prob.len()],
    };
    for (row, range) in offsets.iter().enumerate() {
        let trained = mask[range.clone()].iter().filter(|&&bit| bit).count();
        let weight = sample_weight.map_or(1.0, |weight| f64::from(weight[row]));
        let coefficient = weight * loss_agg_mode.coefficient(trained, total, scale);
        for token in range.filter(|&token| mask[token]) {
            out.loss -= coefficient * f64::from(log_prob[token]);
            out.d_log_prob[token] = -coefficient as f32;
        }
    }
    Ok(out)
}
