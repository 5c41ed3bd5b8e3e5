//! TGRL's advantage: groups that hold expert trajectories beside the policy's own responses. The
//! paper's text is not public: all of this is \[INFERRED\].
//!
//! `A_i = (R_i − mean) / (std + eps)` for all rows of the group, with the statistics of
//!
//! * `all` (default): the mixed group, as GRPO, and as LUFFY's paper writes it;
//! * `on_policy`: the policy's own responses only; a deviation of 0 counts as 1 (the split variant in
//!   LUFFY's code).
//!
//! What a right expert among seven responses of the policy gets, by how many of those are right:
//!
//! | right | `all` | `all`, no deviation | `on_policy` | `on_policy`, no deviation |
//! |---|---|---|---|---|
//! | 0 | 2.47 | 0.88 | 1.00 | 1.00 |
//! | 1 | 1.62 | 0.75 | 2.27 | 0.86 |
//! | 2 | 1.21 | 0.63 | 1.46 | 0.71 |
//! | 3 | 0.94 | 0.50 | 1.07 | 0.57 |
//!
//! `on_policy` with the deviation helps least where the policy needs it most, and is no default for that
//! reason. How much of the gradient the experts carry is `actor/expert_grad_share`: after a short warm start on
//! digit-sum, with an expert in 59 % of the groups of eight, 6.1 to 6.6 % with `all` and 5.1 to 6.0 % with
//! `on_policy` (the shaped probability is small where the policy finds a token unlikely).
//!
//! Rows of the policy keep their surrogate, expert rows have one of their own
//! ([`crate::loss::ExpertLoss`]). A group without an expert is a group of GRPO, bit for bit.
//! Source: TGRL, arXiv 2603.26126 (abstract); LUFFY, arXiv 2504.14945, and its code.
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area −0.1 points [−0.8, +0.6], five seeds, with
//! `stats = "on_policy"`): experts enter 39 % of the groups, but the shaped probability hardly moves tokens that the policy finds nearly impossible.
//! It can help where the policy is sometimes near an expert's answer and whole groups fail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, Needs, RunShape, Stats, error::require_eps};

/// Options of TGRL's advantage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tgrl {
    /// Rows that mean and deviation are taken over. Default `all` \[INFERRED\].
    pub stats: GroupStats,
    /// Whether to divide by the deviation. Default true \[INFERRED\]; LUFFY's scripts do not.
    pub norm_adv_by_std: bool,
    /// Added to the deviation. Default 1e-6.
    pub eps: f64,
}

/// Rows that a group's statistics are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupStats {
    /// All.
    #[default]
    All,
    /// The policy's own.
    OnPolicy,
}

impl Default for Tgrl {
    fn default() -> Self {
        Self {
            stats: GroupStats::All,
            norm_adv_by_std: true,
            eps: 1e-6,
        }
    }
}

/// Of TGRL's advantage and of its weight: neither does anything to groups of the policy's own responses.
pub(crate) fn needs_experts(run: &RunShape) -> Result<(), String> {
    if run.experts {
        return Ok(());
    }
    Err(
        "advantage or token_weight \"tgrl\" does nothing without expert trajectories in the groups\n  \
         help: add \"tgrl\" to algorithm.filter"
            .to_owned(),
    )
}

impl Estimator for Tgrl {
    fn check(&self) -> Result<(), Error> {
        require_eps(self.eps)
    }

    fn needs(&self, needs: &mut Needs) {
        needs.experts = true;
    }

    fn requires(&self, run: &RunShape) -> Result<(), String> {
        needs_experts(run)
    }

    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error> {
        let signals = batch.signals;
        let mut advantage = vec![0.0; signals.offsets.rows()];
        let (mut experts, mut better) = (0usize, 0.0);
        for rows in batch.groups.iter().filter(|rows| rows.len() > 1) {
            let own: Vec<usize> = rows
                .iter()
                .copied()
                .filter(|&row| !signals.expert(row))
                .collect();
            let mixed = own.len() < rows.len();
            let basis = match self.stats {
                GroupStats::OnPolicy => &own,
                GroupStats::All => rows,
            };
            if basis.is_empty() {
                continue;
            }
            let group = Moments::of(&batch.rewards(basis));
            let scale = match self.norm_adv_by_std {
                false => 1.0,
                true if mixed && group.std == 0.0 && self.stats == GroupStats::OnPolicy => 1.0,
                true => group.std + self.eps,
            };
            for (&row, reward) in rows.iter().zip(batch.rewards(rows)) {
                let value = (reward - group.mean) / scale;
                advantage[row] = value;
                if signals.expert(row) {
                    experts += 1;
                    better += value;
                }
            }
        }
        let mut stats = Stats::from([("credit/tgrl/expert_rows", experts as f64)]);
        if experts > 0 {
            stats.insert("credit/tgrl/expert_advantage", better / experts as f64);
        }
        Ok(Estimate {
            advantage: Advantage::Rows(advantage),
            stats,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdvantageConfig, Offsets, Signals};

    /// Advantage of a right expert beside seven responses of the policy, of which `hits` are right.
    fn of_expert(tgrl: Tgrl, hits: usize) -> f64 {
        let offsets = Offsets::from_lengths([1; 8]);
        let reward = |row: usize| Some(f64::from(u8::from(row < hits || row == 7)));
        let rewards: Vec<Option<f64>> = (0..8).map(reward).collect();
        let is_expert: Vec<bool> = (0..8).map(|row| row == 7).collect();
        let signals = Signals {
            offsets: &offsets,
            group: &[0; 8],
            rewards: &rewards,
            mask: &[true; 8],
            is_expert: Some(&is_expert),
            ..Signals::default()
        };
        let credit = AdvantageConfig::Tgrl(tgrl).credit(&signals).unwrap();
        f64::from(credit.advantage[7])
    }

    // C8: the table of the module's documentation.
    #[test]
    fn an_expert_counts_most_where_the_policy_fails() {
        let variant = |stats, norm_adv_by_std| Tgrl {
            stats,
            norm_adv_by_std,
            eps: 1e-9,
        };
        for (tgrl, expected) in [
            (variant(GroupStats::All, true), [2.47, 1.62, 1.21, 0.94]),
            (variant(GroupStats::All, false), [0.88, 0.75, 0.63, 0.50]),
            (
                variant(GroupStats::OnPolicy, true),
                [1.00, 2.27, 1.46, 1.07],
            ),
            (
                variant(GroupStats::OnPolicy, false),
                [1.00, 0.86, 0.71, 0.57],
            ),
        ] {
            for (hits, expected) in expected.into_iter().enumerate() {
                let found = of_expert(tgrl.clone(), hits);
                assert!(
                    (found - expected).abs() < 0.0051,
                    "{tgrl:?} {hits}: {found}"
                );
            }
        }
        let by_default = [0, 1, 2, 3].map(|hits| of_expert(Tgrl::default(), hits));
        assert!(by_default.is_sorted_by(|a, b| a > b), "{by_default:?}");
    }
}
