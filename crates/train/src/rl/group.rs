//! Rollouts of one prompt with their rewards, and how a batch of such groups is collected.

use std::sync::Arc;
use std::time::Instant;

use percept_data::Sample;
use percept_model::Prompt;
use percept_reward::{Answer, Reward, Verdict};
use percept_sampler::{FinishReason, LocalSampler, Progress, Rollout, Sampler};

use crate::batch::order::{RowOrder, Stream};
use crate::batch::pack::PackItem;
use crate::batch::refused::{Refusal, Refused};
use crate::rl::dynamic_sampling::informative;
use crate::rl::experts;
use crate::rl::sampled::Responses;
use crate::run::Run;
use crate::run::watch::Seen;
use crate::{Error, RlConfig};

/// One prompt, its G rollouts, their rewards.
#[derive(Debug, Clone)]
pub struct Group {
    /// The row.
    pub sample: Sample,
    /// What the model saw.
    pub prompt: Arc<Prompt>,
    /// G responses.
    pub rollouts: Vec<Rollout>,
    /// What the verifiers said, one per response.
    pub rewards: Vec<Reward>,
    /// Totals after reward shaping; none where a verifier could not grade.
    pub scores: Vec<Option<f64>>,
    /// How many of them, the last ones, are an expert's.
    pub experts: usize,
}

/// A batch of groups and what it took to collect it.
#[derive(Debug, Default)]
pub struct Collected {
    /// The groups that are trained on.
    pub groups: Vec<Group>,
    /// Generation batches.
    pub gen_batches: usize,
    /// Groups sampled, dropped ones included.
    pub sampled_groups: usize,
    /// Mean accuracy etc. are reported over all that was sampled, not over what survived.
    pub all_scores: Vec<Option<f64>>,
    /// Rewards and lengths of all that was sampled, before experts entered.
    pub sampled: Responses,
    /// Rows that gave no prompt (too long, unreadable).
    pub skipped_rows: usize,
    /// What the reward functions' own code said besides verdicts.
    pub messages: Vec<String>,
    /// What a person may have to be told.
    pub(crate) seen: Seen,
    /// Seconds of sampling.
    pub gen_seconds: f64,
    /// Seconds of verification.
    pub reward_seconds: f64,
    /// Tokens sampled.
    pub tokens: usize,
    /// What the sampler did, of all generation batches.
    pub engine: Progress,
    /// Expert trajectories that were looked at, and those that entered a group.
    pub expert_candidates: usize,
    /// See `expert_candidates`.
    pub experts: usize,
    /// Tokens through the forward passes that looked at them.
    pub expert_tokens: usize,
    /// Seconds of looking at them.
    pub expert_seconds: f64,
}

/// Samples and judges `train_batch_size` prompts; with dynamic sampling, again until enough
/// groups have a difference to learn from.
pub(crate) fn collect(run: &mut Run<'_>, config: &RlConfig) -> Result<Collected, Error> {
    let dapo = run.recipe.algorithm.dapo().cloned();
    let mut found = Collected::default();
    let sampler = LocalSampler::new(
        run.learner.model(),
        &run.processor,
        run.state.weight_version,
    )?
    .with_engine(run.recipe.rollout.engine());
    let mut order = RowOrder::new(
        run.data.rl.len(),
        run.recipe.trainer.seed,
        run.recipe.data.shuffle,
    );
    let mut position = run.state.rl_position;
    loop {
        let rows = next_prompts(run, &mut order, &mut position, config, &mut found)?;
        let mut groups = sample_groups(run, &sampler, rows, &mut found)?;
        found.sampled_groups += groups.len();
        found
            .all_scores
            .extend(groups.iter().flat_map(|g| g.scores.iter().copied()));
        groups.iter().for_each(|group| found.sampled.add(group));
        found.gen_batches += 1;
        experts::enter(run, &mut groups, &mut found)?;
        found.seen.informative |= groups.iter().any(|group| !group.flat());
        for group in groups {
            let stays = match &dapo {
                None => true,
                Some(dapo) => informative(dapo, &group)?,
            };
            if stays {
                found.groups.push(group);
            }
        }
        found.groups.truncate(config.train_batch_size);
        let enough = found.groups.len() >= config.train_batch_size;
        let last = dapo
            .as_ref()
            .is_none_or(|dapo| found.gen_batches >= dapo.max_num_gen_batches.max(1));
        if enough || last {
            break;
        }
    }
    run.state.rl_position = position;
    Ok(found)
}

/// The next rows of the order that give a prompt. Rows that do not are counted; `percept data
/// check` names them before training.
fn next_prompts(
    run: &Run<'_>,
    order: &mut RowOrder,
    position: &mut u64,
    config: &RlConfig,
    found: &mut Collected,
) -> Result<Vec<(Sample, Arc<Prompt>)>, Error> {
    let limit = run.recipe.data.max_prompt_length;
    let mut rows = Vec::with_capacity(config.train_batch_size);
    let mut refused = Refused::default();
    while rows.len() < config.train_batch_size {
        let row = order.row(*position);
        *position += 1;
        match read_prompt(run, row, limit) {
            Ok(pair) => rows.push(pair),
            Err(reason) => {
                let first = *position <= run.data.rl.len() as u64;
                refused.add(row, reason, first, &mut found.seen.skipped);
                refused.check("rl", run.data.rl.len())?;
            }
        }
    }
    found.skipped_rows += refused.count;
    Ok(rows)
}

fn read_prompt(run: &Run<'_>, row: usize, limit: usize) -> Result<(Sample, Arc<Prompt>), Refusal> {
    let of = |error: Error, place: &str| Refusal::of(&error, place);
    let sample = run.data.rl.get(row);
    let sample = sample.map_err(|e| of(e.into(), &format!("row {}", row + 1)))?;
    let prompt = run.processor.prompt(&sample);
    let prompt = prompt.map_err(|e| of(e.into(), &sample.id))?;
    if prompt.tokens.len() > limit {
        let reason = format!(
            "prompt of {} tokens, more than data.max_prompt_length ({limit})",
            prompt.tokens.len()
        );
        return Err(Refusal::new(&sample.id, reason));
    }
    Ok((sample, Arc::new(prompt)))
}

fn sample_groups(
    run: &Run<'_>,
    sampler: &dyn Sampler,
    rows: Vec<(Sample, Arc<Prompt>)>,
    found: &mut Collected,
) -> Result<Vec<Group>, Error> {
    let batch = (run.state.rl_step as u64) << 20 | found.gen_batches as u64;
    let seed = Stream::new(run.recipe.trainer.seed, "rollout", batch).next_u64();
    let params = run.recipe.rollout.sampling(seed);
    let prompts: Vec<Arc<Prompt>> = rows.iter().map(|(_, prompt)| Arc::clone(prompt)).collect();
    let clock = Instant::now();
    let mut engine = Progress::default();
    let rollouts = sampler.generate(&prompts, &params, &mut |now| engine = now)?;
    found.engine.add(&engine);
    found.gen_seconds += clock.elapsed().as_secs_f64();
    found.tokens += rollouts.iter().map(|r| r.tokens.len()).sum::<usize>();

    let clock = Instant::now();
    let conversations: Vec<_> = rows.iter().map(|(row, _)| row.conversation()).collect();
    let answers: Vec<Answer<'_>> = rollouts
        .iter()
        .map(|r| {
            let (sample, prompt) = &rows[r.prompt];
            Answer {
                completion: &r.text,
                ground_truth: sample.answer.as_deref(),
                alternatives: &sample.alternatives,
                prompt: &prompt.text,
                finished: r.finish_reason == FinishReason::Stop,
                n_tokens: r.tokens.len(),
                meta: &sample.meta,
                token_ids: &r.tokens,
                messages: conversations[r.prompt].as_ref(),
            }
        })
        .collect();
    let rewards = run.rewards.judge(&answers);
    found.messages.extend(run.rewards.messages());
    found.reward_seconds += clock.elapsed().as_secs_f64();
    found
        .seen
        .judge(&rewards, |at| &rows[rollouts[at].prompt].0.id);
    let scores: Vec<Option<f64>> = rollouts
        .iter()
        .zip(&rewards)
        .map(|(rollout, reward)| shaped(run, rollout.tokens.len(), reward))
        .collect();

    let mut groups: Vec<Group> = rows
        .into_iter()
        .map(|(sample, prompt)| Group {
            sample,
            prompt,
            rollouts: Vec::new(),
            rewards: Vec::new(),
            scores: Vec::new(),
            experts: 0,
        })
        .collect();
    for ((rollout, reward), score) in rollouts.into_iter().zip(rewards).zip(scores) {
        let group = &mut groups[rollout.prompt];
        group.rollouts.push(rollout);
        group.rewards.push(reward);
        group.scores.push(score);
    }
    Ok(groups)
}

/// The reward with DAPO's soft length penalty.
pub(crate) fn shaped(run: &Run<'_>, length: usize, reward: &Reward) -> Option<f64> {
    let penalty = run
        .recipe
        .algorithm
        .overlong
        .as_ref()
        .map_or(0.0, |overlong| {
            overlong.penalty(length, run.recipe.rollout.max_completion_length)
        });
    reward.total.map(|total| total + penalty)
}

/// Score of the first reward function, which is the one that says right or wrong; none where it
/// could not grade.
pub(crate) fn first_score(reward: &Reward) -> Option<f64> {
    match reward.parts.first() {
        Some((_, Verdict::Score(score))) => Some(*score),
        _ => None,
    }
}

impl Group {
    /// The responses that the policy sampled.
    pub fn sampled(&self) -> &[Rollout] {
        &self.rollouts[..self.rollouts.len() - self.experts]
    }

    /// Whether each response is an expert's.
    pub fn is_expert(&self) -> impl Iterator<Item = bool> + use<> {
        let (sampled, all) = (self.sampled().len(), self.rollouts.len());
        (0..all).map(move |index| index >= sampled)
    }

    /// Mean score of the first reward function over the policy's own graded responses; 0 without
    /// one.
    pub fn accuracy(&self) -> f64 {
        let own = &self.rewards[..self.sampled().len()];
        let scores: Vec<f64> = own.iter().filter_map(first_score).collect();
        scores.iter().sum::<f64>() / scores.len().max(1) as f64
    }

    /// The prompt and its responses for a forward pass.
    pub fn item(&self) -> PackItem<'_> {
        PackItem {
            prompt: &self.prompt,
            responses: self.rollouts.iter().map(|r| r.tokens.as_slice()).collect(),
        }
    }

    /// Whether its graded rewards are all equal: it teaches nothing.
    pub fn flat(&self) -> bool {
        let mut graded = self.scores.iter().flatten();
        let first = graded.next();
        graded.all(|score| Some(score) == first)
    }
}
