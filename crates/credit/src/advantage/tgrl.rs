//! TGRL's advantage: groups that hold expert trajectories beside the policy's own responses. The
//! paper's text is not public: all of this is \[INFERRED\].
//!
//! `A_i = (R_i − mean) / (std + eps)` for all rows of the group, with the statistics of
//!
//! * `on_policy`: the policy's own responses only; a deviation of 0 counts as 1 (LUFFY's split
//!   variant). Where all of them are wrong, the expert stands out by its full reward;
//! * `all`: the mixed group, as GRPO.
//!
//! Rows of the policy keep their surrogate, expert rows have one of their own
//! ([`crate::loss::ExpertLoss`]). A group without an expert is a group of GRPO, bit for bit.
//! Source: TGRL, arXiv 2603.26126 (abstract); LUFFY, arXiv 2504.14945, and its code.
//!
//! On digit-sum (docs/benchmarks.md) it is level with GRPO (area −0.1 points [−0.8, +0.6], five seeds): experts enter
//! 39 % of the groups, but the shaped probability hardly moves tokens that the policy finds nearly impossible.
//! It can help where the policy is sometimes near an expert's answer and whole groups fail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advantage, Estimate, Estimator, Graded, graded::Moments};
use crate::{Error, Needs, Stats, error::require};

/// Options of TGRL's advantage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tgrl {
    /// Rows that mean and deviation are taken over. Default `on_policy` \[INFERRED\].
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
    /// The policy's own.
    #[default]
    OnPolicy,
    /// All.
    All,
}

impl Default for Tgrl {
    fn default() -> Self {
        Self {
            stats: GroupStats::OnPolicy,
            norm_adv_by_std: true,
            eps: 1e-6,
        }
    }
}

impl Estimator for Tgrl {
    fn check(&self) -> Result<(), Error> {
        let ok = self.eps.is_finite() && self.eps > 0.0;
        require(
            ok,
            "advantage.eps",
            self.eps,
            "it must be a positive number",
        )
    }

    fn needs(&self, needs: &mut Needs) {
        needs.experts = true;
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
