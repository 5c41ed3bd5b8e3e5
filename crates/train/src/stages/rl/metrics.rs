//! What one step of reinforcement learning reports, under verl's names.

use percept_credit::{Credit, LossAggMode};

use crate::run::observer::Metrics;
use crate::stages::rl::collect::Collected;
use crate::stages::rl::sampled::Responses;
use crate::stages::rl::setup::Setup;
use crate::stages::rl::signals::Batch;
use crate::stages::rl::update::Updates;

/// Seconds of the parts of a step.
pub(crate) struct Times {
    pub step: f64,
    pub update_actor: f64,
}

/// What the step's numbers are.
pub(crate) struct Versions {
    /// Steps of the run, this one included.
    pub global_step: usize,
    /// Version of the weights after the step.
    pub weights: u64,
}

/// Collects the metrics of a step.
pub(crate) fn collect(
    setup: &Setup<'_>,
    found: &Collected,
    batch: &Batch,
    credit: &Credit,
    updates: &Updates,
    times: &Times,
    versions: &Versions,
) -> Metrics {
    let mut out = Metrics::new();
    rewards(setup, found, &mut out);
    lengths(&found.sampled, "", &mut out);
    if !setup.algorithm().filter.is_empty() {
        survivors(found, &mut out);
    }
    actor(updates, setup.algorithm().loss.agg_mode(), &mut out);
    for (name, value) in &credit.stats {
        if name.starts_with("advantage/") {
            put(
                &mut out,
                &format!("critic/{}", name.replacen("advantage", "advantages", 1)),
                *value,
            );
        }
        if name.starts_with("credit/") {
            put(&mut out, name, *value);
        }
    }
    let experts = &found.experts;
    if let Some((name, _)) = setup
        .algorithm()
        .expert_filter()
        .filter(|_| experts.candidates > 0)
    {
        let share = experts.entered as f64 / found.sampled_groups as f64;
        put(&mut out, &format!("credit/{name}/expert_ratio"), share);
        put(&mut out, "timing_s/experts", experts.seconds);
    }
    if let Some(mismatch) = &updates.mismatch {
        put(
            &mut out,
            "training/rollout_probs_diff_mean",
            mismatch.probs_diff_mean,
        );
        put(
            &mut out,
            "training/rollout_probs_diff_max",
            mismatch.probs_diff_max,
        );
    }
    put(
        &mut out,
        "training/global_step",
        versions.global_step as f64,
    );
    put(&mut out, "training/weight_version", versions.weights as f64);
    put(
        &mut out,
        "training/trained_tokens",
        batch.offsets.tokens() as f64,
    );
    let engine = &found.engine;
    for (name, hits, queries) in [
        (
            "prefix",
            engine.prefix_cache_hits,
            engine.prefix_cache_queries,
        ),
        ("mm", engine.mm_cache_hits, engine.mm_cache_queries),
    ] {
        let rate = hits as f64 / queries.max(1) as f64;
        put(&mut out, &format!("rollout/{name}_cache_hit_rate"), rate);
    }
    for (name, value) in [
        ("num_preemptions", engine.num_preemptions),
        ("kv_cache_bytes", engine.kv_cache_bytes),
    ] {
        put(&mut out, &format!("rollout/{name}"), value as f64);
    }
    put(&mut out, "data/skipped_rows", found.skipped_rows as f64);
    put(&mut out, "timing_s/step", times.step);
    put(&mut out, "timing_s/gen", found.gen_seconds);
    put(&mut out, "timing_s/reward", found.reward_seconds);
    let cost = &batch.cost;
    for (name, seconds) in [
        ("old_log_prob", cost.old_log_prob),
        ("ref", cost.reference),
        ("no_image", cost.no_image),
        ("visual_entropy", cost.visual_entropy),
    ] {
        if seconds > 0.0 {
            put(&mut out, &format!("timing_s/{name}"), seconds);
        }
    }
    put(
        &mut out,
        "perf/signal_tokens",
        (cost.tokens + experts.tokens) as f64,
    );
    put(&mut out, "timing_s/update_actor", times.update_actor);
    let prompt_tokens: usize = found
        .groups
        .iter()
        .map(|g| g.prompt.tokens.len() * g.rollouts.len())
        .sum();
    let total = (found.tokens + prompt_tokens) as f64;
    put(&mut out, "perf/total_num_tokens", total);
    put(&mut out, "perf/throughput", total / times.step);
    put(
        &mut out,
        "perf/gen_tokens_per_s",
        found.tokens as f64 / found.gen_seconds,
    );
    out
}

fn put(out: &mut Metrics, name: &str, value: f64) {
    out.push((name.to_owned(), value));
}

/// Rewards of everything that was sampled, also what dynamic sampling dropped afterwards.
fn rewards(setup: &Setup<'_>, found: &Collected, out: &mut Metrics) {
    let graded: Vec<f64> = found.all_scores.iter().flatten().copied().collect();
    spread(out, "critic/rewards", &graded);
    let mean = mean(&graded);
    let variance =
        graded.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (graded.len().max(2) - 1) as f64;
    put(out, "critic/rewards/std", variance.sqrt());
    let all = found.all_scores.len().max(1) as f64;
    put(
        out,
        "reward/ungraded",
        (found.all_scores.len() - graded.len()) as f64 / all,
    );
    for name in setup.rewards.names() {
        let scores = found.sampled.parts.get(name).map_or(&[][..], Vec::as_slice);
        put(out, &format!("reward/{name}/mean"), self::mean(scores));
    }
    put(out, "reward/frac_zero_std", frac_zero_std(&found.sampled));
    put(out, "train/num_gen_batches", found.gen_batches as f64);
    put(out, "train/sampled_groups", found.sampled_groups as f64);
    put(out, "train/trained_groups", found.groups.len() as f64);
}

/// Share of groups whose rewards are all equal.
fn frac_zero_std(responses: &Responses) -> f64 {
    responses.flat as f64 / responses.groups.max(1) as f64
}

fn lengths(responses: &Responses, prefix: &str, out: &mut Metrics) {
    let lengths = &responses.lengths;
    spread(out, &format!("{prefix}response_length"), lengths);
    put(
        out,
        &format!("{prefix}response_length/clip_ratio"),
        responses.cut as f64 / lengths.len().max(1) as f64,
    );
    spread(
        out,
        &format!("{prefix}prompt_length"),
        &responses.prompt_lengths,
    );
}

/// The same of what the filters left, the policy's own responses: `train/…`.
fn survivors(found: &Collected, out: &mut Metrics) {
    let trained = Responses::of(&found.groups);
    spread(out, "train/rewards", &trained.rewards);
    for (name, scores) in &trained.parts {
        put(out, &format!("train/reward/{name}/mean"), mean(scores));
    }
    put(out, "train/reward/frac_zero_std", frac_zero_std(&trained));
    lengths(&trained, "train/", out);
}

fn actor(updates: &Updates, mode: LossAggMode, out: &mut Metrics) {
    for (name, value) in updates.metrics.means(mode) {
        put(out, name, value);
    }
    put(out, "actor/grad_norm", mean(&updates.grad_norms));
    put(out, "actor/lr", updates.lr);
    put(out, "actor/skipped_updates", updates.skipped as f64);
    put(out, "actor/forward_tokens", updates.tokens as f64);
    put(out, "perf/vision_tokens", updates.vision_tokens as f64);
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        f64::NAN
    } else {
        values.iter().sum::<f64>() / values.len() as f64
    }
}

fn spread(out: &mut Metrics, name: &str, values: &[f64]) {
    put(out, &format!("{name}/mean"), mean(values));
    put(
        out,
        &format!("{name}/max"),
        values.iter().copied().fold(f64::NAN, f64::max),
    );
    put(
        out,
        &format!("{name}/min"),
        values.iter().copied().fold(f64::NAN, f64::min),
    );
}
