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

use rayon::prelude::*;

use crate::{Credit, Error, LossDefaults, Needs, Signals, Stats, registry::methods};

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

/// Advantages of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Advantage {
    /// `[rows]` one for all tokens of a response.
    Rows(Vec<f64>),
    /// `[tokens]`; entries of masked tokens are ignored.
    Tokens(Vec<f64>),
}

impl Default for Advantage {
    fn default() -> Self {
        Self::Rows(Vec::new())
    }
}

/// What an estimator returns.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// The advantage.
    pub advantage: Advantage,
    /// Statistics of the method's own, for the log.
    pub stats: Stats,
}

/// A rule that turns the graded rewards of a batch into advantages.
pub trait Estimator {
    /// Refuses options outside their range.
    fn check(&self) -> Result<(), Error>;

    /// Adds the signals that it reads besides rewards.
    fn needs(&self, _needs: &mut Needs) {}

    /// What its authors set in the loss.
    fn loss_defaults(&self) -> LossDefaults {
        LossDefaults::default()
    }

    /// One advantage per row or token.
    fn estimate(&self, batch: &Graded<'_>) -> Result<Estimate, Error>;
}

impl AdvantageConfig {
    /// Refuses options outside their range; [`AdvantageConfig::credit`] does so too.
    pub fn check(&self) -> Result<(), Error> {
        self.method().check()
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

/// Count, sum and range of the advantages of trained tokens.
#[derive(Clone, Copy)]
struct Spread {
    count: usize,
    sum: f64,
    min: f32,
    max: f32,
}

impl Spread {
    const NONE: Self = Self {
        count: 0,
        sum: 0.0,
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
    };

    fn with(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn stats(self) -> Stats {
        if self.count == 0 {
            return Stats::new();
        }
        Stats::from([
            ("advantage/mean", self.sum / self.count as f64),
            ("advantage/min", f64::from(self.min)),
            ("advantage/max", f64::from(self.max)),
        ])
    }
}

/// The advantage of every token, 0 where it is not trained; one pass over the tokens, row by row.
fn spread_out(advantage: &Advantage, batch: &Graded<'_>) -> (Vec<f32>, Spread) {
    let offsets = batch.signals.offsets;
    let mut out = vec![0.0f32; offsets.tokens()];
    let mut rest = out.as_mut_slice();
    let mut rows = Vec::with_capacity(offsets.rows());
    for (row, range) in offsets.iter().enumerate() {
        let (own, later) = rest.split_at_mut(range.len());
        rest = later;
        rows.push((row, range, own));
    }
    let of_row = |(row, range, out): (usize, std::ops::Range<usize>, &mut [f32])| {
        let mask = &batch.mask[range.clone()];
        let mut spread = Spread::NONE;
        let mut add = |value: f32| {
            spread.count += 1;
            spread.sum += f64::from(value);
            spread.min = spread.min.min(value);
            spread.max = spread.max.max(value);
        };
        match advantage {
            Advantage::Tokens(values) => {
                for ((out, &trained), &value) in out.iter_mut().zip(mask).zip(&values[range]) {
                    if trained {
                        *out = value as f32;
                        add(*out);
                    }
                }
            }
            Advantage::Rows(values) => {
                let value = values[row] as f32;
                let mut count = 0usize;
                for (out, &trained) in out.iter_mut().zip(mask) {
                    *out = if trained { value } else { 0.0 };
                    count += usize::from(trained);
                }
                if count > 0 {
                    add(value);
                    spread.count = count;
                    spread.sum *= count as f64;
                }
            }
        }
        spread
    };
    let spreads: Vec<Spread> = rows.into_par_iter().with_min_len(64).map(of_row).collect();
    (out, spreads.into_iter().fold(Spread::NONE, Spread::with))
}
