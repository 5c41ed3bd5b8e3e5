//! FIPO: a token counts for more when the update makes what follows it likelier.
//!
//! With `d_t = clamp(log π_θ − log π_old, ±20)`, over the trained tokens of a response:
//!
//! * participation: a token with `d_t > ln c` is left out of the sums (`code`; the paper leaves it
//!   out only where its advantage is negative: `paper`);
//! * `F_t = Σ_{k ≥ t} γ^{k−t} d_k`, `γ = 2^{−1/decay_rate}`, by `F_t = d_t + γ F_{t+1}`;
//! * `w_t = clip(exp F_t, 1 − clip_ratio, 1 + clip_ratio)`; with `clip_high_only`, never below 1;
//! * where the advantage is negative and the ratio above `safety_thresh`, `w_t` is held in 0.8..1;
//! * `sequence_drop`: a response with more than one token on the dual clip (advantage negative, ratio
//!   above `clip_ratio_c`) leaves the loss (in the code, not in the paper).
//!
//! The weight multiplies the advantage before the surrogate; as it is not negative, that is the same as
//! multiplying the clipped loss. Before the first update of a rollout batch all `d` are 0 and all
//! weights 1: with one update per batch the method does nothing. `d` is taken before any other token
//! weight, so a token that ToR silences still counts in the future of the tokens before it. Rows that
//! are experts' trajectories (TGRL) have no ratio and weigh 1.
//!
//! `clip_ratio = 0` holds all weights at 1 and, with `sequence_drop = false`, is the base method, bit
//! for bit. In the official code 0 means "no clip, at most 10": here that is `unclipped`.
//! Where the code drops a response, its tokens also leave the denominator of the loss; here only if the
//! caller counts its `Normaliser` after the weights (our trainer counts before: micro-batches).
//! Source: arXiv 2603.19835, Eq. 3–8, and its code (`loss_mode = future_kl`).
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area +0.1 points [−0.7, +0.7], five seeds): with four
//! updates per batch on 21 tokens the mean weight is 1.014. It can help with many updates per rollout batch on
//! long responses; look at `credit/fipo/weight/mean`.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Stage, TokenWeight, Weighed, keys, spread};
use crate::{
    Credit, Error, IdleOption, LossDefaults, Needs, Normaliser, RunShape, Signals, error::require,
};

/// Options of FIPO. Defaults are those of the 32B script, with the safety threshold of the code's
/// fall-back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fipo {
    /// Tokens after which the future counts half. Default 32.
    pub decay_rate: f64,
    /// Half-width of the weight's range around 1. Default 0.2.
    pub clip_ratio: f64,
    /// Only strengthen: the range is `1..1 + clip_ratio`. Default true (32B); the 7B runs of the paper
    /// use false.
    pub clip_high_only: bool,
    /// No range, at most 10. Default false.
    pub unclipped: bool,
    /// Ratio above which a token of negative advantage is not strengthened. Default 4, as the code's
    /// fall-back and ms-swift; the 32B script says 10, the 7B runs 3.
    pub safety_thresh: f64,
    /// Ratio above which a token takes no part, and the dual clip of `sequence_drop`. It is one number
    /// with `loss.policy_loss.clip_ratio_c`, in the official code as here: set it there, or here, and
    /// both have it. Default 10, as the official code's scripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_ratio_c: Option<f64>,
    /// Whether a response with more than one token on the dual clip leaves the loss. Default true, as
    /// the code.
    pub sequence_drop: bool,
    /// For which tokens `clip_ratio_c` ends participation. Default `code`.
    pub participation: Participation,
}

/// Who is left out of the sums over the future.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Participation {
    /// Any token whose ratio is above `clip_ratio_c`.
    #[default]
    Code,
    /// Only those of negative advantage.
    Paper,
}

impl Default for Fipo {
    fn default() -> Self {
        Self {
            decay_rate: 32.0,
            clip_ratio: 0.2,
            clip_high_only: true,
            unclipped: false,
            safety_thresh: 4.0,
            clip_ratio_c: None,
            sequence_drop: true,
            participation: Participation::Code,
        }
    }
}

/// The code's bound on a log-ratio, and on a weight without a range.
const LOG_RATIO_BOUND: f64 = 20.0;
const UNCLIPPED_MAX: f64 = 10.0;

/// One response.
struct Row<'a> {
    log_prob: &'a [f32],
    old_log_prob: &'a [f32],
    advantage: &'a [f32],
    mask: &'a [bool],
}

/// What happened in one response.
#[derive(Clone, Copy, Default)]
struct Tally {
    upper: usize,
    lower: usize,
    safe: usize,
    left_out: usize,
    dropped: bool,
}

/// The dual clip of the official code's scripts.
const DUAL_CLIP: f64 = 10.0;

impl Fipo {
    /// The dual clip in force.
    pub fn dual_clip(&self) -> f64 {
        self.clip_ratio_c.unwrap_or(DUAL_CLIP)
    }

    /// Writes the weights of a response; the future is summed from its end.
    fn row(&self, row: &Row<'_>, out: &mut [f32]) -> Tally {
        let gamma = (-1.0 / self.decay_rate).exp2();
        let (log_c, log_safe) = (self.dual_clip().ln(), self.safety_thresh.ln());
        let (low, high) = match self.unclipped {
            true => (0.0, UNCLIPPED_MAX),
            false if self.clip_high_only => (1.0, 1.0 + self.clip_ratio),
            false => (1.0 - self.clip_ratio, 1.0 + self.clip_ratio),
        };
        let (mut tally, mut future, mut dual) = (Tally::default(), 0.0, 0usize);
        for token in (0..out.len()).rev() {
            future *= gamma;
            if !row.mask[token] {
                out[token] = 1.0;
                continue;
            }
            let d = f64::from(row.log_prob[token]) - f64::from(row.old_log_prob[token]);
            let d = d.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND);
            let negative = row.advantage[token] < 0.0;
            let leaves = d > log_c && (negative || self.participation == Participation::Code);
            if leaves {
                tally.left_out += 1;
            } else {
                future += d;
            }
            let mut w = future.exp().clamp(low, high);
            tally.upper += usize::from(w == high);
            tally.lower += usize::from(w == low);
            if negative && d > log_safe {
                w = w.clamp(0.8, 1.0);
                tally.safe += 1;
            }
            dual += usize::from(negative && w > 0.0 && d > log_c);
            out[token] = w as f32;
        }
        tally.dropped = self.sequence_drop && dual > 1;
        tally
    }
}

/// Responses with a trained token.
fn credited_rows(signals: &Signals<'_>, credit: &Credit) -> usize {
    Normaliser::of(signals.offsets, &credit.mask).sequences
}

impl TokenWeight for Fipo {
    fn check(&self) -> Result<(), Error> {
        require(
            self.decay_rate > 0.0,
            "fipo.decay_rate",
            self.decay_rate,
            "it must exceed 0",
        )?;
        require(
            (0.0..=1.0).contains(&self.clip_ratio),
            "fipo.clip_ratio",
            self.clip_ratio,
            "it must lie between 0 and 1",
        )?;
        for (field, value) in [
            ("fipo.safety_thresh", self.safety_thresh),
            ("fipo.clip_ratio_c", self.dual_clip()),
        ] {
            require(value >= 1.0, field, value, "it must be at least 1")?;
        }
        Ok(())
    }

    fn stage(&self) -> Stage {
        Stage::Update
    }

    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults {
            clip_ratio_c: Some(self.dual_clip()),
            ..LossDefaults::default()
        }
    }

    fn share_dual_clip(&mut self, clip_ratio_c: f64) -> Result<(), Error> {
        match self.clip_ratio_c.filter(|&own| own != clip_ratio_c) {
            None => self.clip_ratio_c = Some(clip_ratio_c),
            Some(own) => {
                return Err(Error::Differ {
                    first: "loss.policy_loss.clip_ratio_c",
                    first_value: clip_ratio_c,
                    second: "token_weight.fipo.clip_ratio_c",
                    second_value: own,
                });
            }
        }
        Ok(())
    }

    fn requires(&self, run: &RunShape) -> Result<(), String> {
        if run.updates > 1 {
            return Ok(());
        }
        Err(
            "token_weight \"fipo\" does nothing with one update per rollout batch: it weighs tokens by \
             how far the policy has moved since the rollout\n  help: lower rl.ppo_mini_batch_size below \
             rl.train_batch_size, or raise rl.ppo_epochs"
                .to_owned(),
        )
    }

    fn idle_option(&self) -> Option<IdleOption> {
        let idle = self.unclipped && self.clip_ratio != Self::default().clip_ratio;
        idle.then_some(IdleOption {
            option: "clip_ratio",
            because: "unclipped is true",
        })
    }

    fn needs(&self, _: &mut Needs) {}

    fn weigh(&self, signals: &Signals<'_>, credit: &Credit) -> Result<Weighed, Error> {
        signals.check_log_probs()?;
        signals.per_token("credit.advantage", credit.advantage.len())?;
        signals.per_token("credit.mask", credit.mask.len())?;
        let mut weight = vec![1.0f32; credit.mask.len()];
        let mut rows = Vec::with_capacity(signals.offsets.rows());
        let mut rest = weight.as_mut_slice();
        for (row, range) in signals.offsets.iter().enumerate() {
            let (out, later) = rest.split_at_mut(range.len());
            rest = later;
            // No old policy sampled an expert's row: it has no ratio.
            if !signals.expert(row) {
                rows.push((row, range, out));
            }
        }
        let tallies: Vec<(usize, Tally)> = rows
            .into_par_iter()
            .map(|(index, range, out)| {
                let row = Row {
                    log_prob: &signals.log_prob[range.clone()],
                    old_log_prob: &signals.old_log_prob[range.clone()],
                    advantage: &credit.advantage[range.clone()],
                    mask: &credit.mask[range],
                };
                (index, self.row(&row, out))
            })
            .collect();
        let mut mask = None;
        let mut sum = Tally::default();
        let mut dropped = 0usize;
        for (row, tally) in &tallies {
            sum.upper += tally.upper;
            sum.lower += tally.lower;
            sum.safe += tally.safe;
            sum.left_out += tally.left_out;
            if tally.dropped {
                dropped += 1;
                let mask = mask.get_or_insert_with(|| credit.mask.clone());
                mask[signals.offsets.row(*row)].fill(false);
            }
        }
        let mut stats = spread(&keys!("fipo"), &weight, &credit.mask);
        // Rows that are experts' count, with weight 1: shares of the parts of a batch have one divisor.
        let trained = credit.mask.iter().filter(|&&trained| trained).count();
        if trained > 0 {
            let share = |n: usize| n as f64 / trained as f64;
            stats.extend([
                ("credit/fipo/upper_ratio", share(sum.upper)),
                ("credit/fipo/lower_ratio", share(sum.lower)),
                ("credit/fipo/safety_ratio", share(sum.safe)),
                ("credit/fipo/left_out_ratio", share(sum.left_out)),
                (
                    "credit/fipo/dropped_sequences",
                    dropped as f64 / credited_rows(signals, credit) as f64,
                ),
            ]);
        }
        Ok(Weighed {
            weight,
            mask,
            stats,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(fipo: &Fipo, d: &[f32], advantage: f32) -> (Vec<f32>, bool) {
        let mut out = vec![0.0; d.len()];
        let row = Row {
            log_prob: d,
            old_log_prob: &vec![0.0; d.len()],
            advantage: &vec![advantage; d.len()],
            mask: &vec![true; d.len()],
        };
        let tally = fipo.row(&row, &mut out);
        (out, tally.dropped)
    }

    #[test]
    fn the_papers_toy_vector() {
        let d = [0.1, 0.2, -0.3];
        let both = Fipo {
            decay_rate: 1.0,
            clip_high_only: false,
            ..Fipo::default()
        };
        let close = |found: Vec<f32>, expected: [f32; 3]| {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 5e-5, "{found:?}");
            }
        };
        close(weights(&both, &d, 1.0).0, [1.1331, 1.0513, 0.8]);
        let high = Fipo {
            clip_high_only: true,
            ..both
        };
        close(weights(&high, &d, 1.0).0, [1.1331, 1.0513, 1.0]);
    }

    #[test]
    fn a_response_with_two_tokens_on_the_dual_clip_leaves() {
        let fipo = Fipo::default();
        assert!(weights(&fipo, &[3.0, 0.0, 3.0], -1.0).1);
        assert!(!weights(&fipo, &[3.0, 0.0, 0.0], -1.0).1);
        assert!(!weights(&fipo, &[3.0, 0.0, 3.0], 1.0).1);
        let kept = Fipo {
            sequence_drop: false,
            ..fipo
        };
        assert!(!weights(&kept, &[3.0, 0.0, 3.0], -1.0).1);
    }
}
