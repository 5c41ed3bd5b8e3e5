//! Advantages: how much better a response was than could be expected of its prompt.
//!
//! One estimator, one file. To add one: write `name.rs` with a struct of options that implements
//! [`Estimator`], and add its line to the registry below.

mod dr_grpo;
mod durian;
mod graded;
mod grpo;
mod reinforce_plus_plus;
mod reinforce_plus_plus_baseline;
mod rloo;
mod tgrl;
mod whiten;

pub use dr_grpo::DrGrpo;
pub use durian::Durian;
pub use graded::Graded;
pub(crate) use graded::Moments;
pub use grpo::Grpo;
pub use reinforce_plus_plus::ReinforcePlusPlus;
pub use reinforce_plus_plus_baseline::ReinforcePlusPlusBaseline;
pub use rloo::Rloo;
pub use tgrl::{GroupStats, Tgrl};

use crate::{Credit, Error, Needs, Signals, Stats, registry::methods};

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

/// What an estimator returns.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// `[tokens]` advantage; entries of masked tokens are ignored.
    pub advantage: Vec<f64>,
    /// Statistics of the method's own, for the log.
    pub stats: Stats,
}

/// A rule that turns the graded rewards of a batch into advantages.
pub trait Estimator {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// Adds the signals that it reads besides rewards.
    fn needs(&self, _needs: &mut Needs) {}

    /// One advantage per token.
    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error>;
}

impl AdvantageConfig {
    /// Refuses options outside their range; [`AdvantageConfig::credit`] does so too.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
    }

    /// Assigns credit to every token of a rollout batch. Call it on whole groups: statistics are
    /// taken over the rows of `signals` (its log-probabilities are not read).
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
        let advantage: Vec<f32> = advantage
            .iter()
            .zip(&batch.mask)
            .map(|(&value, &trained)| if trained { value as f32 } else { 0.0 })
            .collect();
        let mut stats = batch.reward_stats();
        stats.extend(advantage_stats(&advantage, &batch.mask));
        stats.extend(own);
        Ok(Credit {
            weight: vec![1.0; advantage.len()],
            advantage,
            mask: batch.mask,
            stats,
        })
    }
}

fn advantage_stats(advantage: &[f32], mask: &[bool]) -> Stats {
    let (mut count, mut sum) = (0usize, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for (&value, _) in advantage.iter().zip(mask).filter(|(_, trained)| **trained) {
        let value = f64::from(value);
        count += 1;
        sum += value;
        min = min.min(value);
        max = max.max(value);
    }
    if count == 0 {
        return Stats::new();
    }
    Stats::from([
        ("advantage/mean", sum / count as f64),
        ("advantage/min", min),
        ("advantage/max", max),
    ])
}
