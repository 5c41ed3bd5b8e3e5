"""Golden numbers for crate `credit`.

Proves: percept's advantages, policy losses and their gradients, aggregation modes, KL estimates,
truncated importance sampling, overlong penalty and whitening equal those of the two reference
trainers. Everything compared is computed by *their* code, not by formulas copied from it:
  verl: core_algos.compute_*_advantage, agg_loss, compute_policy_loss_{vanilla,gspo,cispo},
        kl_penalty, rollout_corr_helper.compute_rollout_correction_weights; gradients by autograd.
  TRL:  GRPOTrainer._compute_loss on a stub trainer whose model is the given log-probabilities; the
        advantage block of GRPOTrainer._generate_and_score_completions, cut out of its source by
        its syntax tree; rewards.get_soft_overlong_punishment.

Made with verl 0.9.1, trl 1.16.0, torch 2.15.0; float64 throughout (inputs are float32 values), so
what remains between the two sides is the float32 in which percept returns its arrays.

Run: python tools/credit_goldens.py [--out crates/credit/tests/golden]
Output: advantages.json, losses.json, overlong.json. Ragged arrays are flat, cut by `lengths`; each
case carries the recipe in percept's own spelling, which the test parses.
"""

import argparse
import ast
import inspect
import json
import textwrap
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from trl import GRPOTrainer
from trl.rewards import get_soft_overlong_punishment
from trl.trainer import grpo_trainer
from verl.trainer.ppo import core_algos, rollout_corr_helper
from verl.workers.config import ActorConfig

torch.set_default_dtype(torch.float64)
MODES = ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
MAX_COMPLETION_LENGTH = 12


# Batches ------------------------------------------------------------------------------------------

class Ragged:
    """Rows of different lengths, and their right-padded form."""

    def __init__(self, lengths):
        self.lengths = lengths
        self.width = max(lengths)

    def pad(self, flat, fill=0.0):
        out = torch.full((len(self.lengths), self.width), fill)
        start = 0
        for row, length in enumerate(self.lengths):
            out[row, :length] = torch.as_tensor(flat[start : start + length])
            start += length
        return out

    def flat(self, padded):
        rows = [padded[row, :length] for row, length in enumerate(self.lengths)]
        return torch.cat(rows)


def f32(values):
    """Values that float32 holds exactly."""
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def numbers(values):
    return [float(f"{value:.9g}") for value in torch.as_tensor(values).tolist()]


def precise(values):
    return [float(f"{value:.12g}") for value in torch.as_tensor(values).tolist()]


def batch(rng, spread, per_row_advantage=False, holes=True):
    lengths = [int(n) for n in rng.integers(1, MAX_COMPLETION_LENGTH + 1, size=5)]
    ragged, tokens = Ragged(lengths), sum(lengths)
    mask = rng.random(tokens) > 0.2 if holes else np.ones(tokens, dtype=bool)
    starts = np.cumsum([0] + lengths[:-1])
    mask[starts] = True  # no row is empty: verl and TRL count empty rows differently
    log_prob = f32(-rng.exponential(1.5, tokens))
    advantage = rng.normal(0, 1.2, tokens)
    if per_row_advantage:
        advantage = np.repeat(rng.normal(0, 1.2, len(lengths)), lengths)
    return SimpleNamespace(
        ragged=ragged,
        mask=mask,
        log_prob=log_prob,
        old_log_prob=f32(log_prob - rng.normal(0, spread, tokens)),
        rollout_log_prob=f32(log_prob - rng.normal(0, max(spread, 0.3), tokens)),
        ref_log_prob=f32(log_prob - rng.normal(0, 0.5, tokens)),
        entropy=f32(rng.exponential(1.0, tokens)),
        advantage=f32(advantage),
    )


def extreme(rng):
    """A batch in which every safety clamp of verl is reached."""
    b = batch(rng, 0.6)
    for token, shift in zip(np.flatnonzero(b.mask), [25.0, -25.0, 3.0, -3.0, 21.0, 2.0]):
        b.old_log_prob[token] = f32(b.log_prob[token] - shift)
        b.ref_log_prob[token] = f32(b.log_prob[token] + shift)
        b.rollout_log_prob[token] = f32(b.old_log_prob[token] - shift)
    return b


def stored(b):
    names = ["log_prob", "old_log_prob", "rollout_log_prob", "ref_log_prob", "entropy", "advantage"]
    return {
        "lengths": b.ragged.lengths,
        "mask": [int(bit) for bit in b.mask],
        **{name: numbers(getattr(b, name)) for name in names},
    }


# verl ---------------------------------------------------------------------------------------------

VERL_LOSS = {"ppo": "vanilla", "gspo": "gspo", "cispo": "cispo"}


def verl_loss(b, config):
    """The sum that verl.workers.utils.losses.ppo_loss forms, from verl's own terms."""
    pad, policy = b.ragged.pad, config["policy_loss"]
    log_prob = pad(b.log_prob).requires_grad_()
    entropy = pad(b.entropy).requires_grad_()
    old_log_prob, mask = pad(b.old_log_prob), pad(b.mask).bool()
    actor = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio_low=policy["clip_ratio_low"],
        clip_ratio_high=policy["clip_ratio_high"],
        clip_ratio_c=policy.get("clip_ratio_c", 3.0),
        loss_scale_factor=config.get("loss_scale_factor"),
        global_batch_info={"loss_scale_factor": config.get("loss_scale_factor")},
    )
    weights, mode = None, config["loss_agg_mode"]
    if "tis_imp_ratio_cap" in config:
        log_ratio = old_log_prob - pad(b.rollout_log_prob)
        weights, _ = rollout_corr_helper.compute_rollout_correction_weights(
            log_ratio, mask, rollout_is="token", rollout_is_threshold=config["tis_imp_ratio_cap"]
        )
    pg_loss, metrics = core_algos.get_policy_loss_fn(VERL_LOSS[policy["name"]])(
        old_log_prob=old_log_prob,
        log_prob=log_prob,
        advantages=pad(b.advantage),
        response_mask=mask,
        loss_agg_mode=mode,
        config=actor,
        rollout_is_weights=weights,
    )
    metrics = {**metrics, "actor/pg_loss": pg_loss.item()}
    aggregate = lambda matrix: core_algos.agg_loss(matrix, mask, mode, **actor.global_batch_info)
    loss = pg_loss - config["entropy_coeff"] * aggregate(entropy)
    if config["use_kl_loss"]:
        names = {"k1": "kl", "k2": "mse", "k3": "low_var_kl"}
        kl = core_algos.kl_penalty(log_prob, pad(b.ref_log_prob), names[config["kl_loss_type"]])
        kl_loss = aggregate(kl)
        loss = loss + kl_loss * config["kl_coef"]
        metrics["actor/kl_loss"] = kl_loss.item()
    loss.backward()
    return result(b, "verl", config, loss, log_prob, entropy, metrics)


def result(b, reference, config, loss, log_prob, entropy, metrics):
    zero = torch.zeros_like(log_prob)
    return {
        "reference": reference,
        "config": config,
        "loss": precise([loss.item()])[0],
        "d_log_prob": precise(b.ragged.flat(log_prob.grad)),
        "d_entropy": precise(b.ragged.flat(zero if entropy.grad is None else entropy.grad)),
        "metrics": {name: precise([value])[0] for name, value in metrics.items()},
    }


def recipe(policy, mode="token-mean", **more):
    config = {"policy_loss": policy, "loss_agg_mode": mode, "use_kl_loss": False}
    config |= {"kl_coef": 0.001, "kl_loss_type": "k3", "entropy_coeff": 0.0}
    if mode == "seq-mean-token-sum-norm":
        config["loss_scale_factor"] = float(MAX_COMPLETION_LENGTH)
    return config | more


PPO = {"name": "ppo", "clip_ratio_low": 0.2, "clip_ratio_high": 0.28, "clip_ratio_c": 3.0}
CISPO = {"name": "cispo", "clip_ratio_low": 0.2, "clip_ratio_high": 0.2}


def gspo(low=3e-4, high=4e-4):
    return {"name": "gspo", "clip_ratio_low": low, "clip_ratio_high": high}


def verl_cases(rng):
    for mode in MODES:
        b = batch(rng, 0.5)
        kl = {"use_kl_loss": True, "kl_coef": 0.04}
        cases = [verl_loss(b, recipe(policy, mode)) for policy in [PPO, gspo(0.1, 0.2), CISPO]]
        cases += [verl_loss(b, recipe(PPO, mode, kl_loss_type=k, **kl)) for k in ["k1", "k2", "k3"]]
        everything = kl | {"entropy_coeff": 0.01, "tis_imp_ratio_cap": 1.5}
        cases += [verl_loss(b, recipe(policy, mode, **everything)) for policy in [PPO, CISPO, gspo(0.1, 0.2)]]
        yield {"batch": stored(b), "cases": cases}
    b = extreme(rng)
    everything = {"use_kl_loss": True, "kl_coef": 0.04, "tis_imp_ratio_cap": 2.0}
    cases = [verl_loss(b, recipe(policy, **everything)) for policy in [PPO, CISPO, gspo(0.2, 0.2)]]
    # The one number that differs by intent: verl clamps the log-ratios of this metric in every
    # loss but GSPO's, percept in all.
    del cases[-1]["metrics"]["actor/ppo_kl"]
    cases.append(verl_loss(b, recipe(PPO | {"clip_ratio_c": 10.0})))
    yield {"batch": stored(b), "cases": cases}
    b = batch(rng, 5e-4)  # the paper's clip of GSPO is that narrow
    yield {"batch": stored(b), "cases": [verl_loss(b, recipe(gspo(), "seq-mean-token-mean"))]}


# TRL ----------------------------------------------------------------------------------------------

class Alone:
    """What GRPOTrainer asks of accelerate, with one process."""

    num_processes, sync_gradients = 1, True
    gather = staticmethod(lambda value: value)
    reduce = staticmethod(lambda value, reduction: value)


TRL_AGGREGATION = {
    "grpo": "seq-mean-token-mean",
    "bnpo": "token-mean",
    "dapo": "token-mean",
    "cispo": "token-mean",
    "dr_grpo": "seq-mean-token-sum-norm",
}


def trl_loss(b, loss_type, level="token", low=0.2, high=0.28, delta=None, beta=0.0, entropy_coef=0.0, cap=None):
    pad = b.ragged.pad
    log_prob = pad(b.log_prob).requires_grad_()
    entropy = pad(b.entropy).requires_grad_()
    mask = pad(b.mask)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (log_prob, entropy, None),
        args=SimpleNamespace(delta=delta, use_bias_correction_kl=False, steps_per_generation=1),
        accelerator=Alone(),
        model=SimpleNamespace(training=True),
        current_gradient_accumulation_steps=1,
        _metrics={"train": defaultdict(list)},
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level=level,
        loss_type=loss_type,
        beta=beta,
        epsilon_low=low,
        epsilon_high=high,
        max_completion_length=MAX_COMPLETION_LENGTH,
        use_vllm=cap is not None,
        vllm_importance_sampling_correction=cap is not None,
        _entropy_bonus_enabled=entropy_coef != 0.0,
        use_adaptive_entropy=False,
        entropy_coef=entropy_coef,
    )
    old_log_prob = pad(b.old_log_prob)
    ids = torch.zeros(mask.shape, dtype=torch.long)
    ratio = torch.exp((old_log_prob - pad(b.rollout_log_prob)) * mask)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": mask[:, :1],
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": pad(b.advantage)[:, 0],
        "old_per_token_logps": old_log_prob,
        "ref_per_token_logps": pad(b.ref_log_prob),
        "num_items_in_batch": mask.sum(),
        "importance_sampling_ratio": ratio.clamp(max=cap) if cap is not None else None,
    }
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    policy = {"name": "ppo", "clip_ratio_low": low, "clip_ratio_high": high, "clip_ratio_c": delta or 1e30}
    if loss_type == "cispo":
        policy = {"name": "cispo", "clip_ratio_low": 1.0, "clip_ratio_high": high - 1.0}
    if level == "sequence":
        policy = gspo(low, high)
    config = recipe(policy, TRL_AGGREGATION[loss_type], entropy_coeff=entropy_coef)
    config |= {"use_kl_loss": beta != 0.0, "kl_coef": beta}
    if cap is not None:
        config["tis_imp_ratio_cap"] = cap
    metrics = {}
    if beta != 0.0 and TRL_AGGREGATION[loss_type] == "token-mean":
        metrics["actor/kl_loss"] = trainer._metrics["train"]["kl"][0]
    if TRL_AGGREGATION[loss_type] == "token-mean":
        metrics["actor/entropy"] = trainer._metrics["train"]["entropy"][0]
    if loss_type == "dapo":
        metrics["actor/pg_clipfrac"] = trainer._metrics["train"]["clip_ratio/region_mean"][0]
    return result(b, f"trl {loss_type} {level}", config, loss, log_prob, entropy, metrics)


def trl_cases(rng):
    b = batch(rng, 0.5, per_row_advantage=True)
    cases = [trl_loss(b, loss_type) for loss_type in ["grpo", "bnpo", "dapo", "dr_grpo"]]
    cases += [trl_loss(b, loss_type, delta=1.6, beta=0.04) for loss_type in ["grpo", "dapo"]]
    cases += [trl_loss(b, "dapo", beta=0.04, entropy_coef=0.01, cap=1.5)]
    cases += [trl_loss(b, "cispo", high=5.0), trl_loss(b, "cispo", high=1.1, beta=0.04)]
    cases += [trl_loss(b, "grpo", level="sequence", low=0.05, high=0.05)]
    yield {"batch": stored(b), "cases": cases}


# Advantages ---------------------------------------------------------------------------------------

def verl_advantage(config, rewards, group, lengths, mask):
    ragged = Ragged(lengths)
    padded = ragged.pad(mask)
    scores = torch.zeros_like(padded)
    for row, reward in enumerate(rewards):
        last = int(padded[row].nonzero()[-1])  # the reward sits on the last trained token
        scores[row, last] = reward
    arguments = {"token_level_rewards": scores, "response_mask": padded, "index": np.array(group)}
    name = config["name"]
    if name in ("grpo", "dr_grpo"):
        by_std = name == "grpo" and config["norm_adv_by_std"]
        arguments |= {"norm_adv_by_std_in_grpo": by_std, "epsilon": config.get("eps", 1e-6)}
    if name == "reinforce_plus_plus":
        arguments["config"] = SimpleNamespace(gamma=config["gamma"])
    estimator = core_algos.get_adv_estimator_fn("grpo" if name == "dr_grpo" else name)
    advantage, _ = estimator(**arguments)
    return {"reference": "verl", "config": config, "advantage": precise(ragged.flat(advantage))}


def trl_advantage_block():
    """The statement of GRPOTrainer that turns rewards into advantages, as a compiled object."""
    source = textwrap.dedent(inspect.getsource(GRPOTrainer._generate_and_score_completions))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and "sum_then_normalize" in ast.dump(node.test):
            return compile(ast.Module([node], []), "grpo_trainer.py", "exec")
    raise SystemExit("this TRL has no sum_then_normalize block")


def trl_advantage(config, rewards, num_generations, lengths, mask):
    values = torch.tensor([float("nan") if reward is None else reward for reward in rewards])
    scale = {True: "group", False: "none"}[config["name"] == "grpo"]
    scope = dict(vars(grpo_trainer))
    scope |= {
        "self": SimpleNamespace(
            multi_objective_aggregation="sum_then_normalize",
            reward_weights=torch.ones(1),
            scale_rewards=scale,
        ),
        "device": "cpu",
        "rewards_per_func": values[:, None],
        "unscorable_mask": torch.isnan(values),
        "num_generations": num_generations,
    }
    exec(trl_advantage_block(), scope)
    rows = torch.nan_to_num(scope["advantages"], nan=0.0)
    tokens = rows.repeat_interleave(torch.tensor(lengths)) * torch.as_tensor(mask)
    return {"reference": "trl", "config": config, "advantage": precise(tokens)}


VERL_ADVANTAGES = [
    {"name": "grpo", "norm_adv_by_std": True, "eps": 1e-6},
    {"name": "grpo", "norm_adv_by_std": False, "eps": 1e-6},
    {"name": "dr_grpo"},
    {"name": "rloo"},
    {"name": "reinforce_plus_plus", "gamma": 1.0},
    {"name": "reinforce_plus_plus", "gamma": 0.9},
    {"name": "reinforce_plus_plus_baseline"},
]


def advantage_cases(rng):
    kinds = [lambda n: rng.integers(0, 2, n).astype(float), lambda n: np.round(rng.normal(0, 1, n), 3)]
    for draw in kinds * 2:
        group = rng.permutation(np.repeat([3, 0, 7], [4, 2, 3])).tolist()
        lengths = [int(n) for n in rng.integers(1, 6, len(group))]
        mask = rng.random(sum(lengths)) > 0.25
        mask[np.cumsum([0] + lengths[:-1])] = True
        rewards = draw(len(group)).tolist()
        cases = [verl_advantage(c, rewards, group, lengths, mask) for c in VERL_ADVANTAGES]
        yield stored_rows(rewards, group, lengths, mask, cases)
    # TRL: groups are consecutive; one row has no grade; the last group has a single grade left.
    rewards = [1.0, 0.0, 1.0, None, 0.25, 0.5, 0.5, 0.0, 0.7, 0.7, 0.7, 0.7, 1.0, None, None, None]
    group = np.repeat(range(4), 4).tolist()
    lengths = [int(n) for n in rng.integers(1, 4, len(group))]
    mask = np.ones(sum(lengths), dtype=bool)
    configs = [{"name": "grpo", "norm_adv_by_std": True, "eps": 1e-4}, {"name": "dr_grpo"}]
    cases = [trl_advantage(config, rewards, 4, lengths, mask) for config in configs]
    yield stored_rows(rewards, group, lengths, mask, cases)


def stored_rows(rewards, group, lengths, mask, cases):
    mask = [int(bit) for bit in mask]
    return {"rewards": rewards, "group": group, "lengths": lengths, "mask": mask, "cases": cases}


def overlong():
    lengths = list(range(0, 101, 7)) + [80, 81, 90, 99, 100, 130]
    rewards = get_soft_overlong_punishment(100, 20)([[0] * length for length in lengths])
    return {"max_completion_length": 100, "buffer_len": 20, "lengths": lengths, "penalty": rewards}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("crates/credit/tests/golden"))
    out = parser.parse_args().out
    made_by = {
        "script": "tools/credit_goldens.py",
        "dtype": "float64",
        **{name: version(name) for name in ["verl", "trl", "torch"]},
    }
    rng = np.random.default_rng(20260728)
    files = {
        "advantages": list(advantage_cases(rng)),
        "losses": [*verl_cases(rng), *trl_cases(rng)],
        "overlong": overlong(),
    }
    for name, data in files.items():
        text = json.dumps({"made_by": made_by, "data": data}, separators=(",", ":"))
        (out / f"{name}.json").write_text(text + "\n")
        print(f"{out / name}.json: {len(text)} bytes")


if __name__ == "__main__":
    main()
