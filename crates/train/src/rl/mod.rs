//! One step of reinforcement learning with verifiable rewards, top to bottom:
//! groups → signals → credit → loss → weights.

pub(crate) mod dynamic_sampling;
mod experts;
mod group;
mod metrics;
mod records;
pub(crate) mod requirements;
mod sampled;
mod signals;
mod update_metrics;
mod visual_entropy;

use std::time::Instant;

use percept_credit::{Credit, Mismatch, Normaliser, Signals, policy_loss};

use crate::batch::order::Stream;
use crate::batch::pack::{PackItem, Packed, micro_batches, pack};
use crate::policy::local::{Objective, Update};
use crate::policy::schedule::learning_rate;
use crate::rl::group::{Collected, Group, collect};
use crate::rl::signals::Batch;
use crate::rl::update_metrics::{Pass, UpdateMetrics};
use crate::run::Run;
use crate::run::observer::{Event, Metrics};
use crate::{AlgorithmConfig, Error, OldLogProb, RlConfig, TokenValues};

/// One rollout batch and its updates.
pub(crate) fn step(run: &mut Run<'_>, config: &RlConfig) -> Result<Metrics, Error> {
    let clock = Instant::now();
    let mut found = collect(run, config)?;
    run.seen = std::mem::take(&mut found.seen);
    run.pass_on(std::mem::take(&mut found.messages));
    let mut batch = Batch::of(run, config, &found.groups)?;
    let algorithm = run.recipe.algorithm.credit();
    let credit = algorithm.credit(&batch.signals())?;
    let before = Instant::now();
    let updates = update(run, config, &found.groups, &mut batch, &credit)?;
    if let Some(mismatch) = &updates.mismatch {
        run.note_mismatch(mismatch.probs_diff_mean);
    }
    let update_seconds = before.elapsed().as_secs_f64();
    run.state.tokens += (found.tokens + updates.tokens) as u64;

    let times = metrics::Times {
        step: clock.elapsed().as_secs_f64(),
        update_actor: update_seconds,
    };
    note_nothing_learned(run, &found, &credit);
    store(run, &found, &batch, &credit)?;
    Ok(metrics::collect(
        run, &found, &batch, &credit, &updates, &times,
    ))
}

/// What the updates of one rollout batch did.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    /// Metrics of all mini-batches.
    pub metrics: UpdateMetrics,
    /// Mini-batches.
    pub count: usize,
    /// Updates that were skipped because they were not finite.
    pub skipped: usize,
    /// Gradient norms before clipping.
    pub grad_norms: Vec<f64>,
    /// Learning rate.
    pub lr: f64,
    /// Tokens through training forward passes.
    pub tokens: usize,
    /// Merged vision tokens that the tower computed for them.
    pub vision_tokens: usize,
    /// Sampler against trainer, when a forward pass before the first update shows it.
    pub mismatch: Option<Mismatch>,
}

/// Passes over the rollout batch in mini-batches of prompts.
fn update(
    run: &mut Run<'_>,
    config: &RlConfig,
    groups: &[Group],
    batch: &mut Batch,
    credit: &Credit,
) -> Result<Updates, Error> {
    let mut updates = Updates {
        lr: learning_rate(&config.optim, run.state.rl_step, config.steps),
        ..Updates::default()
    };
    if config.old_log_prob == OldLogProb::Recompute {
        let rows: Vec<usize> = (0..batch.is_expert.len()).collect();
        updates.mismatch = Some(batch.mismatch(&rows)?);
    }
    for epoch in 0..config.ppo_epochs {
        let index = (run.state.rl_step * config.ppo_epochs + epoch) as u64;
        let mut order: Vec<usize> = (0..groups.len()).collect();
        let mut stream = Stream::new(run.recipe.trainer.seed, "mini-batches", index);
        stream.shuffle(&mut order);
        for chosen in order.chunks(config.mini_batch_size()) {
            mini_batch(run, config, groups, chosen, batch, credit, &mut updates)?;
        }
    }
    Ok(updates)
}

fn mini_batch(
    run: &mut Run<'_>,
    config: &RlConfig,
    groups: &[Group],
    chosen: &[usize],
    batch: &mut Batch,
    credit: &Credit,
    updates: &mut Updates,
) -> Result<(), Error> {
    let all: Vec<usize> = chosen.iter().flat_map(|&g| batch.rows_of(g)).collect();
    let offsets = batch.offsets.select(&all);
    let total = Normaliser::of(&offsets, &batch.offsets.gather(&all, &credit.mask));
    let needed = rows_with_gradient(run, batch, credit, &all);
    updates.count += 1;
    let own = all.iter().filter(|&&row| !batch.is_expert[row]);
    let own = own.flat_map(|&row| batch.offsets.row(row));
    let own = own.filter(|&token| credit.mask[token]).count();
    updates.metrics.mini_batch(&total, own);
    if needed.is_empty() {
        return Ok(());
    }
    let items = items_of(groups, batch, &needed);
    // Before the first update of a step, the trainer's weights are the sampler's.
    let first_update = groups[chosen[0]].rollouts[0].weight_version == run.state.weight_version;
    let mode = run.recipe.algorithm.loss.agg_mode();
    let parts = micro_batches(&items, config.ppo_max_token_len);
    let passes = parts.iter().map(|part| pack(&part.items));
    let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
    run.learner.share_images(&passes);
    for (index, (part, packed)) in parts.iter().zip(&passes).enumerate() {
        let dropout = run.dropout_seed(updates.count, index);
        let temperature = run.recipe.rollout.temperature;
        let rows: Vec<usize> = part.rows.iter().map(|&row| needed[row]).collect();
        updates.tokens += packed.batch.tokens.len();
        let algorithm = &run.recipe.algorithm;
        let mut pass = Pass::default();
        let mut values = TokenValues::default();
        updates.vision_tokens +=
            run.learner
                .forward_backward(packed, temperature, dropout, &mut |now| {
                    let (objective, found) =
                        objective(algorithm, batch, credit, &rows, &total, now)?;
                    pass = found;
                    values.clone_from(now);
                    Ok(objective)
                })?;
        updates.metrics.pass(mode, &total, pass);
        if first_update {
            batch.remember(&rows, &values);
        }
    }
    if first_update && config.old_log_prob == OldLogProb::Rollout && updates.mismatch.is_none() {
        updates.mismatch = Some(batch.mismatch(&needed)?);
    }
    let step = run.learner.optim_step(&config.optim, updates.lr)?;
    run.count_update(&step)?;
    match step {
        Update::Done { grad_norm } => updates.grad_norms.push(grad_norm),
        Update::NotFinite => updates.skipped += 1,
    }
    Ok(())
}

/// Rows that the loss has a gradient for. Rows without one still count in the averages (the
/// `Normaliser`), so leaving them out of the forward pass changes no gradient.
fn rows_with_gradient(run: &Run<'_>, batch: &Batch, credit: &Credit, all: &[usize]) -> Vec<usize> {
    let loss = &run.recipe.algorithm.loss;
    let everywhere = loss.needs_reference() || loss.needs_entropy();
    all.iter()
        .copied()
        .filter(|&row| {
            batch
                .offsets
                .row(row)
                .any(|token| credit.mask[token] && (everywhere || credit.advantage[token] != 0.0))
        })
        .collect()
}

/// The rows as pack items; consecutive rows of a group share its prompt.
fn items_of<'a>(groups: &'a [Group], batch: &Batch, rows: &[usize]) -> Vec<PackItem<'a>> {
    let mut items: Vec<PackItem<'a>> = Vec::new();
    let mut last = None;
    for &row in rows {
        let group = batch.group[row];
        let response: &[u32] = &groups[group].rollouts[row - batch.rows_of(group).start].tokens;
        if last != Some(group) {
            items.push(PackItem {
                prompt: &groups[group].prompt,
                responses: Vec::new(),
            });
            last = Some(group);
        }
        if let Some(item) = items.last_mut() {
            item.responses.push(response);
        }
    }
    items
}

/// Loss of a micro-batch, its gradient with respect to log-probabilities and entropies, and what is
/// reported of it.
fn objective(
    algorithm: &AlgorithmConfig,
    batch: &Batch,
    credit: &Credit,
    rows: &[usize],
    total: &Normaliser,
    now: &crate::TokenValues,
) -> Result<(Objective, Pass), Error> {
    let offsets = batch.offsets.select(rows);
    let credit = credit.select(&batch.offsets, rows);
    let old = batch.offsets.gather(rows, &batch.old_log_prob);
    let rollout = batch.offsets.gather(rows, &batch.rollout_log_prob);
    let reference = batch
        .ref_log_prob
        .as_ref()
        .map(|r| batch.offsets.gather(rows, r));
    let is_expert: Vec<bool> = rows.iter().map(|&row| batch.is_expert[row]).collect();
    let signals = Signals {
        offsets: &offsets,
        mask: &credit.mask,
        log_prob: &now.log_prob,
        old_log_prob: &old,
        rollout_log_prob: Some(&rollout),
        ref_log_prob: reference.as_deref(),
        ref_kl: now.ref_kl.as_deref(),
        entropy: Some(&now.entropy),
        is_expert: Some(&is_expert),
        ..Signals::default()
    };
    let before = credit.mask.clone();
    // Weights that depend on the current policy.
    let reweighted = algorithm.credit().reweight(&signals, &credit)?;
    let credit = reweighted.as_ref().unwrap_or(&credit);
    let loss = policy_loss(&algorithm.loss, &signals, credit, total)?;
    let mut pass = Pass {
        metrics: loss.metrics,
        weights: reweighted.as_ref().map(|credit| {
            let weighed = Normaliser::of(&offsets, &before);
            (weighed, credit.stats.clone())
        }),
        ..Pass::default()
    };
    for (row, range) in offsets.iter().enumerate() {
        let expert = is_expert[row];
        for token in range.filter(|&token| credit.mask[token]) {
            pass.computed.all += 1;
            pass.computed.own += usize::from(!expert);
            let away = 1.0 - f64::from(now.log_prob[token]).exp();
            let gradient = f64::from(loss.d_log_prob[token]).abs() * away;
            pass.gradient[0] += gradient;
            pass.gradient[1] += if expert { gradient } else { 0.0 };
        }
    }
    let objective = Objective {
        loss: loss.loss,
        d_log_prob: loss.d_log_prob,
        d_entropy: algorithm.loss.needs_entropy().then_some(loss.d_entropy),
        d_kl: algorithm.loss.needs_ref_kl().then_some(loss.d_kl),
    };
    Ok((objective, pass))
}

/// Says that a step had no group to learn from; of many in a row the first, second, fourth, eighth, ….
fn note_nothing_learned(run: &mut Run<'_>, found: &Collected, credit: &Credit) {
    if credit.advantage.iter().any(|&advantage| advantage != 0.0) {
        run.steps_without_advantage = 0;
        return;
    }
    run.steps_without_advantage += 1;
    let (row, groups) = (run.steps_without_advantage, found.sampled_groups);
    if !row.is_power_of_two() {
        return;
    }
    let kept = match run.recipe.algorithm.dapo() {
        None => String::new(),
        Some(dapo) => format!(
            " (filter dapo, metric {:?}, {} generation batches)",
            dapo.metric, found.gen_batches
        ),
    };
    let again = match row {
        1 => String::new(),
        row => format!("; {row} such steps in a row"),
    };
    let step = run.state.rl_step + 1;
    run.observer.event(Event::Notice(format!(
        "rl step {step} learned nothing from rewards: none of {groups} sampled groups has two responses \
         that differ{kept}{again}"
    )));
}

fn store(
    run: &mut Run<'_>,
    found: &Collected,
    batch: &Batch,
    credit: &Credit,
) -> Result<(), Error> {
    let frequency = run.recipe.trainer.rollout_freq;
    if frequency == 0 || !run.state.rl_step.is_multiple_of(frequency) {
        return Ok(());
    }
    records::write(run, &found.groups, batch, credit)
}
