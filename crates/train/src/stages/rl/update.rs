//! The updates of one rollout batch: mini-batches of prompts, each in as few forward passes as fit, the loss of each
//! pass, and the optimiser's step.

use percept_credit::{Credit, LossConfig, Mismatch, Normaliser, Signals, policy_loss};

use percept_kernels::train::KlDirection;

use crate::batch::order::{Stream, dropout_seed};
use crate::batch::pack::{PackItem, Packed, micro_batches, pack};
use crate::policy::Policy;
use crate::policy::schedule::learning_rate;
use crate::policy::values::{Objective, PassOptions, TokenValues, Update};
use crate::run::stage::Step;
use crate::stages::rl::group::Group;
use crate::stages::rl::setup::Setup;
use crate::stages::rl::signals::Batch;
use crate::stages::rl::update_metrics::{PassMetrics, UpdateMetrics};
use crate::{AlgorithmConfig, Error, OldLogProb};

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
///
/// # Errors
/// [`Error::NonFinite`] when too many updates in a row were not finite.
pub(crate) fn update<P: Policy>(
    setup: &Setup<'_>,
    step: &mut Step<'_, '_, P>,
    groups: &[Group],
    batch: &mut Batch,
    credit: &Credit,
) -> Result<Updates, Error> {
    let config = setup.config;
    let mut updates = Updates {
        lr: learning_rate(&config.optim, step.done, config.steps),
        ..Updates::default()
    };
    if config.old_log_prob == OldLogProb::Recompute {
        let rows: Vec<usize> = (0..batch.is_expert.len()).collect();
        updates.mismatch = Some(batch.mismatch(&rows)?);
    }
    for epoch in 0..config.ppo_epochs {
        let index = (step.done * config.ppo_epochs + epoch) as u64;
        let mut order: Vec<usize> = (0..groups.len()).collect();
        let mut stream = Stream::new(setup.recipe.trainer.seed, "mini-batches", index);
        stream.shuffle(&mut order);
        for chosen in order.chunks(config.mini_batch_size()) {
            mini_batch(setup, step, groups, chosen, batch, credit, &mut updates)?;
        }
    }
    Ok(updates)
}

/// One update on the prompts `chosen`.
fn mini_batch<P: Policy>(
    setup: &Setup<'_>,
    step: &mut Step<'_, '_, P>,
    groups: &[Group],
    chosen: &[usize],
    batch: &mut Batch,
    credit: &Credit,
    updates: &mut Updates,
) -> Result<(), Error> {
    let (config, algorithm) = (setup.config, setup.algorithm());
    let all: Vec<usize> = chosen.iter().flat_map(|&g| batch.rows_of(g)).collect();
    let offsets = batch.offsets.select(&all);
    let total = Normaliser::of(&offsets, &batch.offsets.gather(&all, &credit.mask));
    let needed = rows_with_gradient(&algorithm.loss, batch, credit, &all);
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
    let first_update =
        groups[chosen[0]].rollouts[0].weight_version == step.updates.weight_version();
    let parts = micro_batches(&items, config.ppo_max_token_len);
    let passes = parts.iter().map(|part| pack(&part.items));
    let passes = passes.collect::<Result<Vec<Packed>, Error>>()?;
    let options = PassOptions {
        temperature: setup.recipe.rollout.temperature,
        ref_kl: algorithm
            .loss
            .needs_ref_kl()
            .then_some(KlDirection::Reverse),
    };
    step.policy.plan_update(&passes, &options);
    for (index, (part, packed)) in parts.iter().zip(&passes).enumerate() {
        let (seed, place) = (setup.recipe.trainer.seed, step.updates.global_step());
        let dropout = dropout_seed(seed, place, updates.count, index);
        let rows: Vec<usize> = part.rows.iter().map(|&row| needed[row]).collect();
        updates.tokens += packed.batch.tokens.len();
        let pass = step.policy.forward(packed, &options, dropout)?;
        updates.vision_tokens += pass.vision_tokens;
        let (objective, found) = objective(algorithm, batch, credit, &rows, &total, &pass.values)?;
        step.policy.backward(pass.saved, &objective)?;
        updates
            .metrics
            .pass(algorithm.loss.agg_mode(), &total, found);
        if first_update {
            batch.remember(&rows, &pass.values);
        }
    }
    if first_update && config.old_log_prob == OldLogProb::Rollout && updates.mismatch.is_none() {
        updates.mismatch = Some(batch.mismatch(&needed)?);
    }
    let update = step.policy.optim_step(&config.optim, updates.lr)?;
    step.updates.count(&update, &mut step.seen)?;
    match update {
        Update::Done { grad_norm } => updates.grad_norms.push(grad_norm),
        Update::NotFinite => updates.skipped += 1,
    }
    Ok(())
}

/// Rows that the loss has a gradient for. Rows without one still count in the averages (the
/// `Normaliser`), so leaving them out of the forward pass changes no gradient.
fn rows_with_gradient(
    loss: &LossConfig,
    batch: &Batch,
    credit: &Credit,
    all: &[usize],
) -> Vec<usize> {
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
    now: &TokenValues,
) -> Result<(Objective, PassMetrics), Error> {
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
    let mut pass = PassMetrics {
        metrics: loss.metrics,
        weights: reweighted.as_ref().map(|credit| {
            let weighed = Normaliser::of(&offsets, &before);
            (weighed, credit.stats.clone())
        }),
        ..PassMetrics::default()
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
