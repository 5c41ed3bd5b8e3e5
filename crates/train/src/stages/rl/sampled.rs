//! What is reported of groups: once of all that were sampled, once of those that are trained on.

use std::collections::BTreeMap;

use percept_reward::Verdict;
use percept_sampler::FinishReason;

use crate::stages::rl::group::Group;

/// Rewards and lengths of the policy's own responses in some groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Responses {
    /// Groups.
    pub groups: usize,
    /// Groups whose graded rewards are all equal.
    pub flat: usize,
    /// Shaped rewards of graded responses.
    pub rewards: Vec<f64>,
    /// Scores of each reward function, where it could grade.
    pub parts: BTreeMap<String, Vec<f64>>,
    /// Tokens of each response.
    pub lengths: Vec<f64>,
    /// Responses that were cut at the length limit.
    pub cut: usize,
    /// Tokens of each prompt.
    pub prompt_lengths: Vec<f64>,
}

impl Responses {
    /// Those of `groups`.
    pub(crate) fn of<'a>(groups: impl IntoIterator<Item = &'a Group>) -> Self {
        let mut all = Self::default();
        groups.into_iter().for_each(|group| all.add(group));
        all
    }

    /// Adds a group.
    pub(crate) fn add(&mut self, group: &Group) {
        let own = group.sampled();
        self.groups += 1;
        self.flat += usize::from(group.flat());
        self.rewards
            .extend(group.scores[..own.len()].iter().flatten());
        for reward in &group.rewards[..own.len()] {
            for (name, verdict) in &reward.parts {
                if let Verdict::Score(score) = verdict {
                    self.parts.entry(name.clone()).or_default().push(*score);
                }
            }
        }
        self.lengths
            .extend(own.iter().map(|r| r.tokens.len() as f64));
        let cut = own
            .iter()
            .filter(|r| r.finish_reason == FinishReason::Length);
        self.cut += cut.count();
        self.prompt_lengths.push(group.prompt.tokens.len() as f64);
    }
}
