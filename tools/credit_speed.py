"""Speed of percept's credit functions beside verl's torch functions, in one process.

Measures: milliseconds for a rollout batch of about 1 M response tokens, 512 prompts × 8 responses, on
the CPU; best of N, both sides on the same arrays. percept takes them ragged, as it trains with; verl
takes them padded, as it does. verl has no ToR, direction, FIPO, Durian or TGRL: those are shown beside
the nearest function that it has (GRPO's advantage; its PPO loss with backward), ToR and direction also
beside the shortest torch spelling on top of it.

Run: python tools/credit_speed.py [--tokens 1000000] [--repeats 5]
Needs the wheel (python/README.md), torch and verl 0.9.1.
"""

import argparse
import time

import numpy as np
import torch
from verl.trainer.ppo import core_algos
from verl.workers.config import ActorConfig

import percept_rl

PROMPTS, GROUP = 512, 8


def batch(tokens, rng):
    rows = PROMPTS * GROUP
    mean = tokens // rows
    lengths = rng.integers(mean // 2, mean + mean // 2 + 1, rows)
    total = int(lengths.sum())
    old = -rng.exponential(0.7, total).astype(np.float32)
    experts = np.zeros(rows, dtype=bool)
    experts[::GROUP] = True
    flat = {
        "old_log_prob": old,
        "log_prob": np.minimum(old + rng.normal(0, 0.1, total), 0).astype(np.float32),
        "entropy": rng.exponential(1.0, total).astype(np.float32),
        "nucleus_entropy": np.maximum(rng.normal(0, 1, total), 0).astype(np.float32),
        "log_prob_no_image": (old - rng.exponential(0.5, total)).astype(np.float32),
    }
    ragged = {
        "offsets": np.concatenate([[0], np.cumsum(lengths)]),
        "group": np.repeat(np.arange(PROMPTS), GROUP),
        "reward": rng.integers(0, 2, rows).astype(float),
        "visual_entropy": np.repeat(rng.uniform(1, 5, PROMPTS), GROUP),
        **flat,
    }
    inside = np.arange(lengths.max()) < lengths[:, None]
    padded = {}
    for name in flat:
        square = np.zeros(inside.shape, dtype=np.float32)
        square[inside] = flat[name]
        padded[name] = torch.from_numpy(square)
    padded["mask"] = torch.from_numpy(inside)
    padded["scores"] = torch.zeros(inside.shape)
    padded["scores"][torch.arange(rows), torch.from_numpy(lengths) - 1] = torch.from_numpy(ragged["reward"]).float()
    return ragged, padded, experts


def torch_tor(padded):
    """ToR's weights as a torch user would write them."""
    mask = padded["mask"]
    weight = torch.zeros(mask.shape)
    count = -(-3 * int(mask.sum()) // 10)
    perception = (padded["old_log_prob"] - padded["log_prob_no_image"]).abs()
    for score, value in ((perception, 0.5), (padded["nucleus_entropy"], 1.0)):
        chosen = torch.topk(score.masked_fill(~mask, -1.0).flatten(), count).indices
        weight.view(-1)[chosen] = value
    return weight


def torch_direction(padded):
    return 1.0 + 0.1 * (1.0 - padded["old_log_prob"].exp())


def best(repeats, run):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    ragged, padded, experts = batch(args.tokens, np.random.default_rng(0))
    mixed = {**ragged, "is_expert": experts}
    actor = ActorConfig(strategy="fsdp", rollout_n=1, ppo_micro_batch_size_per_gpu=1, clip_ratio_low=0.2, clip_ratio_high=0.28)
    print(f"{ragged['offsets'][-1]:,} tokens, {PROMPTS} groups of {GROUP}, padded width {padded['mask'].shape[1]}, "
          f"{torch.get_num_threads()} torch threads; milliseconds, best of {args.repeats}")

    uid = np.array([f"{g}" for g in ragged["group"]], dtype=object)
    mask = padded["mask"]
    theirs = best(args.repeats, lambda: core_algos.compute_grpo_outcome_advantage(padded["scores"].clone(), mask, uid))
    vectorized = best(args.repeats, lambda: core_algos.compute_grpo_vectorized_outcome_advantage(padded["scores"].clone(), mask, uid))
    print(f"{'verl grpo':34} {theirs:9.1f}\n{'verl grpo_vectorized':34} {vectorized:9.1f}")
    for name, weight in (("direction", torch_direction), ("tor", torch_tor)):
        def both():
            advantage, _ = core_algos.compute_grpo_outcome_advantage(padded["scores"].clone(), mask, uid)
            return advantage * weight(padded)

        print(f"{'verl grpo × torch ' + name:34} {best(args.repeats, both):9.1f}")
    recipes = {
        "grpo": ({"advantage": "grpo"}, ragged),
        "durian": ({"advantage": "durian"}, ragged),
        "tgrl (advantage and weight)": ({"advantage": "tgrl", "token_weight": ["tgrl"]}, mixed),
        "grpo × direction": ({"token_weight": ["direction"]}, ragged),
        "grpo × tor": ({"token_weight": ["tor"]}, ragged),
        "durian × tor × direction": ({"advantage": "durian", "token_weight": ["tor", "direction"]}, ragged),
    }
    for name, (config, data) in recipes.items():
        ours = best(args.repeats, lambda: percept_rl.credit(config, data))
        print(f"{'percept ' + name:34} {ours:9.1f}   {theirs / ours:6.1f}× of verl grpo, {vectorized / ours:6.1f}× of vectorized")

    credit = percept_rl.credit({"advantage": "grpo"}, ragged)
    advantages = torch.zeros(mask.shape)
    advantages[mask] = torch.from_numpy(credit["advantage"])
    update = {key: ragged[key] for key in ("offsets", "log_prob", "old_log_prob")} | {"advantage": credit["advantage"]}
    for ours_name, theirs_name in (("ppo", "vanilla"), ("gspo", "gspo"), ("cispo", "cispo"), ("sapo", "sapo")):
        def torch_loss():
            log_prob = padded["log_prob"].clone().requires_grad_()
            loss, _ = core_algos.get_policy_loss_fn(theirs_name)(
                padded["old_log_prob"], log_prob, advantages, mask, "token-mean", actor)
            loss.backward()

        theirs = best(args.repeats, torch_loss)
        ours = best(args.repeats, lambda: percept_rl.policy_loss({"loss": {"policy_loss": ours_name}}, update))
        print(f"{'verl loss ' + theirs_name:34} {theirs:9.1f}\n{'percept loss ' + ours_name:34} {ours:9.1f}   {theirs / ours:6.1f}×")
        if ours_name == "ppo":
            fipo = {"token_weight": ["fipo"], "loss": {"policy_loss": "ppo"}}
            ours = best(args.repeats, lambda: percept_rl.policy_loss(fipo, update))
            print(f"{'percept loss ppo under fipo':34} {ours:9.1f}   {theirs / ours:6.1f}× of verl's loss alone")


if __name__ == "__main__":
    main()
