//! TGRL's token weight: the tokens of an expert's trajectory that carry visual evidence, or that the
//! student finds hard, count for more. The paper's text is not public: all of this is \[INFERRED\].
//!
//! On expert rows, with the perception score `s_t = |log π(e_t | image, …) − log π(e_t | no image, …)|`
//! and the student's entropy `H_t`, both as ranks within the trajectory scaled to 0..1 (equal values
//! share their rank):
//!
//! `u_t = λ_p · rank(s_t) + λ_r · rank(H_t)`, `w_t = clip(1 + κ (u_t − mean u), w_min, w_max)`, then
//! divided by its mean, so that the weights of a trajectory add up to its length. Rows of the policy
//! weigh 1. A trajectory without an image has no perception score: that term is 0.
//!
//! Other forms: `chord` is `p (1 − p)` (CHORD-φ: neither mastered nor hopeless tokens), `direction` is
//! `1 + alpha (1 − p)`, with the student's probability `p`; neither is divided by its mean.
//! Source: TGRL, arXiv 2603.26126 (abstract: token-level reweighting of expert trajectories); CHORD,
//! arXiv 2508.11408.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TokenWeight, Weighed, keys, rank::unit_ranks, spread};
use crate::advantage::needs_experts;
use crate::{Credit, Error, IdleOption, Needs, RunShape, Signals, error::require};

/// Options of TGRL's weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TgrlWeight {
    /// Share of the perception score. Default 0.5 \[INFERRED\].
    pub lambda_p: f64,
    /// Share of the entropy. Default 0.5 \[INFERRED\].
    pub lambda_r: f64,
    /// Strength. Default 1 \[INFERRED\].
    pub kappa: f64,
    /// Lower bound before the division by the mean. Default 0.5 \[INFERRED\].
    pub w_min: f64,
    /// Upper bound before the division by the mean. Default 2 \[INFERRED\].
    pub w_max: f64,
    /// Shape. Default `rank` \[INFERRED\].
    pub form: TgrlForm,
    /// Strength of the form `direction`. Default 1.
    pub alpha: f64,
}

/// Shape of TGRL's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TgrlForm {
    /// By ranks of perception score and entropy.
    #[default]
    Rank,
    /// `p (1 − p)`.
    Chord,
    /// `1 + alpha (1 − p)`.
    Direction,
}

impl Default for TgrlWeight {
    fn default() -> Self {
        Self {
            lambda_p: 0.5,
            lambda_r: 0.5,
            kappa: 1.0,
            w_min: 0.5,
            w_max: 2.0,
            form: TgrlForm::Rank,
            alpha: 1.0,
        }
    }
}

impl TgrlWeight {
    /// Weights of the tokens `at` of one trajectory.
    fn trajectory(&self, scores: &Scores<'_>, at: &[usize], scratch: &mut Scratch) {
        scratch.out.clear();
        let p = |token: usize| f64::from(scores.log_prob[token]).exp();
        match self.form {
            TgrlForm::Chord => scratch.out.extend(at.iter().map(|&t| p(t) * (1.0 - p(t)))),
            TgrlForm::Direction => {
                let weight = |&t: &usize| 1.0 + self.alpha * (1.0 - p(t));
                scratch.out.extend(at.iter().map(weight));
            }
            TgrlForm::Rank => {
                let seen = |&t: &usize| {
                    (f64::from(scores.log_prob[t]) - f64::from(scores.no_image[t])).abs()
                };
                scratch.perception.clear();
                scratch.perception.extend(at.iter().map(seen));
                if scratch.perception.iter().any(|s| s.is_nan()) {
                    scratch.perception.fill(0.0);
                    scratch.order.clear();
                } else {
                    unit_ranks(&mut scratch.perception, &mut scratch.order);
                }
                scratch.entropy.clear();
                let entropy = at.iter().map(|&t| f64::from(scores.entropy[t]));
                scratch.entropy.extend(entropy);
                unit_ranks(&mut scratch.entropy, &mut scratch.order);
                let pairs = scratch.perception.iter().zip(&scratch.entropy);
                scratch
                    .out
                    .extend(pairs.map(|(s, h)| self.lambda_p * s + self.lambda_r * h));
                let count = at.len() as f64;
                let mean = scratch.out.iter().sum::<f64>() / count;
                for u in &mut scratch.out {
                    *u = (1.0 + self.kappa * (*u - mean)).clamp(self.w_min, self.w_max);
                }
                let mean = scratch.out.iter().sum::<f64>() / count;
                scratch.out.iter_mut().for_each(|w| *w /= mean);
            }
        }
    }
}

struct Scores<'a> {
    log_prob: &'a [f32],
    no_image: &'a [f32],
    entropy: &'a [f32],
}

#[derive(Default)]
struct Scratch {
    perception: Vec<f64>,
    entropy: Vec<f64>,
    out: Vec<f64>,
    order: Vec<usize>,
}

impl TokenWeight for TgrlWeight {
    fn check(&self) -> Result<(), Error> {
        let fields = [
            ("tgrl.lambda_p", self.lambda_p),
            ("tgrl.lambda_r", self.lambda_r),
            ("tgrl.kappa", self.kappa),
            ("tgrl.alpha", self.alpha),
        ];
        for (field, value) in fields {
            let ok = value.is_finite() && value >= 0.0;
            require(ok, field, value, "it must be at least 0")?;
        }
        let (low, high) = (self.w_min, self.w_max);
        require(
            low > 0.0 && low <= high && high.is_finite(),
            "tgrl.w_min",
            low,
            "it must exceed 0 and be at most w_max",
        )
    }

    fn needs(&self, needs: &mut Needs) {
        needs.experts = true;
        needs.old_log_prob = true;
        if self.form == TgrlForm::Rank {
            needs.no_image = true;
            needs.entropy = true;
        }
    }

    fn requires(&self, run: &RunShape) -> Result<(), String> {
        needs_experts(run)
    }

    fn idle_option(&self) -> Option<IdleOption> {
        let plain = Self::default();
        if self.alpha != plain.alpha && self.form != TgrlForm::Direction {
            return Some(IdleOption {
                option: "alpha",
                because: "it is of form \"direction\"",
            });
        }
        let ranked = |w: &Self| [w.lambda_p, w.lambda_r, w.kappa, w.w_min, w.w_max];
        let idle = ranked(self) != ranked(&plain) && self.form != TgrlForm::Rank;
        idle.then_some(IdleOption {
            option: "lambda_p, lambda_r, kappa, w_min or w_max",
            because: "they are of form \"rank\"",
        })
    }

    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error> {
        signals.per_token("old_log_prob", signals.old_log_prob.len())?;
        let experts = (0..signals.offsets.rows()).any(|row| signals.expert(row));
        let wanted = (experts && self.form == TgrlForm::Rank).then_some("token_weight.tgrl");
        let no_image = signals.wanted("log_prob_no_image", signals.log_prob_no_image, wanted)?;
        let entropy = signals.wanted("entropy", signals.entropy, wanted)?;
        let scores = Scores {
            log_prob: signals.old_log_prob,
            no_image: no_image.unwrap_or_default(),
            entropy: entropy.unwrap_or_default(),
        };
        let mut weight = vec![1.0f32; credit.mask.len()];
        let mut rest = weight.as_mut_slice();
        let mut rows = Vec::new();
        let mut counts = vec![false; credit.mask.len()];
        for (row, range) in signals.offsets.iter().enumerate() {
            let (own, later) = rest.split_at_mut(range.len());
            rest = later;
            if signals.expert(row) {
                counts[range.clone()].copy_from_slice(&credit.mask[range.clone()]);
                rows.push((range, own));
            }
        }
        rows.into_par_iter().for_each_init(
            || (Vec::new(), Scratch::default()),
            |(tokens, scratch), (range, own)| {
                tokens.clear();
                tokens.extend(range.clone().filter(|&token| credit.mask[token]));
                if tokens.is_empty() {
                    return;
                }
                self.trajectory(&scores, tokens, scratch);
                for (&token, &w) in tokens.iter().zip(&scratch.out) {
                    own[token - range.start] = w as f32;
                }
            },
        );
        let stats = spread(&keys!("tgrl"), &weight, &counts);
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
    use crate::Offsets;

    #[test]
    fn the_weights_of_a_trajectory_add_up_to_its_length_and_the_policy_is_left_alone() {
        let offsets = Offsets::from_lengths([3, 4]);
        let signals = Signals {
            offsets: &offsets,
            old_log_prob: &[-0.5, -0.1, -2.0, -0.3, -1.0, -0.2, -3.0],
            log_prob_no_image: Some(&[-0.5, -4.0, -2.5, -0.3, -1.0, -5.0, -9.0]),
            entropy: Some(&[0.1, 0.2, 0.3, 0.4, 0.0, 0.0, 1.0]),
            is_expert: Some(&[false, true]),
            ..Signals::default()
        };
        let credit = Credit {
            mask: vec![true; 7],
            ..Credit::default()
        };
        let found = TgrlWeight::default().weigh(&signals, &credit).unwrap();
        assert_eq!(found.weight[..3], [1.0; 3]);
        let sum: f32 = found.weight[3..].iter().sum();
        assert!((sum - 4.0).abs() < 1e-6, "{:?}", found.weight);
        assert!(found.weight[6] > found.weight[4]);
    }
}
