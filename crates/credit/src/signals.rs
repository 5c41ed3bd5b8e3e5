//! The two types on the line that this crate owns: [`Signals`] in, [`Credit`] out.

use std::collections::BTreeMap;

use crate::{Error, Offsets};

/// Named numbers that explain a step, keyed as they are logged (`actor/pg_clipfrac`).
pub type Stats = BTreeMap<&'static str, f64>;

/// Adds `from` to `into`, key by key. Metrics of the micro-batches of one mini-batch add up to the
/// mini-batch's (see [`crate::Normaliser`]).
pub fn add_stats(into: &mut Stats, from: &Stats) {
    for (&name, &value) in from {
        *into.entry(name).or_insert(0.0) += value;
    }
}

/// What is known about a batch of responses: ragged per-token slices (`[tokens]`, natural
/// logarithms) and per-row slices (`[rows]`), cut by `offsets`.
///
/// The token axis holds response tokens; a token that is not to be trained (a prompt token, a tool's
/// output) may be on it with `mask = false`, and its other entries are then never read.
/// End literals with `..Signals::default()`: later methods add optional fields.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a> {
    /// Where each row's tokens are.
    pub offsets: &'a Offsets,
    /// `[rows]` prompt that the row answers: rows with equal numbers form a group. Numbers need not
    /// be sorted or dense.
    pub group: &'a [usize],
    /// `[rows]` total reward; `None` when the verifier could not grade the response.
    pub rewards: &'a [Option<f64>],
    /// `[tokens]` whether the token is trained.
    pub mask: &'a [bool],
    /// `[tokens]` log-probability under the policy being trained (needed by the loss only).
    pub log_prob: &'a [f32],
    /// `[tokens]` log-probability under the policy before this step's first update, computed by the
    /// trainer (needed by the loss only; pass `log_prob` itself for a strictly on-policy update).
    pub old_log_prob: &'a [f32],
    /// `[tokens]` log-probability that the sampler reported, for `tis_imp_ratio_cap`.
    pub rollout_log_prob: Option<&'a [f32]>,
    /// `[tokens]` log-probability under the reference policy, for `use_kl_loss`.
    pub ref_log_prob: Option<&'a [f32]>,
    /// `[tokens]` `KL(π_θ ‖ π_ref)` of the next-token distributions, in nats, for `use_kl_loss` with
    /// `kl_loss_type = "full"`.
    pub ref_kl: Option<&'a [f32]>,
    /// `[tokens]` entropy of the policy's next-token distribution in nats, for `entropy_coeff` and
    /// the `actor/entropy` metric; under the policy before the update where credit reads it.
    pub entropy: Option<&'a [f32]>,
    /// `[tokens]` entropy of the nucleus of that distribution, renormalised, in nats (ToR).
    pub nucleus_entropy: Option<&'a [f32]>,
    /// `[tokens]` log-probability of the same token, under the policy before the update, with the
    /// image taken out of the prompt (ToR, TGRL). NaN on rows without an image.
    pub log_prob_no_image: Option<&'a [f32]>,
    /// `[rows]` visual entropy of the row's images (Durian). NaN where there is none.
    pub visual_entropy: Option<&'a [f64]>,
    /// `[rows]` whether the row is an expert's trajectory instead of a sample of the policy (TGRL).
    /// None: no row is.
    pub is_expert: Option<&'a [bool]>,
}

static NO_ROWS: Offsets = Offsets::empty();

impl Default for Signals<'_> {
    fn default() -> Self {
        Self {
            offsets: &NO_ROWS,
            group: &[],
            rewards: &[],
            mask: &[],
            log_prob: &[],
            old_log_prob: &[],
            rollout_log_prob: None,
            ref_log_prob: None,
            ref_kl: None,
            entropy: None,
            nucleus_entropy: None,
            log_prob_no_image: None,
            visual_entropy: None,
            is_expert: None,
        }
    }
}

impl<'a> Signals<'a> {
    /// Checks what an estimator reads: groups, rewards, mask.
    pub(crate) fn check_rows(&self) -> Result<(), Error> {
        self.per_row("group", self.group.len())?;
        self.per_row("rewards", self.rewards.len())?;
        self.per_token("mask", self.mask.len())?;
        if let Some(rows) = self.is_expert {
            self.per_row("is_expert", rows.len())?;
        }
        for (row, reward) in self.rewards.iter().enumerate() {
            if let Some(value) = reward.filter(|value| !value.is_finite()) {
                return Err(Error::Reward { row, value });
            }
        }
        Ok(())
    }

    /// Checks what a policy loss always reads.
    pub(crate) fn check_log_probs(&self) -> Result<(), Error> {
        self.per_token("log_prob", self.log_prob.len())?;
        self.per_token("old_log_prob", self.old_log_prob.len())
    }

    /// An optional per-token signal, absent unless `wanted`; an error when wanted and not there.
    pub(crate) fn wanted(
        &self,
        field: &'static str,
        signal: Option<&'a [f32]>,
        wanted: Option<&'static str>,
    ) -> Result<Option<&'a [f32]>, Error> {
        if let Some(values) = signal {
            self.per_token(field, values.len())?;
        }
        match (signal, wanted) {
            (_, None) => Ok(None),
            (Some(values), Some(_)) => Ok(Some(values)),
            (None, Some(needed_by)) => Err(Error::Missing { field, needed_by }),
        }
    }

    pub(crate) fn per_token(&self, field: &'static str, found: usize) -> Result<(), Error> {
        same_length(field, found, self.offsets.tokens(), "tokens")
    }

    /// Whether a row is an expert's trajectory.
    pub fn expert(&self, row: usize) -> bool {
        self.is_expert.is_some_and(|rows| rows[row])
    }

    pub(crate) fn per_row(&self, field: &'static str, found: usize) -> Result<(), Error> {
        same_length(field, found, self.offsets.rows(), "rows")
    }
}

pub(crate) fn same_length(
    field: &'static str,
    found: usize,
    expected: usize,
    axis: &'static str,
) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        field,
        found,
        expected,
        axis,
    })
}

/// How much each token is to be reinforced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credit {
    /// `[tokens]` advantage, times any token weight; 0 where `mask` is false.
    pub advantage: Vec<f32>,
    /// `[tokens]` product of the token weights that are in `advantage`; 1 where there is none. May be
    /// empty when made by hand: it is not read by the loss.
    pub weight: Vec<f32>,
    /// `[tokens]` whether the token takes part in the loss: the caller's mask without the rows that
    /// could not be graded.
    pub mask: Vec<bool>,
    /// Statistics of the whole batch, for the log.
    pub stats: Stats,
}

impl Credit {
    /// The credit of the batch that consists of `rows`, in that order (without `stats`, which
    /// describe the whole). Panics when a row does not exist.
    pub fn select(&self, offsets: &Offsets, rows: &[usize]) -> Self {
        Self {
            advantage: offsets.gather(rows, &self.advantage),
            weight: match self.weight.is_empty() {
                true => Vec::new(),
                false => offsets.gather(rows, &self.weight),
            },
            mask: offsets.gather(rows, &self.mask),
            stats: Stats::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_of_the_wrong_length_is_named() {
        let offsets = Offsets::from_lengths([2, 1]);
        let signals = Signals {
            offsets: &offsets,
            group: &[0, 0],
            rewards: &[Some(1.0), None],
            mask: &[true; 2],
            ..Signals::default()
        };
        let error = signals.check_rows().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`mask` has 2 entries, but the batch has 3 tokens"
        );
    }

    #[test]
    fn a_reward_that_is_not_a_number_is_refused_by_row() {
        let offsets = Offsets::from_lengths([1, 1]);
        let signals = Signals {
            offsets: &offsets,
            group: &[0, 0],
            rewards: &[Some(1.0), Some(f64::NAN)],
            mask: &[true; 2],
            ..Signals::default()
        };
        assert!(matches!(
            signals.check_rows(),
            Err(Error::Reward { row: 1, .. })
        ));
    }

    #[test]
    fn metrics_of_micro_batches_add() {
        let mut sum = Stats::from([("a", 1.0)]);
        add_stats(&mut sum, &Stats::from([("a", 2.0), ("b", 3.0)]));
        assert_eq!(sum, Stats::from([("a", 3.0), ("b", 3.0)]));
    }
}
