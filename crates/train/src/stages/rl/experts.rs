//! Expert trajectories inside groups: who may enter, and where.
//!
//! What stands in a row's `expert` column, a text or a list of several, are candidates; a filter of the algorithm
//! ([`ExpertFilter`]) chooses among them. One that enters takes the place of the last sampled response, so that the
//! group keeps its size and a batch without experts is the batch of the base method. Grounding and likelihood are
//! measured with the policy that sampled the group.

use std::time::Instant;

use percept_credit::{ExpertCandidate, ExpertFilter};
use percept_data::Sample;
use percept_model::Prompt;
use percept_reward::Reward;
use percept_sampler::{FinishReason, Rollout};

use crate::Error;
use crate::batch::pack::PackItem;
use crate::batch::score::Scores;
use crate::policy::Policy;
use crate::policy::values::Weights;
use crate::stages::rl::group::{Group, first_score};
use crate::stages::rl::judge::{Response, ToJudge, judge};
use crate::stages::rl::setup::Setup;

/// What looking for experts gave and cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entered {
    /// Trajectories that were looked at.
    pub(crate) candidates: usize,
    /// Those that entered a group.
    pub(crate) entered: usize,
    /// Tokens through the forward passes that looked at them.
    pub(crate) tokens: usize,
    /// Seconds of all that.
    pub(crate) seconds: f64,
}

impl Entered {
    /// Adds those of another generation batch.
    pub(crate) fn add(&mut self, other: &Self) {
        self.candidates += other.candidates;
        self.entered += other.entered;
        self.tokens += other.tokens;
        self.seconds += other.seconds;
    }
}

/// An expert's answer to the prompt of a group, in the policy's tokens.
struct Trajectory {
    group: usize,
    text: String,
    tokens: Vec<u32>,
    reward: Reward,
}

/// Puts the experts that the filter lets through into `groups`. `version` is that of the policy's weights.
///
/// # Errors
/// [`Error::Model`] for a trajectory that is no answer to its prompt.
pub(crate) fn enter(
    setup: &Setup<'_>,
    policy: &impl Policy,
    version: u64,
    groups: &mut [Group],
) -> Result<Entered, Error> {
    let Some((_, filter)) = setup.algorithm().expert_filter() else {
        return Ok(Entered::default());
    };
    let clock = Instant::now();
    let candidates = candidates(setup, groups)?;
    let items: Vec<PackItem<'_>> = candidates
        .iter()
        .map(|c| PackItem {
            prompt: &groups[c.group].prompt,
            responses: vec![&c.tokens],
        })
        .collect();
    let seen = setup.score(policy, &items, Weights::Current, None)?;
    let blind = unseen(setup, policy, groups, &candidates)?;
    let chosen = choose(filter, groups, &candidates, &seen, &blind);
    let mut found = Entered {
        candidates: candidates.len(),
        entered: chosen.len(),
        tokens: seen.tokens + blind.tokens,
        seconds: 0.0,
    };
    for (index, candidate) in candidates.into_iter().enumerate() {
        if chosen.contains(&index) {
            let log_probs = seen.values.log_prob[seen.offsets.row(index)].to_vec();
            replace(setup, version, groups, candidate, log_probs);
        }
    }
    found.seconds = clock.elapsed().as_secs_f64();
    Ok(found)
}

/// The expert trajectories of a row.
pub(crate) fn experts_of(sample: &Sample) -> impl Iterator<Item = &String> {
    sample.expert.iter().chain(&sample.more_experts)
}

/// Experts of the groups' rows that are readable and not too long, judged like any response.
fn candidates(setup: &Setup<'_>, groups: &[Group]) -> Result<Vec<Trajectory>, Error> {
    let longest = setup.recipe.rollout.max_completion_length;
    let mut texts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for text in experts_of(&group.sample) {
            let sample = Sample {
                expert: Some(text.clone()),
                ..group.sample.clone()
            };
            let training = setup.processor.sft(&sample)?;
            let tokens = training.prompt.tokens[group.prompt.tokens.len()..].to_vec();
            if !tokens.is_empty() && tokens.len() <= longest {
                texts.push((index, text.clone(), tokens));
            }
        }
    }
    let to_judge = texts.iter().map(|(index, text, tokens)| ToJudge {
        sample: &groups[*index].sample,
        prompt: &groups[*index].prompt,
        responses: vec![Response {
            text,
            tokens,
            finished: true,
        }],
    });
    let rewards = judge(setup.rewards, &to_judge.collect::<Vec<_>>());
    let found = texts.into_iter().zip(rewards.into_iter().flatten());
    Ok(found
        .map(|((group, text, tokens), reward)| Trajectory {
            group,
            text,
            tokens,
            reward,
        })
        .collect())
}

/// Log-probabilities of the candidates without the image; as with it where there is none.
fn unseen(
    setup: &Setup<'_>,
    policy: &impl Policy,
    groups: &[Group],
    candidates: &[Trajectory],
) -> Result<Scores, Error> {
    let ablation = setup.algorithm().image_ablation;
    let prompts = candidates
        .iter()
        .map(|c| {
            let group = &groups[c.group];
            let prompt = group.without_image(setup.processor, ablation)?;
            Ok(prompt.unwrap_or_else(|| group.prompt.as_ref().clone()))
        })
        .collect::<Result<Vec<Prompt>, Error>>()?;
    let items: Vec<PackItem<'_>> = candidates
        .iter()
        .zip(&prompts)
        .map(|(c, prompt)| PackItem {
            prompt,
            responses: vec![&c.tokens],
        })
        .collect();
    setup.score(policy, &items, Weights::Current, None)
}

/// Indices of the candidates that enter.
fn choose(
    filter: &dyn ExpertFilter,
    groups: &[Group],
    candidates: &[Trajectory],
    seen: &Scores,
    blind: &Scores,
) -> Vec<usize> {
    let mut pool = Vec::with_capacity(candidates.len());
    for (candidate, range) in candidates.iter().zip(seen.offsets.iter()) {
        let count = range.len() as f64;
        let with = &seen.values.log_prob[range.clone()];
        let without = &blind.values.log_prob[range];
        let difference = with
            .iter()
            .zip(without)
            .map(|(a, b)| f64::from((a - b).abs()));
        pool.push(ExpertCandidate {
            prompt: candidate.group,
            right: right(filter, &candidate.reward),
            grounding: difference.sum::<f64>() / count,
            nll: -with.iter().map(|&x| f64::from(x)).sum::<f64>() / count,
            tokens: candidate.tokens.len(),
        });
    }
    let accuracy: Vec<f64> = groups.iter().map(Group::accuracy).collect();
    filter.choose(&pool, &accuracy).concat()
}

/// Whether the first reward function calls it right, and all others could grade it.
fn right(filter: &dyn ExpertFilter, reward: &Reward) -> bool {
    let score = reward.total.and(first_score(reward));
    score.is_some_and(|score| filter.is_right(score))
}

fn replace(
    setup: &Setup<'_>,
    weight_version: u64,
    groups: &mut [Group],
    expert: Trajectory,
    log_probs: Vec<f32>,
) {
    let score = setup.shaped(expert.tokens.len(), &expert.reward);
    let group = &mut groups[expert.group];
    let sampled = group.rollouts.len() - group.experts;
    let Some(place) = sampled.checked_sub(1) else {
        return;
    };
    group.rollouts.remove(place);
    group.rewards.remove(place);
    group.scores.remove(place);
    group.rollouts.push(Rollout {
        prompt: expert.group,
        sample: place,
        tokens: expert.tokens,
        log_probs,
        text: expert.text,
        finish_reason: FinishReason::Stop,
        weight_version,
    });
    group.rewards.push(expert.reward);
    group.scores.push(score);
    group.experts += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use percept_credit::TgrlFilter;
    use percept_reward::Verdict;

    fn graded(score: f64) -> Reward {
        Reward {
            total: Some(score),
            parts: vec![("iou".to_owned(), Verdict::Score(score))],
        }
    }

    // C9: an expert's boxes overlap the true ones, but never exactly.
    #[test]
    fn a_graded_score_does_not_keep_experts_out() {
        let filter = TgrlFilter::default();
        assert!(right(&filter, &graded(0.83)) && right(&filter, &graded(1.0)));
        assert!(!right(&filter, &graded(0.2)));
        let strict = TgrlFilter {
            min_score: 1.0,
            ..filter
        };
        assert!(!right(&strict, &graded(0.83)));
        let ungraded = Reward {
            total: None,
            ..graded(1.0)
        };
        assert!(!right(&strict, &ungraded));
    }
}
