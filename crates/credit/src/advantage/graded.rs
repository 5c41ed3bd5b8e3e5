//! The graded part of a batch: what every estimator starts from.

use std::collections::BTreeMap;

use crate::{Error, Signals, Stats};

/// A checked batch with its ungraded rows masked out.
#[derive(Clone, Debug)]
pub struct Graded<'a> {
    /// The batch as it came.
    pub signals: &'a Signals<'a>,
    /// `[tokens]` the caller's mask without the tokens of ungraded rows.
    pub mask: Vec<bool>,
    /// Graded rows of each group, ascending; groups by ascending number. Groups without a graded row
    /// are not there.
    pub groups: Vec<Vec<usize>>,
}

impl<'a> Graded<'a> {
    pub(crate) fn new(signals: &'a Signals<'a>) -> Result<Self, Error> {
        signals.check_rows()?;
        let mut mask = signals.mask.to_vec();
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for (row, range) in signals.offsets.iter().enumerate() {
            match signals.rewards[row] {
                Some(_) => groups.entry(signals.group[row]).or_default().push(row),
                None => mask[range].fill(false),
            }
        }
        Ok(Self {
            signals,
            mask,
            groups: groups.into_values().collect(),
        })
    }

    /// Rewards of graded rows, in the order of `rows`.
    pub fn rewards(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter()
            .filter_map(|&row| self.signals.rewards[row])
            .collect()
    }

    /// The row-level rule of GRPO and its relatives: `rule` maps the rewards of a group of at least
    /// two to one advantage each; `[rows]`, 0 for those without. A group of one has no
    /// baseline: its advantage is 0, as in TRL (verl would use the bare reward).
    pub(crate) fn by_group(&self, rule: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut advantage = vec![0.0; self.signals.offsets.rows()];
        for rows in self.groups.iter().filter(|rows| rows.len() > 1) {
            for (&row, value) in rows.iter().zip(rule(&self.rewards(rows))) {
                advantage[row] = value;
            }
        }
        advantage
    }

    pub(crate) fn reward_stats(&self) -> Stats {
        let all: Vec<f64> = self
            .signals
            .rewards
            .iter()
            .filter_map(|&reward| reward)
            .collect();
        let mut stats = Stats::from([(
            "reward/ungraded",
            (self.signals.rewards.len() - all.len()) as f64,
        )]);
        if all.is_empty() {
            return stats;
        }
        let flat = self.groups.iter().filter(|rows| {
            let rewards = self.rewards(rows);
            rewards.iter().all(|reward| *reward == rewards[0])
        });
        let moments = Moments::of(&all);
        stats.extend([
            ("reward/mean", moments.mean),
            ("reward/std", moments.std),
            (
                "reward/frac_zero_std",
                flat.count() as f64 / self.groups.len() as f64,
            ),
        ]);
        stats
    }
}

/// Mean and sample standard deviation (`n − 1`; 0 for a single value).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moments {
    pub mean: f64,
    pub std: f64,
}

impl Moments {
    /// Sums are taken relative to the first value, so that equal values have exactly their own value
    /// as mean and exactly zero deviation.
    pub(crate) fn of(values: &[f64]) -> Self {
        let Some(&first) = values.first() else {
            return Self {
                mean: 0.0,
                std: 0.0,
            };
        };
        let count = values.len() as f64;
        let mean = first + values.iter().map(|value| value - first).sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let std = if values.len() > 1 {
            (squares / (count - 1.0)).sqrt()
        } else {
            0.0
        };
        Self { mean, std }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_no_deviation_at_all() {
        let moments = Moments::of(&[0.1; 7]);
        assert_eq!(
            moments,
            Moments {
                mean: 0.1,
                std: 0.0
            }
        );
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let moments = Moments::of(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!((moments.std - 0.353_553_390_593_273_8).abs() < 1e-15);
    }
}
