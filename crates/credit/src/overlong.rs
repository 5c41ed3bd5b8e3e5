//! Soft overlong punishment: a response that runs into the length limit loses reward gradually.
//!
//! With `L` the response length, `L_max` the limit (`max_completion_length`) and `B = buffer_len`:
//! `penalty = factor · clip((L_max − B − L) / B, −1, 0)`, added to the reward.
//! Source: DAPO, arXiv 2503.14476, eq. 13; verl `reward_kwargs.overlong_buffer_cfg` (`len`,
//! `penalty_factor`) and TRL `get_soft_overlong_punishment` agree for `L ≤ L_max`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Stats, error::require, signals::same_length};

/// Options of the soft overlong punishment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OverlongConfig {
    /// Length in tokens of the zone before `max_completion_length` in which the penalty grows from 0
    /// to `penalty_factor`. 0 (default, as verl's `enable = false`) switches it off; DAPO uses a fifth
    /// of the limit (4096 of 20480).
    pub buffer_len: usize,
    /// Penalty of a response that reaches the limit, in units of reward. Default 1.0 (DAPO).
    pub penalty_factor: f64,
}

impl Default for OverlongConfig {
    fn default() -> Self {
        Self {
            buffer_len: 0,
            penalty_factor: 1.0,
        }
    }
}

impl OverlongConfig {
    /// Checks the options against the length limit.
    pub fn check(&self, max_completion_length: usize) -> Result<(), Error> {
        require(
            self.buffer_len <= max_completion_length,
            "overlong.buffer_len",
            self.buffer_len as f64,
            "it must not exceed max_completion_length",
        )?;
        require(
            self.penalty_factor.is_finite() && self.penalty_factor >= 0.0,
            "overlong.penalty_factor",
            self.penalty_factor,
            "it must be a finite number of at least 0",
        )
    }

    /// What is added to the reward of a response of `length` tokens: between `−penalty_factor` and 0.
    pub fn penalty(&self, length: usize, max_completion_length: usize) -> f64 {
        if self.buffer_len == 0 {
            return 0.0;
        }
        let free = max_completion_length as f64 - self.buffer_len as f64;
        let depth = (free - length as f64) / self.buffer_len as f64;
        self.penalty_factor * depth.clamp(-1.0, 0.0)
    }

    /// Adds the penalty to every graded reward. `rewards` and `lengths` (tokens) are `[rows]`.
    /// Returns `reward/overlong_penalty` (mean over graded rows) and `reward/overlong_frac`.
    pub fn shape(
        &self,
        rewards: &mut [Option<f64>],
        lengths: &[usize],
        max_completion_length: usize,
    ) -> Result<Stats, Error> {
        self.check(max_completion_length)?;
        same_length("lengths", lengths.len(), rewards.len(), "rows")?;
        let (mut rows, mut sum, mut hit) = (0.0, 0.0, 0.0);
        for (reward, &length) in rewards.iter_mut().zip(lengths) {
            let Some(reward) = reward else { continue };
            let penalty = self.penalty(length, max_completion_length);
            *reward += penalty;
            rows += 1.0;
            sum += penalty;
            hit += f64::from(penalty < 0.0);
        }
        let rows = f64::max(rows, 1.0);
        Ok(Stats::from([
            ("reward/overlong_penalty", sum / rows),
            ("reward/overlong_frac", hit / rows),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAPO: OverlongConfig = OverlongConfig {
        buffer_len: 20,
        penalty_factor: 1.0,
    };

    #[test]
    fn the_penalty_grows_linearly_inside_the_buffer_and_stops_there() {
        let at = |length| DAPO.penalty(length, 100);
        assert_eq!(
            [at(0), at(80), at(90), at(100), at(140)],
            [0.0, 0.0, -0.5, -1.0, -1.0]
        );
    }

    #[test]
    fn no_buffer_means_no_penalty() {
        let mut rewards = [Some(1.0), None];
        let stats = OverlongConfig::default()
            .shape(&mut rewards, &[100, 100], 100)
            .unwrap();
        assert_eq!(rewards, [Some(1.0), None]);
        assert_eq!(stats["reward/overlong_frac"], 0.0);
    }

    #[test]
    fn an_ungraded_response_stays_ungraded_and_is_not_counted() {
        let mut rewards = [Some(1.0), None, Some(0.0)];
        let stats = DAPO.shape(&mut rewards, &[90, 100, 10], 100).unwrap();
        assert_eq!(rewards, [Some(0.5), None, Some(0.0)]);
        assert_eq!(stats["reward/overlong_frac"], 0.5);
        assert_eq!(stats["reward/overlong_penalty"], -0.25);
    }

    #[test]
    fn a_buffer_longer_than_the_limit_is_refused() {
        let error = DAPO.check(10).unwrap_err();
        assert!(error.to_string().contains("overlong.buffer_len"), "{error}");
    }
}
