//! Durian: a group's rewards measured against prompts that are as hard, not against themselves.
//!
//! Nearly uniform groups have a tiny deviation, which blows their advantages up. Durian keeps the
//! group's mean and takes the deviation from a bucket of prompts of similar difficulty:
//!
//! `A = a_o · A^G + a_p · A^P + a_r · A^R`, each `(R_i − mean_g) / (std + eps)` with
//!
//! * `A^G`: the group's own deviation (GRPO);
//! * `A^P`: that of all rewards in the prompt's bucket of *perceptual* difficulty: low, middle or high
//!   visual entropy of its image, cut at two quantiles of the batch;
//! * `A^R`: that of its bucket of *reasoning* difficulty: `reasoning_buckets` equal buckets by
//!   `mean_i Σ_t log π_old(o_i,t)`.
//!
//! Buckets are cut by rank, so that they stay balanced with ties. A bucket of one prompt, or without any
//! spread, gives way to the group's own deviation, as does a prompt without an image \[INFERRED\]. The
//! visual entropy is `−Σ p_k log p_k` over the normalised eigenvalues of the covariance of the image's
//! patch features. Sample deviations (`n − 1`).
//! Source: arXiv 2602.21743, §3. The paper states neither its weights nor its number of buckets: the
//! defaults are a row of its sweep and its plateau \[INFERRED\]. (1, 0, 0) is GRPO, bit for bit.
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area +0.3 points [−0.3, +0.8], five seeds), whose images
//! hardly differ in difficulty. It can help where a batch mixes easy and hard images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{
    Error, Needs, Stats,
    error::{require, require_eps},
};

/// Options of Durian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Durian {
    /// Share of the group's own deviation. Default 0.6 \[INFERRED\].
    pub a_o: f64,
    /// Share of the perceptual bucket. Default 0.2 \[INFERRED\].
    pub a_p: f64,
    /// Share of the reasoning bucket. Default 0.2 \[INFERRED\].
    pub a_r: f64,
    /// Reasoning buckets (the paper's b). Default 12 \[INFERRED: plateau at 12 to 16\].
    pub reasoning_buckets: usize,
    /// Quantile of visual entropy below which an image is easy. Default 0.25.
    pub perceptual_low: f64,
    /// Quantile above which it is hard. Default 0.75.
    pub perceptual_high: f64,
    /// Divide a response's log-probability by its length. Default false: Eq. 14 sums.
    pub length_normalized: bool,
    /// Added to the deviations. Default 1e-6.
    pub eps: f64,
}

impl Default for Durian {
    fn default() -> Self {
        Self {
            a_o: 0.6,
            a_p: 0.2,
            a_r: 0.2,
            reasoning_buckets: 12,
            perceptual_low: 0.25,
            perceptual_high: 0.75,
            length_normalized: false,
            eps: 1e-6,
        }
    }
}

impl Durian {
    /// Bucket of each group; none for one without an image.
    fn perceptual(&self, batch: &Graded<'_>) -> Result<Vec<Option<usize>>, Error> {
        let wanted = (self.a_p != 0.0).then_some("advantage.durian");
        let signals = batch.signals;
        if let Some(values) = signals.visual_entropy {
            signals.per_row("visual_entropy", values.len())?;
        }
        let Some(entropy) = signals.visual_entropy else {
            return match wanted {
                None => Ok(vec![None; batch.groups.len()]),
                Some(needed_by) => Err(Error::Missing {
                    field: "visual_entropy",
                    needed_by,
                }),
            };
        };
        let of_group = |rows: &Vec<usize>| {
            let known = rows.iter().map(|&row| entropy[row]).filter(|h| !h.is_nan());
            let values: Vec<f64> = known.collect();
            Moments::of(&values).mean + if values.is_empty() { f64::NAN } else { 0.0 }
        };
        let values: Vec<f64> = batch.groups.iter().map(of_group).collect();
        let seeing: Vec<usize> = (0..values.len()).filter(|&k| !values[k].is_nan()).collect();
        let mut buckets = vec![None; values.len()];
        let last = seeing.len().saturating_sub(1) as f64;
        for (&group, rank) in seeing.iter().zip(ranks(seeing.iter().map(|&k| values[k]))) {
            let rank = rank as f64;
            buckets[group] = Some(match rank {
                rank if rank <= self.perceptual_low * last => 0,
                rank if rank >= self.perceptual_high * last => 2,
                _ => 1,
            });
        }
        Ok(buckets)
    }

    fn reasoning(&self, batch: &Graded<'_>) -> Result<Vec<Option<usize>>, Error> {
        if self.a_r == 0.0 {
            return Ok(vec![None; batch.groups.len()]);
        }
        let signals = batch.signals;
        signals.per_token("old_log_prob", signals.old_log_prob.len())?;
        let confidence = |rows: &Vec<usize>| {
            let of_row = |&row: &usize| {
                let (mut sum, mut count) = (0.0, 0usize);
                for token in signals.offsets.row(row).filter(|&token| batch.mask[token]) {
                    sum += f64::from(signals.old_log_prob[token]);
                    count += 1;
                }
                match self.length_normalized {
                    true => sum / count.max(1) as f64,
                    false => sum,
                }
            };
            rows.iter().map(of_row).sum::<f64>() / rows.len() as f64
        };
        let count = batch.groups.len().max(1);
        let ranks = ranks(batch.groups.iter().map(confidence));
        Ok(ranks
            .into_iter()
            .map(|rank| Some(rank * self.reasoning_buckets / count))
            .collect())
    }
}

/// 0-based ranks; equal values by position.
fn ranks(values: impl Iterator<Item = f64>) -> Vec<usize> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0; values.len()];
    for (rank, &at) in order.iter().enumerate() {
        ranks[at] = rank;
    }
    ranks
}

/// Deviation that each group divides by, and for how many groups it is their own for want of a
/// better one.
fn shared(batch: &Graded<'_>, buckets: &[Option<usize>], own: &[f64]) -> (Vec<f64>, usize) {
    let count = buckets.iter().flatten().max().map_or(0, |last| last + 1);
    let mut rewards: Vec<(Vec<f64>, usize)> = vec![(Vec::new(), 0); count];
    for (rows, bucket) in batch.groups.iter().zip(buckets) {
        if let Some(bucket) = *bucket {
            rewards[bucket].0.extend(batch.rewards(rows));
            rewards[bucket].1 += 1;
        }
    }
    let of_bucket: Vec<f64> = rewards
        .iter()
        .map(|(rewards, prompts)| {
            if *prompts > 1 {
                Moments::of(rewards).std
            } else {
                0.0
            }
        })
        .collect();
    let mut missing = 0;
    let stds = buckets.iter().zip(own).map(|(bucket, &own)| {
        let std = bucket.map_or(0.0, |bucket| of_bucket[bucket]);
        missing += usize::from(std == 0.0);
        if std > 0.0 { std } else { own }
    });
    (stds.collect(), missing)
}

impl Estimator for Durian {
    fn check(&self) -> Result<(), Error> {
        for (field, value) in [
            ("advantage.a_o", self.a_o),
            ("advantage.a_p", self.a_p),
            ("advantage.a_r", self.a_r),
        ] {
            let ok = value.is_finite() && value >= 0.0;
            require(ok, field, value, "it must be at least 0")?;
        }
        let buckets = self.reasoning_buckets;
        require(
            buckets > 0,
            "advantage.reasoning_buckets",
            buckets as f64,
            "it must be at least 1",
        )?;
        let (low, high) = (self.perceptual_low, self.perceptual_high);
        require(
            (0.0..=1.0).contains(&low) && low <= high && high <= 1.0,
            "advantage.perceptual_low",
            low,
            "the quantiles must lie between 0 and 1, the lower one first",
        )?;
        require_eps(self.eps)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.visual_entropy |= self.a_p != 0.0;
        needs.old_log_prob |= self.a_r != 0.0;
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let own: Vec<f64> = batch
            .groups
            .iter()
            .map(|rows| Moments::of(&batch.rewards(rows)).std)
            .collect();
        let (perceptual, missing_p) = shared(batch, &self.perceptual(batch)?, &own);
        let (reasoning, missing_r) = shared(batch, &self.reasoning(batch)?, &own);
        let mut advantage = vec![0.0; batch.signals.offsets.rows()];
        for (group, rows) in batch
            .groups
            .iter()
            .enumerate()
            .filter(|(_, rows)| rows.len() > 1)
        {
            let rewards = batch.rewards(rows);
            let mean = Moments::of(&rewards).mean;
            let by = |std: f64| std + self.eps;
            for (&row, reward) in rows.iter().zip(rewards) {
                let centred = reward - mean;
                let mut value = 0.0;
                // A share of 0 adds nothing, so that (1, 0, 0) is GRPO to the bit.
                for (share, std) in [
                    (self.a_o, own[group]),
                    (self.a_p, perceptual[group]),
                    (self.a_r, reasoning[group]),
                ] {
                    if share != 0.0 {
                        value += share * (centred / by(std));
                    }
                }
                advantage[row] = value;
            }
        }
        let groups = batch.groups.len().max(1) as f64;
        let mut stats = Stats::new();
        if self.a_p != 0.0 {
            stats.insert(
                "credit/durian/perceptual_fallback_ratio",
                missing_p as f64 / groups,
            );
            stats.insert(
                "credit/durian/perceptual_std",
                Moments::of(&perceptual).mean,
            );
        }
        if self.a_r != 0.0 {
            stats.insert(
                "credit/durian/reasoning_fallback_ratio",
                missing_r as f64 / groups,
            );
            stats.insert("credit/durian/reasoning_std", Moments::of(&reasoning).mean);
        }
        stats.insert("credit/durian/group_std", Moments::of(&own).mean);
        Ok(Estimate {
            advantage: Advantage::Rows(advantage),
            stats,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_equal_values_follow_their_order() {
        assert_eq!(ranks([2.0, 1.0, 2.0].into_iter()), [1, 0, 2]);
    }
}
