#!/usr/bin/env python3
"""A GRPO step of percept beside TRL's, on the same model, prompts, group size and lengths.

Usage: bench_trl.py PERCEPT MODEL_DIR [PROMPTS]

PERCEPT is the binary, MODEL_DIR a trained vision-language checkpoint (of `percept quickstart`, for
example). Both take PROMPTS (default 32) digit-sum prompts with one image each, 8 responses of at most
48 tokens, one update over all of them, f32, the same reward (accuracy). Prints the section "A GRPO step
beside TRL" of docs/benchmarks.md; percept runs before and after TRL.
"""

import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "crates/cli/src/commands/bench"))
from peer_grpo import SKIPPED, VERSION, measure, text  # noqa: E402

STEPS = 6

RECIPE = """
[trainer]
output_dir = "{out}"
experiment_name = "{name}"
save_freq = 0
rollout_freq = 0
[model]
path = "{model}"
[data.digit_sum.sft]
len = 8
[data.digit_sum.rl]
len = 100000
seed = 2
[data.digit_sum.val]
len = 8
[[reward.functions]]
name = "accuracy"
[rl]
steps = {steps}
train_batch_size = {prompts}
ppo_mini_batch_size = {prompts}
optim = {{ lr = 1e-6 }}
[rollout]
num_generations = 8
max_completion_length = 48
"""


def percept(binary, model, prompts, work, name):
    recipe = work / f"{name}.toml"
    recipe.write_text(RECIPE.format(out=work, name=name, model=model, prompts=prompts, steps=STEPS))
    subprocess.run([binary, "train", recipe, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (work / name / "metrics.jsonl").read_text().splitlines()]
    rows = rows[SKIPPED:]

    def median(key):
        return statistics.median(row[key] for row in rows)

    whole, sampling = median("timing_s/step"), median("timing_s/gen")
    return {"step": whole, "sampling": sampling, "tokens": median("response_length/mean"),
            "uniform": median("reward/frac_zero_std")}


def boxed(completion):
    found = re.findall(r"\\boxed\{([^}]*)\}", text(completion))
    return found[-1] if found else None


def accuracy(completions, answer, **_):
    return [float(boxed(c) == a) for c, a in zip(completions, answer)]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    binary, model = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    prompts = int(sys.argv[3]) if len(sys.argv) == 4 else 32
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        data = work / "data"
        subprocess.run([binary, "data", "export", "--output", data, "--rows", str(prompts * STEPS)],
                       check=True, stdout=subprocess.DEVNULL)
        first = percept(binary, model, prompts, work, "first")
        with contextlib.redirect_stdout(sys.stderr):  # TRL logs to standard output
            # Gradient accumulation keeps memory as it is on such machines; it changes no gradient.
            other = measure(model, data, prompts, STEPS - SKIPPED, accuracy, work, max(1, prompts // 8))
        second = percept(binary, model, prompts, work, "second")
    ours = (first["step"] + second["step"]) / 2
    sampling = (first["sampling"] + second["sampling"]) / 2
    print(f"""## A GRPO step beside TRL

Made by `tools/bench_trl.py PERCEPT MODEL_DIR` with {VERSION},
2 threads, f32: the quick start's model, {prompts} prompts with one image, 8 responses each of at most
48 tokens, one update. Medians of {STEPS - SKIPPED} steps; percept ran before and after TRL. Mean response:
{first['tokens']:.1f} tokens (percept), {other['tokens']:.1f} (TRL).

| | percept (two runs) | TRL | percept is |
|---|---|---|---|
| whole step, s | {first['step']:.2f} / {second['step']:.2f} | {other['step']:.2f} | {other['step'] / ours:.1f} × |
| of it sampling, s | {first['sampling']:.2f} / {second['sampling']:.2f} | {other['generation']:.2f} | {other['generation'] / sampling:.1f} × |

In {100 * first['uniform']:.0f} % of percept's groups all rewards were equal; they need no update and get none, TRL computes them.""")


if __name__ == "__main__":
    main()
