"""An independent NumPy reading of percept's credit methods, and the checks against it.

Proves: durian, tgrl (advantage, token weight, expert loss, filter), tor, direction (every form), fipo
and sapo, as written in Rust (crate `credit`), compute what the papers' formulas say. This file was
written from the formulas alone, in float64 and in the plainest form (FIPO's sum over the future is a
double loop, not a recurrence), so that a misreading has to be made twice to go unseen.

  python tools/credit_reference.py                 writes crates/credit/tests/golden/methods.json, which
                                                   crates/credit/tests/methods.rs reads
  python tools/credit_reference.py --check 1000    1,000 random ragged batches through the Python wheel
                                                   (`pip install percept-rl`, python/README.md)

Batches are random and often degenerate: all rewards equal, one-token responses, a single sample, groups
of one, ungraded rows, nothing graded, masked tokens, no image, some rows without image, tied scores,
experts, ratios far beyond every clip. Where a formula leaves freedom (ties at ToR's threshold are
broken at random), the check is on counts: how many tokens, and none that scores below one left out.

Conventions that the formulas leave open are marked CONVENTION below.
Needs NumPy; float32 inputs, float64 arithmetic.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np

KEYS_PER_TOKEN = [
    "log_prob", "old_log_prob", "rollout_log_prob", "ref_log_prob", "entropy", "nucleus_entropy",
    "log_prob_no_image",
]


class Batch:
    """Ragged arrays; `reward` is NaN where the verifier could not grade."""

    def __init__(self, lengths, group, reward, mask, **signals):
        self.lengths = list(map(int, lengths))
        self.group = np.asarray(group, dtype=np.int64)
        self.reward = np.asarray(reward, dtype=np.float64)
        self.mask = np.asarray(mask, dtype=bool)
        ends = np.cumsum(self.lengths)
        self.rows = [range(end - length, end) for end, length in zip(ends, self.lengths)]
        self.is_expert = np.zeros(len(self.lengths), dtype=bool)
        self.visual_entropy = np.full(len(self.lengths), np.nan)
        for name, values in signals.items():
            setattr(self, name, np.asarray(values))

    @property
    def tokens(self):
        return sum(self.lengths)

    def graded(self):
        return [row for row in range(len(self.rows)) if not math.isnan(self.reward[row])]

    def groups(self, rows):
        """Rows by prompt, prompts by ascending number."""
        out = {}
        for row in rows:
            out.setdefault(int(self.group[row]), []).append(row)
        return [out[key] for key in sorted(out)]

    def trained(self, row):
        return [token for token in self.rows[row] if self.mask[token]]

    def credit_mask(self):
        """An ungraded row takes part in nothing."""
        mask = self.mask.copy()
        for row, tokens in enumerate(self.rows):
            if math.isnan(self.reward[row]):
                mask[list(tokens)] = False
        return mask


# Advantages ---------------------------------------------------------------------------------------

def sample_std(values):
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or np.all(values == values[0]):
        return 0.0
    return float(np.std(values, ddof=1))


def spread(batch, per_row):
    """One number per row to one per token."""
    advantage = np.zeros(batch.tokens)
    for row, value in per_row.items():
        advantage[list(batch.rows[row])] = value
    return np.where(batch.credit_mask(), advantage, 0.0)


def grpo(batch, eps=1e-6, norm_adv_by_std=True):
    per_row = {}
    for rows in batch.groups(batch.graded()):
        rewards = batch.reward[rows]
        scale = sample_std(rewards) + eps if norm_adv_by_std else 1.0
        for row in rows:
            per_row[row] = (batch.reward[row] - np.mean(rewards)) / scale if len(rows) > 1 else 0.0
            if np.all(rewards == rewards[0]):
                per_row[row] = 0.0
    return spread(batch, per_row)


def dr_grpo(batch):
    return grpo(batch, norm_adv_by_std=False)


def shares(ranks, count, low, high):
    """Perceptual buckets by percentile: low (at most the `low` quantile), middle, high."""
    return [0 if r <= low * (count - 1) else 2 if r >= high * (count - 1) else 1 for r in ranks]


def ranks_of(values):
    """0-based ranks; equal values by position (CONVENTION: only to keep buckets balanced)."""
    order = np.argsort(np.asarray(values), kind="stable")
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return ranks.tolist()


def durian(batch, a_o=0.6, a_p=0.2, a_r=0.2, reasoning_buckets=12, perceptual_low=0.25,
           perceptual_high=0.75, length_normalized=False, eps=1e-6):
    """A = a_o A^G + a_p A^P + a_r A^R; A^P, A^R divide by the sample deviation of a bucket of prompts.

    CONVENTION: A bucket of one prompt, or without spread, gives the group's own deviation.
    A prompt without an image has no perceptual bucket, and so its own deviation too.
    """
    groups = batch.groups(batch.graded())
    own = [sample_std(batch.reward[rows]) for rows in groups]

    def bucket_std(bucket_of):
        stds = []
        for index, bucket in enumerate(bucket_of):
            members = [k for k, other in enumerate(bucket_of) if other == bucket]
            std = 0.0
            if bucket is not None and len(members) > 1:
                std = sample_std(np.concatenate([batch.reward[groups[k]] for k in members]))
            stds.append(std if std > 0 else own[index])
        return stds

    # Perceptual difficulty: the visual entropy of the prompt's images.
    entropy = [float(np.nanmean(batch.visual_entropy[rows])) if np.any(~np.isnan(batch.visual_entropy[rows]))
               else math.nan for rows in groups]
    seeing = [k for k, h in enumerate(entropy) if not math.isnan(h)]
    perceptual = [None] * len(groups)
    buckets = shares(ranks_of([entropy[k] for k in seeing]), len(seeing), perceptual_low, perceptual_high)
    for k, bucket in zip(seeing, buckets):
        perceptual[k] = bucket

    # Reasoning difficulty: mean over rollouts of the response's log-probability.
    def log_likelihood(row):
        values = [float(batch.old_log_prob[t]) for t in batch.trained(row)]
        if not length_normalized:
            return math.fsum(values)
        return math.fsum(values) / max(len(values), 1)

    confidence = [float(np.mean([log_likelihood(row) for row in rows])) for rows in groups]
    count = len(groups)
    reasoning = [rank * reasoning_buckets // max(count, 1) for rank in ranks_of(confidence)]

    std_p, std_r = bucket_std(perceptual), bucket_std(reasoning)
    per_row = {}
    for k, rows in enumerate(groups):
        rewards = batch.reward[rows]
        for row in rows:
            centred = batch.reward[row] - np.mean(rewards)
            if len(rows) < 2 or np.all(rewards == rewards[0]):
                per_row[row] = 0.0
                continue
            per_row[row] = (a_o * centred / (own[k] + eps) + a_p * centred / (std_p[k] + eps)
                            + a_r * centred / (std_r[k] + eps))
    return spread(batch, per_row)


def tgrl_advantage(batch, stats="all", norm_adv_by_std=True, eps=1e-6):
    """A_i = (R_i - mean)/(std + eps), of the mixed group or of its on-policy rows only (std := 1 if 0)."""
    per_row = {}
    for rows in batch.groups(batch.graded()):
        basis = rows if stats == "all" else [row for row in rows if not batch.is_expert[row]]
        rewards = batch.reward[basis]
        for row in rows:
            if len(rows) < 2 or len(basis) == 0:
                per_row[row] = 0.0
                continue
            flat = np.all(rewards == rewards[0])
            mean, std = (float(rewards[0]) if flat else np.mean(rewards)), sample_std(rewards)
            if not norm_adv_by_std:
                scale = 1.0
            elif stats == "on_policy" and std == 0.0:
                scale = 1.0
            else:
                scale = std + eps
            per_row[row] = (batch.reward[row] - mean) / scale
    return spread(batch, per_row)


def rloo(batch):
    """R_i minus the mean of the others."""
    per_row = {}
    for rows in batch.groups(batch.graded()):
        total = batch.reward[rows].sum()
        for row in rows:
            n = len(rows)
            per_row[row] = batch.reward[row] - (total - batch.reward[row]) / (n - 1) if n > 1 else 0.0
    return spread(batch, per_row)


ADVANTAGES = {"grpo": grpo, "dr_grpo": dr_grpo, "rloo": rloo, "durian": durian, "tgrl": tgrl_advantage}


# Token weights ------------------------------------------------------------------------------------

def perception_score(batch):
    return np.abs(batch.old_log_prob.astype(np.float64) - batch.log_prob_no_image.astype(np.float64))


def top(scores, candidates, share):
    """The ⌈share · N⌉ candidates with the highest score, N = how many there are."""
    count = math.ceil(share * len(candidates) - 1e-9)
    return set(sorted(candidates, key=lambda token: -scores[token])[:count])


def with_advantage(batch, advantage):
    """Trained tokens of the groups of which some trained token has an advantage."""
    mask, chosen = batch.credit_mask(), np.zeros(batch.tokens, dtype=bool)
    for rows in batch.groups(batch.graded()):
        tokens = [t for row in rows for t in batch.trained(row)]
        if any(mask[t] and abs(advantage[t]) > 1e-12 for t in tokens):
            chosen[tokens] = True
    return chosen & mask


def tor(batch, counts, alpha_r=0.3, alpha_p=0.3, gamma_r=1.0, gamma_p=0.5, unselected=0.0, seed=0, **_):
    """w = gamma_r on T_r (overlap included), gamma_p on T_p \\ T_r, `unselected` elsewhere.

    CONVENTION: tokens of rows without an image have no perception score, so they are no candidates
    for T_p; ⌈alpha N⌉ counts candidates. Groups without an advantage take no part, and weigh 1.
    """
    trained = np.flatnonzero(counts)
    score = perception_score(batch)
    seeing = [t for t in trained if not math.isnan(score[t])]
    reasoning = top(batch.nucleus_entropy.astype(np.float64), list(trained), alpha_r)
    perception = top(score, seeing, alpha_p)
    weight = np.ones(batch.tokens)
    for token in trained:
        weight[token] = gamma_r if token in reasoning else gamma_p if token in perception else unselected
    return weight


def direction(batch, alpha=0.1, form="linear", ppl_clamp=None, **_):
    p = np.exp(batch.old_log_prob.astype(np.float64))
    trained = batch.credit_mask()
    if form == "linear":
        weight = 1.0 + alpha * (1.0 - p)
    elif form == "dominate":
        weight = alpha * p + 1.0 - alpha
    elif form == "middle":
        weight = alpha + p * (1.0 - p)
    elif form == "normalized":
        weight = 1.0 / (1.0 + alpha - p)
    elif form == "ppl":
        weight = np.ones(batch.tokens)
        rows = [row for row in batch.graded() if batch.trained(row)]
        for group in batch.groups(rows):
            log_ppl = np.array([-np.mean(batch.old_log_prob[batch.trained(row)].astype(np.float64)) for row in group])
            std = sample_std(log_ppl)
            for row, value in zip(group, log_ppl):
                z = (value - np.mean(log_ppl)) / std if std > 0 else 0.0
                w = 1.0 - alpha * z
                weight[list(batch.rows[row])] = w if ppl_clamp is None else min(max(w, ppl_clamp[0]), ppl_clamp[1])
    else:
        raise ValueError(form)
    return np.where(trained, weight, 1.0)


def unit_ranks(values):
    """Ranks scaled to [0, 1]; equal values share the mean of their ranks. A single value has rank 0."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return np.zeros(len(values))
    below = np.array([(values < v).sum() for v in values], dtype=np.float64)
    equal = np.array([(values == v).sum() for v in values], dtype=np.float64)
    return (below + (equal - 1.0) / 2.0) / (len(values) - 1.0)


def tgrl_weight(batch, lambda_p=0.5, lambda_r=0.5, kappa=1.0, w_min=0.5, w_max=2.0, form="rank", alpha=1.0, **_):
    weight = np.ones(batch.tokens)
    for row in batch.graded():
        tokens = batch.trained(row)
        if not batch.is_expert[row] or not tokens:
            continue
        p = np.exp(batch.old_log_prob[tokens].astype(np.float64))
        if form == "chord":
            w = p * (1.0 - p)
        elif form == "direction":
            w = 1.0 + alpha * (1.0 - p)
        else:
            # CONVENTION: a trajectory without an image has no perception score; the term is 0.
            s = perception_score(batch)[tokens]
            seen = unit_ranks(s) if not np.any(np.isnan(s)) else np.zeros(len(tokens))
            u = lambda_p * seen + lambda_r * unit_ranks(batch.entropy[tokens])
            w = np.clip(1.0 + kappa * (u - np.mean(u)), w_min, w_max)
            w = w / np.mean(w)
        weight[tokens] = w
    return weight


def fipo(batch, advantage, decay_rate=32.0, clip_ratio=0.2, clip_high_only=True, safety_thresh=4.0,
         clip_ratio_c=10.0, sequence_drop=True, participation="code", unclipped=False, **_):
    """(weight, mask after the sequence drop). The double loop is the formula as printed.

    CONVENTION: the official code's "clip ratio 0 means no range, at most 10" is `unclipped`; a
    clip_ratio of 0 holds the weight at 1. Distances count all tokens of the response, trained or not.
    """
    mask, weight = batch.credit_mask(), np.ones(batch.tokens)
    d = np.clip(batch.log_prob.astype(np.float64) - batch.old_log_prob.astype(np.float64), -20.0, 20.0)
    decay = 2.0 ** (-1.0 / decay_rate)
    kept = mask.copy()
    for row, tokens in enumerate(batch.rows):
        if batch.is_expert[row]:  # no old policy sampled it: no ratio
            continue
        trained = [t for t in tokens if mask[t]]
        for i, t in enumerate(trained):
            future = 0.0
            for j in range(i, len(trained)):
                k = trained[j]
                # ln of the float32 ratio in the code; the plain comparison here.
                out = d[k] > math.log(clip_ratio_c)
                if participation == "paper":
                    out = out and advantage[k] < 0
                if not out:
                    future += decay ** (k - t) * d[k]
            w = math.exp(min(future, 700.0))
            if unclipped:
                w = min(w, 10.0)
            else:
                low = 1.0 if clip_high_only else 1.0 - clip_ratio
                w = min(max(w, low), 1.0 + clip_ratio)
            if advantage[t] < 0 and math.exp(d[t]) > safety_thresh:
                w = min(max(w, 0.8), 1.0)
            weight[t] = w
        dual = [t for t in trained if weight[t] * advantage[t] < 0 and math.exp(d[t]) > clip_ratio_c]
        if sequence_drop and len(dual) > 1:
            kept[list(tokens)] = False
    return weight, kept


WEIGHTS = {"tor": tor, "direction": direction, "tgrl": tgrl_weight}


def part(config):
    """`"tor"` and `{"name": "tor", "alpha_r": 0.2}` alike."""
    config = {"name": config} if isinstance(config, str) else dict(config)
    return config.pop("name"), config


def mean_one(weight, mask):
    total = weight[mask].sum()
    return np.where(mask, weight * (mask.sum() / total), weight) if total > 0 else weight


def credit(config, batch):
    """Advantage (weights of the rollout stage included), weight, mask."""
    name, options = part(config.get("advantage", "grpo"))
    advantage, mask = ADVANTAGES[name](batch, **options), batch.credit_mask()
    counts = with_advantage(batch, advantage)
    weight = np.ones(batch.tokens)
    for entry in config.get("token_weight", []):
        name, options = part(entry)
        if name != "fipo":
            more = (counts,) if name == "tor" else ()
            weight = weight * WEIGHTS[name](batch, *more, **options)
    if config.get("renormalize_weight"):
        weight = mean_one(weight, counts)
    return {"advantage": np.where(mask, advantage * weight, 0.0), "weight": np.where(mask, weight, 1.0), "mask": mask}


def reweight(config, batch, given):
    """FIPO on top of `given`; `advantage` there already holds the other weights (none is negative)."""
    options = next(part(entry)[1] for entry in config["token_weight"] if part(entry)[0] == "fipo")
    weight, kept = fipo(batch, given["advantage"], **options)
    return {"advantage": np.where(kept, given["advantage"] * weight, 0.0), "weight": weight, "mask": kept}


# Losses -------------------------------------------------------------------------------------------

def sapo_token(a, d, tau_pos=1.0, tau_neg=1.05):
    """loss = -A · sigma(tau (r - 1)) · 4/tau and its slope in log pi (arXiv 2511.20347)."""
    clamped = min(max(d, -20.0), 20.0)
    r, tau = math.exp(clamped), tau_pos if a > 0 else tau_neg
    x = tau * (r - 1.0)
    gate = 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0
    inside = 1.0 if abs(d) <= 20.0 else 0.0
    return -a * gate * 4.0 / tau, -a * 4.0 * gate * (1.0 - gate) * r * inside


def ppo_token(a, d, low=0.2, high=0.2, c=3.0):
    r = math.exp(min(max(d, -20.0), 20.0))
    inside = 1.0 if abs(d) <= 20.0 else 0.0
    plain, bound = -a * r, -a * min(max(r, 1 - low), 1 + high)
    loss, slope = (bound, 0.0) if bound > plain else (plain, -a * r * inside)
    return (-a * c, 0.0) if a < 0 and loss > -a * c else (loss, slope)


def expert_token(a, log_prob, shaping="luffy", c=0.1):
    """f(p) = p/(p + c), or log p; maximise f A."""
    if shaping == "log_prob":
        return -a * log_prob, -a
    p = math.exp(log_prob)
    return -a * p / (p + c), -a * p * c / (p + c) ** 2


def policy_loss(config, batch, given):
    """Token-mean or seq-mean-token-mean of ppo or sapo; expert rows by the expert term."""
    name, options = part(config.get("policy_loss", "ppo"))
    short = {"clip_ratio_low": "low", "clip_ratio_high": "high", "clip_ratio_c": "c"}
    options = {short.get(key, key): value for key, value in options.items()}
    expert = config.get("expert", {})
    tokens = [[t for t in row if given["mask"][t]] for row in batch.rows]
    alive = sum(1 for row in tokens if row)
    loss, slope = 0.0, np.zeros(batch.tokens)
    for row, members in enumerate(tokens):
        for t in members:
            a, lp = float(given["advantage"][t]), float(batch.log_prob[t])
            if batch.is_expert[row]:
                value, d = expert_token(a, lp, **expert)
            else:
                token = sapo_token if name == "sapo" else ppo_token
                value, d = token(a, lp - float(batch.old_log_prob[t]), **options)
            # SAPO's authors, verl and TRL take the mean of each response first.
            own = "seq-mean-token-mean" if name == "sapo" else "token-mean"
            if config.get("loss_agg_mode", own) == "token-mean":
                share = 1.0 / sum(map(len, tokens))
            else:
                share = 1.0 / (len(members) * alive)
            loss += share * value
            slope[t] = share * d
    return loss, slope


# TGRL's filter ------------------------------------------------------------------------------------

def tgrl_filter(candidates, accuracy, n_expert=1, g_min_quantile=0.25, nll_max_quantile=0.95, p_gate=0.5):
    """Indices of the experts that enter each prompt's group, best first.

    candidates: list of (prompt, right, grounding, nll, length). CONVENTION: quantiles are NumPy's
    linear ones over all candidates of the pool.
    """
    chosen = [[] for _ in accuracy]
    if not candidates:
        return chosen
    g_min = float(np.quantile([c[2] for c in candidates], g_min_quantile))
    nll_max = float(np.quantile([c[3] for c in candidates], nll_max_quantile))
    for prompt, share in enumerate(accuracy):
        if share > p_gate:
            continue
        mine = [k for k, c in enumerate(candidates)
                if c[0] == prompt and c[1] and c[2] >= g_min and c[3] <= nll_max]
        mine.sort(key=lambda k: (-candidates[k][2], candidates[k][4]))
        chosen[prompt] = mine[:n_expert]
    return chosen


# Random batches -----------------------------------------------------------------------------------

KINDS = [
    "plain", "plain", "plain", "all_equal", "one_token", "one_sample", "groups_of_one", "ungraded",
    "nothing_graded", "holes", "no_image", "some_images", "experts", "blind_experts",
    "far_ratios", "empty_rows",
    "graded_score",
]


def f32(values):
    return np.asarray(values, dtype=np.float32)


def random_batch(rng, kind, size=None):
    prompts, width = (size or (int(rng.integers(2, 9)), int(rng.integers(2, 6))))
    longest = 14
    group = np.repeat(rng.choice(40, prompts, replace=False), width)
    if kind == "one_sample":
        group = group[:1]
    if kind == "groups_of_one":
        group = rng.choice(40, prompts, replace=False)
    group = rng.permutation(group)
    rows = len(group)
    lengths = rng.integers(1, longest + 1, rows)
    if kind == "one_token":
        lengths[:] = 1
    if kind == "empty_rows":
        lengths[rng.random(rows) < 0.3] = 0
    tokens = int(lengths.sum())
    reward = rng.integers(0, 2, rows).astype(float)
    if kind == "graded_score":
        reward = np.round(rng.normal(0, 1, rows), 3)
    if kind == "all_equal":
        reward[:] = 0.1
    if kind == "ungraded":
        reward[rng.random(rows) < 0.4] = np.nan
    if kind == "nothing_graded":
        reward[:] = np.nan
    mask = np.ones(tokens, dtype=bool)
    if kind == "holes":
        mask = rng.random(tokens) > 0.25
    old = f32(-rng.exponential(1.2, tokens))
    step = 2.5 if kind == "far_ratios" else rng.choice([0.02, 0.2, 0.6])
    log_prob = f32(np.minimum(old + rng.normal(0, step, tokens), 0.0))
    if kind == "far_ratios":  # beyond the clamp of the log-ratio, on both sides
        far = rng.random(tokens)
        old[far < 0.05] -= np.float32(31.0)
        log_prob[far > 0.95] -= np.float32(33.0)
    no_image = f32(np.minimum(old - rng.normal(0.3, 0.8, tokens), 0.0))
    sight = {int(g): float(v) for g, v in zip(np.unique(group), rng.uniform(0.5, 6.0, len(np.unique(group))))}
    if kind == "no_image":
        sight = {g: math.nan for g in sight}
    if kind in ("some_images", "blind_experts"):
        sight = {g: v if rng.random() < 0.6 else math.nan for g, v in sight.items()}
    visual = np.array([sight[int(g)] for g in group])
    blind = np.repeat(np.isnan(visual), lengths)
    no_image[blind] = np.nan
    is_expert = np.zeros(rows, dtype=bool)
    entropy = f32(rng.exponential(1.0, tokens))
    if kind in ("experts", "blind_experts"):
        is_expert = rng.random(rows) < 0.3
        entropy = f32(np.round(entropy * 2) / 2)  # ties within a trajectory share their rank
    return Batch(
        lengths, group, reward, mask, log_prob=log_prob, old_log_prob=old,
        rollout_log_prob=f32(old + rng.normal(0, 0.05, tokens)), ref_log_prob=f32(old + rng.normal(0, 0.3, tokens)),
        entropy=entropy, nucleus_entropy=f32(rng.exponential(0.7, tokens)),
        log_prob_no_image=no_image, visual_entropy=visual, is_expert=is_expert,
    )


CREDIT_CONFIGS = [
    {"advantage": "durian"},
    {"advantage": {"name": "durian", "a_o": 0.1, "a_p": 0.2, "a_r": 0.7, "reasoning_buckets": 3}},
    {"advantage": {"name": "durian", "a_o": 0.0, "a_p": 1.0, "a_r": 0.0}},
    {"advantage": {"name": "durian", "a_o": 0.0, "a_p": 0.0, "a_r": 1.0, "reasoning_buckets": 2, "length_normalized": True}},
    {"advantage": "tgrl"},
    {"advantage": {"name": "tgrl", "stats": "all"}},
    {"advantage": "grpo", "token_weight": ["tor"]},
    {"advantage": "grpo", "token_weight": [{"name": "tor", "alpha_r": 0.2, "alpha_p": 0.5, "gamma_r": 1.5, "gamma_p": 0.25}]},
    {"advantage": "grpo", "token_weight": [{"name": "tor", "alpha_r": 1.0, "alpha_p": 1.0, "gamma_r": 1.0, "gamma_p": 1.0}]},
    {"advantage": "grpo", "token_weight": ["direction"]},
    *[{"advantage": "dr_grpo", "token_weight": [{"name": "direction", "alpha": 0.2, "form": form}]}
      for form in ["linear", "dominate", "ppl", "middle", "normalized"]],
    {"advantage": "rloo", "token_weight": [{"name": "direction", "alpha": 0.9, "form": "ppl", "ppl_clamp": [0.8, 1.2]}]},
    {"advantage": "tgrl", "token_weight": ["tgrl"]},
    {"advantage": "tgrl", "token_weight": [{"name": "tgrl", "kappa": 3.0, "lambda_p": 0.8, "lambda_r": 0.2}]},
    {"advantage": "durian", "token_weight": ["tor", "direction"]},
    {"advantage": "grpo", "token_weight": ["tor", "direction"], "renormalize_weight": True},
]

FIPO_CONFIGS = [
    {"advantage": "grpo", "token_weight": ["fipo"]},
    {"advantage": "grpo", "token_weight": [{"name": "fipo", "clip_high_only": False, "safety_thresh": 3.0}]},
    {"advantage": "grpo", "token_weight": [{"name": "fipo", "decay_rate": 2.0, "unclipped": True, "clip_ratio_c": 3.0}]},
    {"advantage": "grpo", "token_weight": [{"name": "fipo", "participation": "paper", "clip_ratio_c": 3.0, "clip_high_only": False}]},
    {"advantage": "grpo", "token_weight": [{"name": "fipo", "sequence_drop": False, "clip_ratio_c": 2.0}]},
    {"advantage": "durian", "token_weight": ["direction", "fipo"]},
]

LOSS_CONFIGS = [
    {"policy_loss": "ppo"},
    {"policy_loss": "sapo"},
    {"policy_loss": "sapo", "loss_agg_mode": "token-mean"},
    {"policy_loss": {"name": "sapo", "tau_pos": 2.0, "tau_neg": 0.7}, "loss_agg_mode": "seq-mean-token-mean"},
    {"policy_loss": {"name": "ppo", "clip_ratio_high": 0.28, "clip_ratio_c": 10.0}, "expert": {"shaping": "luffy", "c": 0.1}},
    {"policy_loss": "ppo", "expert": {"shaping": "log_prob"}},
]


def random_filter(rng):
    prompts = int(rng.integers(1, 6))
    candidates = [
        (int(rng.integers(0, prompts)), bool(rng.random() < 0.7), float(rng.exponential(1.0)),
         float(rng.exponential(1.0)), int(rng.integers(1, 200)))
        for _ in range(int(rng.integers(0, 12)))
    ]
    options = {"n_expert": int(rng.integers(1, 3)), "p_gate": float(rng.choice([0.5, 1.0]))}
    accuracy = [float(round(value, 2)) for value in rng.random(prompts)]
    return {"candidates": candidates, "accuracy": accuracy, "options": options,
            "chosen": tgrl_filter(candidates, accuracy, **options)}


# Golden file --------------------------------------------------------------------------------------

def numbers(values, digits=9):
    """Nine digits name a float32 exactly; NaN as null."""
    values = np.asarray(values, dtype=np.float64).tolist()
    short = [None if math.isnan(v) else float(f"{v:.{digits}g}") for v in values]
    return [int(v) if v is not None and v == int(v) else v for v in short]


def bits(values):
    return [int(bit) for bit in values]


def stored(batch):
    return {
        "lengths": batch.lengths,
        "group": batch.group.tolist(),
        "reward": numbers(batch.reward),
        "mask": bits(batch.mask),
        "is_expert": bits(batch.is_expert),
        "visual_entropy": numbers(batch.visual_entropy),
        **{name: numbers(getattr(batch, name)) for name in KEYS_PER_TOKEN if name not in ("ref_log_prob", "rollout_log_prob")},
    }


def stored_credit(result):
    return {"advantage": numbers(result["advantage"]), "weight": numbers(result["weight"]), "mask": bits(result["mask"])}


def goldens():
    rng = np.random.default_rng(20260325)
    data = []
    for index, kind in enumerate(sorted(set(KINDS))):
        batch = random_batch(rng, kind, size=(4, 3))
        credits = []
        for config in CREDIT_CONFIGS[index % 3 :: 3]:
            credits.append({"config": config, **stored_credit(credit(config, batch))})
        updates = []
        for config in FIPO_CONFIGS[index % 3 :: 3]:
            given = credit(config, batch)
            given["advantage"] = f32(given["advantage"]).astype(np.float64)
            updates.append({"config": config, **stored_credit(reweight(config, batch, given))})
        losses = []
        given = credit({"advantage": "tgrl"}, batch)
        given["advantage"] = f32(given["advantage"]).astype(np.float64)
        for config in LOSS_CONFIGS[index % 2 :: 2]:
            loss, slope = policy_loss(config, batch, given)
            losses.append({"config": config, "loss": numbers([loss])[0], "d_log_prob": numbers(slope)})
        data.append({
            "kind": kind, "batch": stored(batch), "credit": credits, "reweight": updates,
            "given": stored_credit(given), "loss": losses,
        })
    return {"batches": data, "filter": [random_filter(rng) for _ in range(40)]}


def write(path):
    made_by = {"script": "tools/credit_reference.py", "dtype": "float64", "numpy": np.__version__}
    text = json.dumps({"made_by": made_by, "data": goldens()}, separators=(",", ":"))
    path.write_text(text + "\n")
    print(f"{path}: {len(text) / 1000:.0f} kB", file=sys.stderr)


# Through the wheel --------------------------------------------------------------------------------

class Worst:
    """The largest error of each part, relative to max(1, |expected|)."""

    def __init__(self):
        self.error, self.count = {}, 0

    def compare(self, what, found, expected):
        found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        assert found.shape == expected.shape, (what, found.shape, expected.shape)
        error = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
        self.error[what] = max(self.error.get(what, 0.0), float(error.max(initial=0.0)))
        self.count += 1


def wheel_batch(batch, padded):
    """The batch as users hand it over, and how to read results back as flat arrays."""
    keys = [key for key in KEYS_PER_TOKEN if hasattr(batch, key)]
    rows = {name: getattr(batch, name) for name in ("group", "reward", "visual_entropy", "is_expert")}
    if not padded:
        out = {"offsets": np.cumsum([0] + batch.lengths), "response_mask": batch.mask, **rows}
        return out | {key: getattr(batch, key) for key in keys}, lambda array: array
    inside = np.arange(max(batch.lengths, default=0) + 1) < np.array(batch.lengths)[:, None]

    def pad(flat, fill):
        square = np.full(inside.shape, fill, dtype=flat.dtype)
        square[inside] = flat
        return square

    out = {**rows, "response_mask": pad(batch.mask, False)}
    return out | {key: pad(getattr(batch, key), 7.0) for key in keys}, lambda array: array[inside]


def named(config):
    return "+".join(part(entry)[0] for entry in [config["advantage"], *config.get("token_weight", [])])


def check_tor_counts(wheel, rng, worst):
    """Ties at the threshold: exactly ⌈alpha N⌉ tokens of each set, none below an unchosen one left in."""
    batch = random_batch(rng, "plain")
    batch.nucleus_entropy = f32(np.where(rng.random(batch.tokens) < 0.8, 0.0, batch.nucleus_entropy))
    batch.log_prob_no_image = f32(np.where(rng.random(batch.tokens) < 0.6, batch.old_log_prob, batch.log_prob_no_image))
    given, flat = wheel_batch(batch, False)
    trained = np.flatnonzero(with_advantage(batch, grpo(batch)))
    for key, score in (("r", batch.nucleus_entropy), ("p", perception_score(batch))):
        options = {"alpha_r": 0.0, "alpha_p": 0.0, "gamma_r": 1.0, "gamma_p": 1.0, f"alpha_{key}": 0.3}
        weight = flat(wheel.credit({"token_weight": [{"name": "tor", "seed": int(rng.integers(99)), **options}]}, given)["weight"])
        chosen = [t for t in trained if weight[t] == 1.0]
        others = [t for t in trained if weight[t] == 0.0]
        assert len(chosen) == math.ceil(0.3 * len(trained) - 1e-9), (len(chosen), len(trained))
        assert len(chosen) + len(others) == len(trained)
        assert min(score[chosen], default=math.inf) >= max((score[t] for t in others), default=0.0)
    worst.count += 1


def check(count, seed=1):
    """Every configuration on `count` random batches; {"batches", "cases", "worst", "error": {part: largest}}."""
    import percept_rl as wheel

    rng, worst = np.random.default_rng(seed), Worst()
    for index in range(count):
        batch = random_batch(rng, KINDS[index % len(KINDS)])
        given, flat = wheel_batch(batch, padded=bool(index // len(KINDS) % 2))
        for config in CREDIT_CONFIGS:
            check_credit(wheel, config, batch, given, flat, worst)
        for config in FIPO_CONFIGS:
            check_fipo(wheel, config, batch, given, flat, worst)
        for config in LOSS_CONFIGS:
            check_loss(wheel, config, batch, given, flat, worst)
        check_tor_counts(wheel, rng, worst)
    return {"batches": count, "cases": worst.count, "worst": max(worst.error.values()), "error": worst.error}


def check_credit(wheel, config, batch, given, flat, worst):
    found, expected = wheel.credit(config, given), credit(config, batch)
    mask = expected["mask"]
    assert np.array_equal(flat(found["loss_mask"]), mask), config
    worst.compare(named(config), flat(found["advantage"]), expected["advantage"])
    # What the weight says of a token that is not trained means nothing.
    worst.compare(f"{named(config)} weight", np.where(mask, flat(found["weight"]), 1.0), expected["weight"])


def update_inputs(given, credited):
    """A batch as a trainer hands it to the update: the credit, no rewards."""
    rest = {key: value for key, value in given.items() if key not in ("group", "reward")}
    return rest | {"response_mask": credited["loss_mask"], "advantage": credited["advantage"]}


def check_fipo(wheel, config, batch, given, flat, worst):
    before = {**config, "token_weight": [w for w in config["token_weight"] if part(w)[0] != "fipo"]}
    credited = wheel.credit(before, given)
    start = {"advantage": flat(credited["advantage"]).astype(np.float64)}
    expected = reweight(config, batch, start)
    found = wheel.reweight(config, update_inputs(given, credited))
    worst.compare(named(config), np.where(expected["mask"], flat(found["advantage"]), 0.0), expected["advantage"])
    kept = expected["mask"]
    assert np.array_equal(flat(found["loss_mask"]), kept), config
    worst.compare(f"{named(config)} weight", np.where(kept, flat(found["weight"]), 1.0), np.where(kept, expected["weight"], 1.0))


def check_loss(wheel, config, batch, given, flat, worst):
    credited = wheel.credit({"advantage": "tgrl"}, given)
    start = {"advantage": flat(credited["advantage"]).astype(np.float64), "mask": flat(credited["loss_mask"])}
    expected_loss, expected_slope = policy_loss(config, batch, start)
    loss, slope, _ = wheel.policy_loss({"loss": config}, update_inputs(given, credited))
    name = part(config["policy_loss"])[0] + (" " + config["expert"]["shaping"] if "expert" in config else "")
    worst.compare(f"loss {name}", [loss], [expected_loss])
    worst.compare(f"slope {name}", flat(slope), expected_slope)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=int, metavar="N", help="compare N random batches through the wheel, write nothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "crates/credit/tests/golden/methods.json")
    args = parser.parse_args()
    if args.check is None:
        return write(args.out)
    report = check(args.check, args.seed)
    for name, error in sorted(report["error"].items()):
        print(f"{name:40} {error:.1e}")
    print(f"{report['batches']} batches, {report['cases']} comparisons, largest error {report['worst']:.1e}")
    if report["worst"] > 1e-6:
        sys.exit("larger than 1e-6")


if __name__ == "__main__":
    main()
