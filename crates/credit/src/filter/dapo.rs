//! Dynamic sampling: a group whose rewards are all equal has zero advantage and teaches nothing.
//!
//! A group stays when the standard deviation of `metric` over its graded responses is positive, that is,
//! when two of them differ. Ungraded rows are not looked at. The metric is accuracy unless the recipe
//! says otherwise: with a sum that holds a length or a format reward, two wrong answers of different length
//! would count as informative, and all-right groups would be trained to be short.
//! Source: DAPO, arXiv 2503.14476 (dynamic sampling). verl (`algorithm.filter_groups`) also keeps groups of a
//! single row; here they are dropped, because without a second row there is no baseline.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, GroupFilter};
use crate::loss::{LossConfig, PolicyLossConfig};
use crate::{Error, error::require, signals::same_length};

/// Options of dynamic sampling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DapoFilter {
    /// What must differ within a group, by verl's names (`filter_groups.metric`): `acc`, the score of the
    /// first reward function, which is what an evaluation reports as accuracy; `score`, the weighted sum of
    /// all functions; `seq_reward` or `seq_final_reward`, that sum with the overlong penalty; or the name
    /// of a reward function. Default `acc`, as DAPO's scripts.
    pub metric: String,
    /// Generation batches per step at most; then the step goes on with what it has. Default 10, as
    /// verl.
    pub max_num_gen_batches: usize,
}

impl Default for DapoFilter {
    fn default() -> Self {
        Self {
            metric: "acc".to_owned(),
            max_num_gen_batches: 10,
        }
    }
}

impl Filter for DapoFilter {
    fn check(&self) -> Result<(), Error> {
        let most = self.max_num_gen_batches;
        require(
            most > 0,
            "filter.max_num_gen_batches",
            most as f64,
            "it must be at least 1",
        )
    }

    fn groups(&self) -> Option<&dyn GroupFilter> {
        Some(self)
    }

    /// Clip-higher: DAPO is dynamic sampling and an upper clip of 0.28.
    fn change_loss(&self, loss: &mut LossConfig) {
        if let PolicyLossConfig::Ppo(ppo) = &mut loss.policy_loss {
            ppo.clip_ratio_high = 0.28;
        }
    }
}

impl GroupFilter for DapoFilter {
    fn metric(&self) -> &str {
        &self.metric
    }

    fn max_num_gen_batches(&self) -> usize {
        self.max_num_gen_batches
    }

    fn keeps(&self, values: &[Option<f64>]) -> Result<bool, Error> {
        Ok(!informative_groups(values, &vec![0; values.len()])?.is_empty())
    }
}

/// The groups that stay, in ascending order. `rewards` and `group` are `[rows]`.
///
/// ```
/// let rewards = [Some(1.0), Some(0.0), Some(1.0), Some(1.0), Some(0.0), None];
/// let kept = percept_credit::informative_groups(&rewards, &[7, 7, 8, 8, 9, 9])?;
/// assert_eq!(kept, [7]);
/// # Ok::<(), percept_credit::Error>(())
/// ```
pub fn informative_groups(rewards: &[Option<f64>], group: &[usize]) -> Result<Vec<usize>, Error> {
    same_length("group", group.len(), rewards.len(), "rows")?;
    let mut range = BTreeMap::<usize, (f64, f64)>::new();
    for (row, (&reward, &group)) in rewards.iter().zip(group).enumerate() {
        let Some(value) = reward else { continue };
        if !value.is_finite() {
            return Err(Error::Reward { row, value });
        }
        let (low, high) = range.entry(group).or_insert((value, value));
        *low = low.min(value);
        *high = high.max(value);
    }
    Ok(range
        .into_iter()
        .filter(|(_, (low, high))| low < high)
        .map(|(group, _)| group)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_groups_with_two_different_grades_stay() {
        let rewards = [
            Some(0.0),
            Some(0.5),
            Some(1.0),
            Some(1.0),
            None,
            Some(1.0),
            None,
            None,
        ];
        let group = [3, 3, 1, 1, 1, 2, 0, 0];
        assert_eq!(informative_groups(&rewards, &group).unwrap(), [3]);
    }

    #[test]
    fn an_ungraded_row_never_decides() {
        let with = informative_groups(&[Some(1.0), None, Some(1.0)], &[0, 0, 0]).unwrap();
        assert!(with.is_empty());
    }
}
