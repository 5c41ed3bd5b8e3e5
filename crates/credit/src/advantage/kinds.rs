//! The list of advantage estimators.

use super::spread::spread_out;
use super::{
    DrGrpo, Durian, Estimate, Estimator, Graded, Grpo, ReinforcePlusPlus,
    ReinforcePlusPlusBaseline, Rloo, Tgrl,
};
use crate::{Credit, Error, Signals, registry::methods};

methods! {
    /// Advantage estimator and its options: `{ name = "grpo", … }`.
    AdvantageConfig dispatches to Estimator:
    "grpo" => Grpo,
    "dr_grpo" => DrGrpo,
    "rloo" => Rloo,
    "reinforce_plus_plus" => ReinforcePlusPlus,
    "reinforce_plus_plus_baseline" => ReinforcePlusPlusBaseline,
    "durian" => Durian,
    "tgrl" => Tgrl,
}

impl Default for AdvantageConfig {
    fn default() -> Self {
        Self::Grpo(Grpo::default())
    }
}

impl AdvantageConfig {
    /// Refuses options outside their range; [`AdvantageConfig::credit`] does so too.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }

    /// Whether it compares the responses to one prompt.
    pub fn grouped(&self) -> bool {
        self.method().grouped()
    }

    /// Assigns credit to every token of a rollout batch. Call it on whole groups: statistics are
    /// taken over the rows of `signals`. Only Durian reads more of them than rewards, groups and mask.
    ///
    /// `stats`: `reward/mean`, `reward/std` (sample), `reward/ungraded` (rows),
    /// `reward/frac_zero_std` (share of groups without contrast), `advantage/mean`,
    /// `advantage/min`, `advantage/max` (over trained tokens), and the method's own.
    pub fn credit(&self, signals: &Signals<'_>) -> Result<Credit, Error> {
        self.check()?;
        let batch = Graded::new(signals)?;
        let Estimate {
            advantage,
            stats: own,
        } = self.method().estimate(&batch)?;
        let (advantage, spread) = spread_out(&advantage, &batch);
        let mut stats = batch.reward_stats();
        stats.extend(spread.stats());
        stats.extend(own);
        Ok(Credit {
            weight: vec![1.0; advantage.len()],
            advantage,
            mask: batch.mask,
            stats,
        })
    }
}
