//! Direction: more of the advantage for the tokens that the policy found unlikely.
//!
//! `w_t = 1 + α · (1 − π_old(o_t))`, between 1 and `1 + α`. What training with verifiable rewards
//! changes sits in rare tokens that it makes likelier, `Δ log p = log π_RL − log π_base`; the weight
//! strengthens exactly those. The other forms are the paper's rivals.
//!
//! | form | weight |
//! |---|---|
//! | `linear` | `1 + α (1 − p)` |
//! | `dominate` | `α p + 1 − α` (Yang et al.: likely tokens instead) |
//! | `ppl` | `1 − α z`, `z` the response's log-perplexity standardised in its group (by the sample deviation; the code: the population's, plus 1e-6), clamped to `ppl_clamp` if given (Deng et al.) |
//! | `middle` | `α + p (1 − p)` |
//! | `normalized` | `1 / (1 + α − p)` |
//!
//! Source: arXiv 2603.22117 (ICLR 2026), Eq. 8, and its code. Known before the update: constant over
//! the mini-batches of a rollout batch, no gradient. α = 0 is the base method, bit for bit.
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area 0.0 points [−0.6, +0.7], five seeds): the mean weight
//! is 1.008, because the policy is sure of most of its tokens. It can help where responses hold many unlikely
//! tokens; look at `credit/direction/weight/mean`.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CHUNK, TokenWeight, Weighed, keys, spread};
use crate::advantage::Moments;
use crate::{Credit, Error, IdleOption, Needs, Signals, error::require};

/// Options of the direction weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Direction {
    /// Strength. Default 0.1, as the code's (its scripts: 0.2 for Qwen2.5-Math-7B, 0.1 for
    /// Qwen3-8B).
    pub alpha: f64,
    /// Shape of the weight. Default `linear`, the method; the others are baselines.
    pub form: DirectionForm,
    /// Bounds of the form `ppl`, for example `[0.8, 1.2]`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ppl_clamp: Option<[f64; 2]>,
}

/// Shape of the direction weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DirectionForm {
    /// Unlikely tokens weigh more.
    #[default]
    Linear,
    /// Likely tokens weigh more.
    Dominate,
    /// Responses of low perplexity weigh more.
    Ppl,
    /// Tokens of middling probability weigh more.
    Middle,
    /// Unlikely tokens weigh less than `linear`'s in all.
    Normalized,
}

impl Default for Direction {
    fn default() -> Self {
        Self {
            alpha: 0.1,
            form: DirectionForm::Linear,
            ppl_clamp: None,
        }
    }
}

impl Direction {
    fn of_probability(&self, p: f64) -> f64 {
        let alpha = self.alpha;
        match self.form {
            DirectionForm::Linear => 1.0 + alpha * (1.0 - p),
            DirectionForm::Dominate => alpha * p + 1.0 - alpha,
            DirectionForm::Middle => alpha + p * (1.0 - p),
            DirectionForm::Normalized => 1.0 / (1.0 + alpha - p),
            DirectionForm::Ppl => 1.0,
        }
    }

    fn by_perplexity(&self, signals: &Signals<'_>, mask: &[bool], weight: &mut [f32]) {
        let mut groups = std::collections::BTreeMap::<usize, Vec<(usize, f64)>>::new();
        for (row, range) in signals.offsets.iter().enumerate() {
            let (mut sum, mut count) = (0.0, 0usize);
            for token in range.filter(|&token| mask[token]) {
                sum -= f64::from(signals.old_log_prob[token]);
                count += 1;
            }
            if count > 0 {
                let rows = groups.entry(signals.group[row]).or_default();
                rows.push((row, sum / count as f64));
            }
        }
        for rows in groups.values() {
            let values: Vec<f64> = rows.iter().map(|(_, value)| *value).collect();
            let moments = Moments::of(&values);
            for &(row, value) in rows {
                let z = match moments.std > 0.0 {
                    true => (value - moments.mean) / moments.std,
                    false => 0.0,
                };
                let mut w = 1.0 - self.alpha * z;
                if let Some([low, high]) = self.ppl_clamp {
                    w = w.clamp(low, high);
                }
                // Without bounds an extreme response could turn its own advantage around.
                weight[signals.offsets.row(row)].fill(w.max(0.0) as f32);
            }
        }
    }
}

impl TokenWeight for Direction {
    fn check(&self) -> Result<(), Error> {
        let (field, alpha) = ("direction.alpha", self.alpha);
        let needed = self.form == DirectionForm::Normalized;
        require(
            alpha.is_finite() && alpha >= 0.0 && (alpha > 0.0 || !needed),
            field,
            alpha,
            "it must be at least 0, and more than 0 for the form normalized",
        )?;
        if self.form == DirectionForm::Dominate {
            require(
                alpha <= 1.0,
                field,
                alpha,
                "it must be at most 1 for the form dominate",
            )?;
        }
        let Some([low, high]) = self.ppl_clamp else {
            return Ok(());
        };
        require(
            low >= 0.0 && low <= high && high.is_finite(),
            "direction.ppl_clamp",
            low,
            "its bounds must be at least 0, the lower one first",
        )
    }

    fn idle_option(&self) -> Option<IdleOption> {
        let idle = self.ppl_clamp.is_some() && self.form != DirectionForm::Ppl;
        idle.then_some(IdleOption {
            option: "ppl_clamp",
            because: "it is of form \"ppl\"",
        })
    }

    fn needs(&self, needs: &mut Needs) {
        needs.old_log_prob = true;
    }

    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error> {
        signals.per_token("old_log_prob", signals.old_log_prob.len())?;
        let mut weight = vec![1.0f32; credit.mask.len()];
        if self.form == DirectionForm::Ppl {
            self.by_perplexity(signals, &credit.mask, &mut weight);
        } else {
            weight
                .par_chunks_mut(CHUNK)
                .zip(signals.old_log_prob.par_chunks(CHUNK))
                .zip(credit.mask.par_chunks(CHUNK))
                .for_each(|((weight, log_prob), mask)| {
                    for ((weight, &log_prob), &trained) in weight.iter_mut().zip(log_prob).zip(mask)
                    {
                        if trained {
                            *weight = self.of_probability(f64::from(log_prob).exp()) as f32;
                        }
                    }
                });
        }
        for (weight, trained) in weight.iter_mut().zip(&credit.mask) {
            if !trained {
                *weight = 1.0;
            }
        }
        let stats = spread(&keys!("direction"), &weight, &credit.mask);
        Ok(Weighed {
            weight,
            mask: None,
            stats,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lemma 3.1: a token's policy gradient with respect to the logits has the L1 norm `2 |A| (1 − p)`,
    /// which is why the weight grows with `1 − p`.
    #[test]
    fn unlikely_tokens_carry_the_gradient() {
        let logits = [0.3f64, -1.2, 2.0, 0.7, -0.4];
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();
        for (token, z) in logits.iter().enumerate() {
            let p = z.exp() / sum;
            let advantage = -1.5;
            let log_prob = |logits: &[f64; 5]| {
                logits[token] - logits.iter().map(|z| z.exp()).sum::<f64>().ln()
            };
            let norm: f64 = (0..5)
                .map(|k| {
                    let at = |step: f64| {
                        let mut moved = logits;
                        moved[k] += step;
                        advantage * log_prob(&moved)
                    };
                    ((at(1e-6) - at(-1e-6)) / 2e-6).abs()
                })
                .sum();
            assert!((norm - 2.0 * 1.5 * (1.0 - p)).abs() < 1e-8);
        }
    }

    #[test]
    fn certain_tokens_weigh_one_and_impossible_ones_most() {
        let direction = Direction {
            alpha: 0.2,
            ..Direction::default()
        };
        assert_eq!(direction.of_probability(1.0), 1.0);
        assert_eq!(direction.of_probability(0.0), 1.2);
        let dominate = Direction {
            form: DirectionForm::Dominate,
            ..direction
        };
        assert_eq!(dominate.of_probability(1.0), 1.0);
    }
}
