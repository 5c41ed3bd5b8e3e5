//! Expert trajectories inside groups (TGRL's step C): who may enter, and where.
//!
//! What stands in a row's `expert` column, a text or a list of several, are candidates. One that enters
//! takes the place of the last sampled response, so that the group keeps its size and a batch without experts is the batch of the
//! base method. Grounding and likelihood are measured with the policy that sampled the group.

use std::time::Instant;

use percept_credit::{ExpertCandidate, TgrlFilter};
use percept_data::Sample;
use percept_model::Prompt;
use percept_reward::{Answer, Reward};
use percept_sampler::{FinishReason, Rollout};

use crate::batch::pack::PackItem;
use crate::rl::group::{Collected, Group, first_score};
use crate::rl::signals::{ablated, forward};
use crate::run::Run;
use crate::{Error, TokenValues};

/// An expert's answer to the prompt of a group, in the policy's tokens.
struct Trajectory {
    group: usize,
    text: String,
    tokens: Vec<u32>,
    reward: Reward,
}

/// Puts the experts that the filter lets through into `groups`.
pub(crate) fn enter(
    run: &Run<'_>,
    groups: &mut [Group],
    found: &mut Collected,
) -> Result<(), Error> {
    let Some(filter) = run.recipe.algorithm.tgrl() else {
        return Ok(());
    };
    let clock = Instant::now();
    let candidates = candidates(run, groups)?;
    let items: Vec<PackItem<'_>> = candidates
        .iter()
        .map(|c| PackItem {
            prompt: &groups[c.group].prompt,
            responses: vec![&c.tokens],
        })
        .collect();
    let (seen, tokens) = forward(run, &items, |learner, packed, vision, temperature| {
        learner.log_probs(packed, vision, temperature, None)
    })?;
    let (blind, more) = unseen(run, groups, &candidates)?;
    found.expert_tokens += tokens + more;
    let chosen = choose(filter, groups, &candidates, &seen, &blind);
    found.experts += chosen.len();
    found.expert_candidates += candidates.len();
    let mut at = 0;
    for (index, candidate) in candidates.into_iter().enumerate() {
        let range = at..at + candidate.tokens.len();
        at = range.end;
        if chosen.contains(&index) {
            let log_probs = seen.log_prob[range].to_vec();
            replace(run, groups, candidate, log_probs);
        }
    }
    found.expert_seconds += clock.elapsed().as_secs_f64();
    Ok(())
}

/// The expert trajectories of a row.
pub(crate) fn experts_of(sample: &Sample) -> impl Iterator<Item = &String> {
    sample.expert.iter().chain(&sample.more_experts)
}

/// Experts of the groups' rows that are readable and not too long, judged like any response.
fn candidates(run: &Run<'_>, groups: &[Group]) -> Result<Vec<Trajectory>, Error> {
    let longest = run.recipe.rollout.max_completion_length;
    let mut texts = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        for text in experts_of(&group.sample) {
            let sample = Sample {
                expert: Some(text.clone()),
                ..group.sample.clone()
            };
            let training = run.processor.sft(&sample)?;
            let tokens = training.prompt.tokens[group.prompt.tokens.len()..].to_vec();
            if !tokens.is_empty() && tokens.len() <= longest {
                texts.push((index, text.clone(), tokens));
            }
        }
    }
    let conversation = |index: &usize| groups[*index].sample.conversation();
    let conversations: Vec<_> = texts.iter().map(|(i, ..)| conversation(i)).collect();
    let answers: Vec<Answer<'_>> = texts
        .iter()
        .zip(&conversations)
        .map(|((index, text, tokens), conversation)| Answer {
            completion: text,
            ground_truth: groups[*index].sample.answer.as_deref(),
            alternatives: &groups[*index].sample.alternatives,
            prompt: &groups[*index].prompt.text,
            finished: true,
            n_tokens: tokens.len(),
            meta: &groups[*index].sample.meta,
            token_ids: tokens,
            messages: conversation.as_ref(),
        })
        .collect();
    let rewards = run.rewards.judge(&answers);
    drop(answers);
    let found = texts.into_iter().zip(rewards);
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
    run: &Run<'_>,
    groups: &[Group],
    candidates: &[Trajectory],
) -> Result<(TokenValues, usize), Error> {
    let prompts = candidates
        .iter()
        .map(|c| {
            let prompt = ablated(run, &groups[c.group])?;
            Ok(prompt.unwrap_or_else(|| groups[c.group].prompt.as_ref().clone()))
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
    forward(run, &items, |learner, packed, vision, temperature| {
        learner.log_probs(packed, vision, temperature, None)
    })
}

/// Indices of the candidates that enter.
fn choose(
    filter: &TgrlFilter,
    groups: &[Group],
    candidates: &[Trajectory],
    seen: &TokenValues,
    blind: &TokenValues,
) -> Vec<usize> {
    let mut at = 0;
    let mut pool = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let range = at..at + candidate.tokens.len();
        at = range.end;
        let count = range.len() as f64;
        let (with, without) = (&seen.log_prob[range.clone()], &blind.log_prob[range]);
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
    filter.select(&pool, &accuracy).concat()
}

/// Whether the first reward function calls it right, and all others could grade it.
fn right(filter: &TgrlFilter, reward: &Reward) -> bool {
    let score = reward.total.and(first_score(reward));
    score.is_some_and(|score| score >= filter.min_score)
}

fn replace(run: &Run<'_>, groups: &mut [Group], expert: Trajectory, log_probs: Vec<f32>) {
    let score = crate::rl::group::shaped(run, expert.tokens.len(), &expert.reward);
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
        weight_version: run.state.weight_version,
    });
    group.rewards.push(expert.reward);
    group.scores.push(score);
    group.experts += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
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
