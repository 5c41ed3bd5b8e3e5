#!/usr/bin/env python3
"""Kills a training run at random moments, resumes it each time, and compares what it leaves with an
uninterrupted run of the same recipe.

    python tools/kill_resume.py target/release/percept --kills 20 --seed 0

Compared byte for byte: every file of every checkpoint, rollouts, evaluations; metrics and states
without the fields that are times.
"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

TINY = """
[trainer]
experiment_name = "run"
output_dir = "runs"
save_freq = 2
[model.tiny]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 64
[data.digit_sum]
sft = { len = 64, seed = 1 }
rl = { len = 64, seed = 2 }
val = { split = "test", len = 4, seed = 3 }
[rollout]
max_completion_length = 24
num_generations = 4
[eval]
test_freq = 3
[sft]
steps = 20
train_batch_size = 8
optim = { lr = 3e-3, lr_scheduler_type = "cosine", lr_warmup_steps = 2 }
[rl]
steps = 20
train_batch_size = 8
ppo_mini_batch_size = 4
optim = { lr = 1e-3, lr_warmup_steps = 2 }
[[algorithm.filter]]
name = "dapo"
max_num_gen_batches = 2
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 60
"""

VARIANTS = {
    "plain": "",
    "reference": "[algorithm.loss]\nuse_kl_loss = true\nkl_coef = 0.1\n",
    "methods": """
[[algorithm.filter]]
name = "tgrl"
p_gate = 1.0
[[algorithm.token_weight]]
name = "tor"
[[algorithm.token_weight]]
name = "tgrl"
[[algorithm.token_weight]]
name = "fipo"
[algorithm.advantage]
name = "durian"
""",
    "dropout": "[model.lora]\nr = 4\nlora_dropout = 0.3\n",
    # Between the two other stages; ../pairs is made below.
    "preference": """
[dpo]
steps = 12
train_batch_size = 8
train_files = ["../pairs/data.jsonl"]
optim = { lr = 1e-3, lr_scheduler_type = "cosine" }
[preference]
loss = { name = "adavip", anchor_weight = 0.1 }
""",
}

PAIRS = "data export --task scenes --ask preference --rows 40 --cooccurrence 0.8 --output".split()

STEPS = 40

TIMES = {"time", "seconds", "perf/throughput", "perf/gen_tokens_per_s"}


def timeless(value):
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in TIMES and not k.startswith("timing_s/")}
        return {k: timeless(v) for k, v in kept.items()}
    if isinstance(value, list):
        return [timeless(v) for v in value]
    return value


def content(run: pathlib.Path) -> dict:
    found = {}
    for path in sorted(p for p in run.rglob("*") if p.is_file()):
        name = str(path.relative_to(run))
        if name in {"report.html", "summary.json", ".lock"} or name.startswith("tensorboard/"):
            continue
        if name == "metrics.jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif name.endswith("state.json"):
            found[name] = timeless(json.loads(path.read_text()))
        else:
            found[name] = path.read_bytes()
    return found


def lines(place: pathlib.Path) -> int:
    metrics = place / "runs/run/metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def differences(a, b, path: str = "") -> list:
    """Paths of what differs in two pieces of JSON; of files, their names."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = sorted(a.keys() | b.keys())
        return [d for k in keys for d in differences(a.get(k), b.get(k), f"{path}/{k}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f"{path}[{i}]")]
    if a == b:
        return []
    short = isinstance(a, (int, float, str)) and isinstance(b, (int, float, str))
    return [f"{path}: {a} != {b}" if short else path]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    binary = args.binary.resolve()
    draw = random.Random(args.seed)
    failed = 0
    for number, (variant, extra) in enumerate(VARIANTS.items()):
        kills = args.kills // len(VARIANTS) + (number < args.kills % len(VARIANTS))
        with tempfile.TemporaryDirectory() as folder:
            whole, killed = (pathlib.Path(folder) / name for name in ("whole", "killed"))
            subprocess.run([binary, *PAIRS, pathlib.Path(folder) / "pairs"], check=True, stdout=subprocess.DEVNULL)
            for place in (whole, killed):
                place.mkdir()
                (place / "recipe.toml").write_text(TINY + extra)
            command = [binary, "train", "recipe.toml", "--quiet"]
            clock = time.monotonic()
            subprocess.run(command, cwd=whole, check=True, stdout=subprocess.DEVNULL)
            took = time.monotonic() - clock
            landed, late = [], 0
            for _ in range(kills):
                # At a random moment of one of the next steps; before the first one now and then.
                wanted = lines(killed) + draw.randint(0, 2 * STEPS // (kills + 1))
                process = subprocess.Popen(
                    [*command, "--resume"], cwd=killed, stdout=subprocess.DEVNULL
                )
                while lines(killed) < wanted and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(draw.uniform(0.0, 2.0 * took / STEPS))
                process.kill()
                late += process.wait() != -signal.SIGKILL
                landed.append(lines(killed))
            subprocess.run([*command, "--resume"], cwd=killed, check=True, stdout=subprocess.DEVNULL)
            a, b = content(whole / "runs/run"), content(killed / "runs/run")
            differ = differences(a, b)
            failed += bool(differ)
            verdict = f"differ: {differ}" if differ else f"{len(a)} files equal"
            print(
                f"{variant}: {took:.1f} s uninterrupted, {kills} kills after steps {landed}"
                f" ({late} after the end): {verdict}"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
