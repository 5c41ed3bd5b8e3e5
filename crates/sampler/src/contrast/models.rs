//! The logits of two models for the next token.

use super::extrapolate::{Draft, Extrapolate};
use super::gate::Gate;
use crate::sampling::Scratch;

/// StepLogits of logits of both models for one position.
pub(crate) struct Contrast<'a> {
    tuned: &'a [f32],
    base: &'a [f32],
    log_z_tuned: f64,
    log_z_base: f64,
}

impl<'a> Contrast<'a> {
    /// Checkpoints of one family fill their vocabularies up to different widths; no tokenizer
    /// knows those ids, so both rows end where the narrower one does.
    pub(crate) fn new(tuned: &'a [f32], base: &'a [f32]) -> Self {
        let width = tuned.len().min(base.len());
        let (tuned, base) = (&tuned[..width], &base[..width]);
        Self {
            tuned,
            base,
            log_z_tuned: log_sum_exp(tuned),
            log_z_base: log_sum_exp(base),
        }
    }

    pub(super) fn row(&self, which: Draft) -> (&'a [f32], f64) {
        match which {
            Draft::Tuned => (self.tuned, self.log_z_tuned),
            Draft::Base => (self.base, self.log_z_base),
        }
    }

    pub(crate) fn log_prob(&self, which: Draft, token: u32) -> f64 {
        let (row, log_z) = self.row(which);
        f64::from(row[token as usize]) - log_z
    }

    /// `Δ = log π_tuned − log π_base` of a token.
    pub(crate) fn delta(&self, token: u32) -> f64 {
        self.log_prob(Draft::Tuned, token) - self.log_prob(Draft::Base, token)
    }

    pub(crate) fn entropy(&self, which: Draft) -> f64 {
        let (row, log_z) = self.row(which);
        let terms = row.iter().map(|&l| {
            let log_p = f64::from(l) - log_z;
            -weighted(log_p, log_p)
        });
        terms.sum()
    }

    /// KL(tuned ‖ base).
    pub(crate) fn kl(&self) -> f64 {
        let terms = self.tuned.iter().zip(self.base).map(|(&t, &b)| {
            let log_p = f64::from(t) - self.log_z_tuned;
            weighted(log_p, log_p - (f64::from(b) - self.log_z_base))
        });
        terms.sum::<f64>().max(0.0)
    }

    /// Logits of `π_extra`; minus infinity where a token is no candidate.
    pub(super) fn mix(&self, extra: &Extrapolate, scratch: &mut Scratch) {
        let gamma = extra.gamma;
        let pairs = self.tuned.iter().zip(self.base);
        scratch.mixed.clear();
        scratch
            .mixed
            .extend(pairs.map(|(&t, &b)| (1.0 + gamma) * t - gamma * b));
        let (drafting, _) = self.row(extra.draft);
        if extra.candidates == 0 || extra.candidates >= drafting.len() {
            return;
        }
        scratch.order.clear();
        scratch.order.extend_from_slice(drafting);
        let (_, &mut last, _) = scratch
            .order
            .select_nth_unstable_by(extra.candidates - 1, |a, b| b.total_cmp(a));
        for (mixed, &drafting) in scratch.mixed.iter_mut().zip(drafting) {
            if drafting < last {
                *mixed = f32::NEG_INFINITY;
            }
        }
    }

    /// Whether a gate fires: `token` is the drafted one (any for gates that do not look at it), `u` a uniform number.
    pub(super) fn fires(&self, gate: Gate, draft: Draft, token: u32, u: f64) -> bool {
        match gate {
            Gate::Always => true,
            Gate::LogProb(tau) => self.delta(token) <= tau,
            Gate::Raised(tau) => self.delta(token) >= tau,
            Gate::Abs(least) => self.delta(token).abs() >= least,
            Gate::Entropy(least) => self.entropy(draft) >= least,
            Gate::Kl(least) => self.kl() >= least,
            Gate::Random(p) => u < p,
        }
    }
}

/// `p · value`, 0 where p is 0.
fn weighted(log_p: f64, value: f64) -> f64 {
    let p = f64::from((log_p as f32).exp());
    if p > 0.0 { p * value } else { 0.0 }
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&l| f64::from((l - max).exp())).sum();
    f64::from(max) + sum.ln()
}
