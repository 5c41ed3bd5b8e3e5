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
import time

import torch
import transformers
import trl
from datasets import Dataset
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

STEPS = 6
SKIPPED = 2  # the first steps fill caches on both sides

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
    text = completion if isinstance(completion, str) else completion[0]["content"]
    found = re.findall(r"\\boxed\{([^}]*)\}", text)
    return found[-1] if found else None


def accuracy(completions, answer, **_):
    return [float(boxed(c) == a) for c, a in zip(completions, answer)]


class Timed(GRPOTrainer):
    """TRL's trainer with the time of its generation."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sampling, self.starts = [], []

    def _generate(self, *args, **kwargs):
        start = time.perf_counter()
        found = super()._generate(*args, **kwargs)
        self.sampling.append(time.perf_counter() - start)
        return found

    def training_step(self, *args, **kwargs):
        self.starts.append(time.perf_counter())
        loss = super().training_step(*args, **kwargs)
        self.ended = time.perf_counter()
        return loss


def peer(model, data, prompts, work):
    rows = [json.loads(line) for line in (data / "data.jsonl").read_text().splitlines()]
    dataset = Dataset.from_list([
        {"prompt": row["messages"], "answer": row["answer"],
         "images": [Image.open(data / name).convert("RGB") for name in row["images"]]}
        for row in rows
    ])
    # Gradient accumulation keeps memory as it is on such machines; it changes no gradient.
    parts = max(1, prompts // 8)
    trainer = Timed(
        AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        accuracy,
        args=GRPOConfig(
            output_dir=str(work / "trl"), per_device_train_batch_size=prompts * 8 // parts,
            gradient_accumulation_steps=parts, num_generations=8, max_completion_length=48,
            max_steps=STEPS, learning_rate=1e-6, report_to=[], save_strategy="no", logging_steps=1,
            use_cpu=True, bf16=False, seed=1, gradient_checkpointing=False, disable_tqdm=True, beta=0.0,
            temperature=1.0, top_k=0, top_p=1.0, shuffle_dataset=False,
        ),
        train_dataset=dataset,
        processing_class=AutoProcessor.from_pretrained(model),
    )
    trainer.train()
    # A step is `parts` calls; its time runs to the first call of the next one, the optimiser included.
    firsts = trainer.starts[::parts] + [trainer.ended]
    steps = [b - a for a, b in zip(firsts, firsts[1:])][SKIPPED:]
    log = [entry for entry in trainer.state.log_history if "completions/mean_length" in entry]
    return {"step": statistics.median(steps), "sampling": statistics.median(trainer.sampling[SKIPPED:]),
            "tokens": statistics.median(entry["completions/mean_length"] for entry in log[SKIPPED:])}


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
            other = peer(model, data, prompts, work)
        second = percept(binary, model, prompts, work, "second")
    ours = (first["step"] + second["step"]) / 2
    sampling = (first["sampling"] + second["sampling"]) / 2
    print(f"""## A GRPO step beside TRL

Made by `tools/bench_trl.py PERCEPT MODEL_DIR` with torch {torch.__version__}, transformers {transformers.__version__},
TRL {trl.__version__}, 2 threads, f32: the quick start's model, {prompts} prompts with one image, 8 responses each of at most
48 tokens, one update. Medians of {STEPS - SKIPPED} steps; percept ran before and after TRL. Mean response:
{first['tokens']:.1f} tokens (percept), {other['tokens']:.1f} (TRL).

| | percept (two runs) | TRL | percept is |
|---|---|---|---|
| whole step, s | {first['step']:.2f} / {second['step']:.2f} | {other['step']:.2f} | {other['step'] / ours:.1f} × |
| of it sampling, s | {first['sampling']:.2f} / {second['sampling']:.2f} | {other['sampling']:.2f} | {other['sampling'] / sampling:.1f} × |

In {100 * first['uniform']:.0f} % of percept's groups all rewards were equal; they need no update and get none, TRL computes them.""")


if __name__ == "__main__":
    main()
