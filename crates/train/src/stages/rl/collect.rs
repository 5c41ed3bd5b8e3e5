//! How a batch of groups is collected: the next prompts, their rollouts, their rewards, and which groups stay.

use std::sync::Arc;
use std::time::Instant;

use percept_data::Sample;
use percept_model::Prompt;
use percept_sampler::{FinishReason, LocalSampler, Progress, Rollout, Sampler};

use crate::Error;
use crate::batch::order::{RowOrder, Stream};
use crate::batch::refused::{Refusal, Refused};
use crate::batch::together::Bundles;
use crate::policy::{LocalModel, Policy};
use crate::run::seen::Seen;
use crate::run::stage::Step;
use crate::stages::rl::experts::{self, Entered};
use crate::stages::rl::filter::keeps;
use crate::stages::rl::group::Group;
use crate::stages::rl::judge::{Response, ToJudge, judge};
use crate::stages::rl::sampled::Responses;
use crate::stages::rl::setup::Setup;

/// A batch of groups and what it took to collect it.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// The groups that are trained on.
    pub(crate) groups: Vec<Group>,
    /// Generation batches.
    pub(crate) gen_batches: usize,
    /// Groups sampled, dropped ones included.
    pub(crate) sampled_groups: usize,
    /// Mean accuracy etc. are reported over all that was sampled, not over what survived.
    pub(crate) all_scores: Vec<Option<f64>>,
    /// Rewards and lengths of all that was sampled, before experts entered.
    pub(crate) sampled: Responses,
    /// Rows that gave no prompt (too long, unreadable).
    pub(crate) skipped_rows: usize,
    /// What the reward functions' own code said besides verdicts.
    pub(crate) messages: Vec<String>,
    /// Seconds of sampling.
    pub(crate) gen_seconds: f64,
    /// Seconds of verification.
    pub(crate) reward_seconds: f64,
    /// Tokens sampled.
    pub(crate) tokens: usize,
    /// What the sampler did, of all generation batches.
    pub(crate) engine: Progress,
    /// The experts that were looked at, and those that entered.
    pub(crate) experts: Entered,
}

/// Samples and judges `train_batch_size` prompts; with dynamic sampling, again until enough
/// groups have a difference to learn from.
///
/// # Errors
/// [`Error::NoRows`] when no row gives a prompt, and those of sampling.
pub(crate) fn collect<P: Policy + LocalModel>(
    setup: &Setup<'_>,
    step: &mut Step<'_, '_, P>,
) -> Result<Collected, Error> {
    let wanted = setup.config.train_batch_size;
    let filter = setup.algorithm().group_filter();
    let mut found = Collected::default();
    let version = step.updates.weight_version();
    let sampler = LocalSampler::new(step.policy.model(), setup.processor, version)?
        .with_engine(setup.recipe.rollout.engine());
    let trainer = &setup.recipe.trainer;
    let shuffle = setup.recipe.data.shuffle;
    let drawn = setup.bundles.map_or(setup.data.len(), Bundles::len);
    let mut order = RowOrder::new(drawn, trainer.seed, shuffle);
    loop {
        let rows = next_prompts(setup, &mut order, &mut step.position, &mut step.seen)?;
        found.skipped_rows += rows.skipped;
        let place = (step.done as u64) << 20 | found.gen_batches as u64;
        let rollouts = sample(setup, &sampler, &rows.prompts, place, &mut found)?;
        let mut groups = judged(setup, rows.prompts, rollouts, &mut found, &mut step.seen);
        found.sampled_groups += groups.len();
        let scores = groups.iter().flat_map(|g| g.scores.iter().copied());
        found.all_scores.extend(scores);
        groups.iter().for_each(|group| found.sampled.add(group));
        found.gen_batches += 1;
        let entered = experts::enter(setup, &*step.policy, version, &mut groups)?;
        found.experts.add(&entered);
        step.seen.informative |= groups.iter().any(|group| !group.flat());
        for group in groups {
            let stays = match &filter {
                None => true,
                Some((_, filter)) => keeps(*filter, &group)?,
            };
            if stays {
                found.groups.push(group);
            }
        }
        found.groups.truncate(wanted);
        let most = filter.map_or(1, |(_, filter)| filter.max_num_gen_batches().max(1));
        if found.groups.len() >= wanted || found.gen_batches >= most {
            return Ok(found);
        }
    }
}

/// Rows that give a prompt.
struct Prompts {
    prompts: Vec<(Sample, Arc<Prompt>)>,
    /// How many on the way did not.
    skipped: usize,
}

/// The next rows of the order that give a prompt; of rows that are drawn together all or none. Rows that do not are
/// counted; `percept data check` names them before training.
fn next_prompts(
    setup: &Setup<'_>,
    order: &mut RowOrder,
    position: &mut u64,
    seen: &mut Seen,
) -> Result<Prompts, Error> {
    let (wanted, len) = (setup.config.train_batch_size, setup.data.len());
    let drawn = setup.bundles.map_or(len, Bundles::len) as u64;
    let mut prompts = Vec::with_capacity(wanted);
    let mut refused = Refused::default();
    while prompts.len() < wanted {
        let place = order.row(*position);
        let alone = [place];
        let rows = setup.bundles.map_or(&alone[..], |all| all.rows(place));
        if prompts.len() + rows.len() > wanted {
            break; // bundles of several sizes: the next one opens the next step
        }
        *position += 1;
        let (mut read, mut failed) = (Vec::with_capacity(rows.len()), Vec::new());
        for &row in rows {
            match read_prompt(setup, row) {
                Ok(pair) => read.push((row, pair)),
                Err(reason) => failed.push((row, reason)),
            }
        }
        if failed.is_empty() {
            prompts.extend(read.into_iter().map(|(_, pair)| pair));
            continue;
        }
        let partners = read.into_iter().map(|(row, (sample, _))| {
            let reason = "a row that is judged together with it was refused".to_owned();
            (row, Refusal::new(&sample.id, reason))
        });
        for (row, reason) in failed.into_iter().chain(partners) {
            let first = *position <= drawn;
            refused.add(row, reason, first, &mut seen.skipped);
        }
        refused.check("rl", len)?;
    }
    Ok(Prompts {
        prompts,
        skipped: refused.count,
    })
}

fn read_prompt(setup: &Setup<'_>, row: usize) -> Result<(Sample, Arc<Prompt>), Refusal> {
    let limit = setup.recipe.data.max_prompt_length;
    let of = |error: Error, place: &str| Refusal::of(&error, place);
    let sample = setup.data.get(row);
    let sample = sample.map_err(|e| of(e.into(), &format!("row {}", row + 1)))?;
    let prompt = setup.processor.prompt(&sample);
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

/// Rollouts of each prompt; `place` is the batch's among all generation batches of the run.
fn sample(
    setup: &Setup<'_>,
    sampler: &dyn Sampler,
    rows: &[(Sample, Arc<Prompt>)],
    place: u64,
    found: &mut Collected,
) -> Result<Vec<Vec<Rollout>>, Error> {
    let seed = Stream::new(setup.recipe.trainer.seed, "rollout", place).next_u64();
    let params = setup.recipe.rollout.sampling(seed);
    let prompts: Vec<Arc<Prompt>> = rows.iter().map(|(_, prompt)| Arc::clone(prompt)).collect();
    let clock = Instant::now();
    let mut engine = Progress::default();
    let rollouts = sampler.generate(&prompts, &params, &mut |now| engine = now)?;
    found.engine.add(&engine);
    found.gen_seconds += clock.elapsed().as_secs_f64();
    found.tokens += rollouts.iter().map(|r| r.tokens.len()).sum::<usize>();
    let mut by_prompt: Vec<Vec<Rollout>> = rows.iter().map(|_| Vec::new()).collect();
    for rollout in rollouts {
        by_prompt[rollout.prompt].push(rollout);
    }
    Ok(by_prompt)
}

fn response(rollout: &Rollout) -> Response<'_> {
    Response {
        text: &rollout.text,
        tokens: &rollout.tokens,
        finished: rollout.finish_reason == FinishReason::Stop,
    }
}

/// Groups of the rollouts with their rewards.
fn judged(
    setup: &Setup<'_>,
    rows: Vec<(Sample, Arc<Prompt>)>,
    rollouts: Vec<Vec<Rollout>>,
    found: &mut Collected,
    seen: &mut Seen,
) -> Vec<Group> {
    let clock = Instant::now();
    let to_judge = rows.iter().zip(&rollouts);
    let to_judge = to_judge.map(|((sample, prompt), rollouts)| ToJudge {
        sample,
        prompt,
        responses: rollouts.iter().map(response).collect(),
    });
    let rewards = judge(setup.rewards, &to_judge.collect::<Vec<_>>());
    found.messages.extend(setup.rewards.messages());
    found.reward_seconds += clock.elapsed().as_secs_f64();
    let groups = rows.into_iter().zip(rollouts).zip(rewards);
    let groups = groups.map(|(((sample, prompt), rollouts), rewards)| {
        seen.judge(&rewards, &sample.id);
        let scores = rollouts.iter().zip(&rewards);
        let scores = scores.map(|(rollout, reward)| setup.shaped(rollout.tokens.len(), reward));
        Group {
            scores: scores.collect(),
            sample,
            prompt,
            rollouts,
            rewards,
            experts: 0,
        }
    });
    groups.collect()
}
