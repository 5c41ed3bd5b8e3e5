"""The peer of `percept bench --suite grpo`: TRL's GRPOTrainer on the same model, prompts and lengths, f32.

Arguments: threads, steps that count, a folder with `model` and `data/data.jsonl`. Prints one JSON object;
times are medians in milliseconds. tools/bench_trl.py measures a trained model with the same code.
"""

import contextlib
import json
import pathlib
import statistics
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

SKIPPED = 2  # steps that fill caches, on both sides
VERSION = f"torch {torch.__version__}, transformers {transformers.__version__}, TRL {trl.__version__}"


class Timed(GRPOTrainer):
    """TRL's trainer with the time of its phases."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.starts, self.seconds = [], {"generation": [], "reward": [], "prepared": []}

    def timed(self, phase, work, *args, **kwargs):
        start = time.perf_counter()
        found = work(*args, **kwargs)
        self.seconds[phase].append(time.perf_counter() - start)
        return found

    def _generate(self, *args, **kwargs):
        return self.timed("generation", super()._generate, *args, **kwargs)

    def _calculate_rewards(self, *args, **kwargs):
        return self.timed("reward", super()._calculate_rewards, *args, **kwargs)

    def _generate_and_score_completions(self, *args, **kwargs):
        return self.timed("prepared", super()._generate_and_score_completions, *args, **kwargs)

    def training_step(self, *args, **kwargs):
        self.starts.append(time.perf_counter())
        loss = super().training_step(*args, **kwargs)
        self.ended = time.perf_counter()
        return loss


def text(completion):
    return completion if isinstance(completion, str) else completion[0]["content"]


def short(completions, **_):
    """percept's reward `length` of grpo.toml."""
    return [max(0.0, 1.0 - len(text(c)) / 1000) for c in completions]


def measure(model, data, prompts, steps, reward, work, parts=1):
    """Medians in seconds of `steps` steps after SKIPPED others, and the mean length of responses. Each step is
    computed in `parts` (gradient accumulation: less memory, the same gradient)."""
    rows = [json.loads(line) for line in (data / "data.jsonl").read_text().splitlines()]
    dataset = Dataset.from_list([
        {"prompt": row["messages"], "answer": row["answer"],
         "images": [Image.open(data / name).convert("RGB") for name in row["images"]]}
        for row in rows
    ])
    trainer = Timed(
        AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        reward,
        args=GRPOConfig(
            output_dir=str(work / "trl"), per_device_train_batch_size=prompts * 8 // parts,
            gradient_accumulation_steps=parts, num_generations=8, max_completion_length=48,
            max_steps=SKIPPED + steps, learning_rate=1e-6, report_to=[], save_strategy="no", logging_steps=1,
            use_cpu=True, bf16=False, seed=1, gradient_checkpointing=False, disable_tqdm=True, beta=0.0,
            temperature=1.0, top_k=0, top_p=1.0, shuffle_dataset=False,
        ),
        train_dataset=dataset,
        processing_class=AutoProcessor.from_pretrained(model),
    )
    trainer.train()
    # A step is `parts` calls; its time runs to the first call of the next one, the optimiser included.
    firsts = trainer.starts[::parts] + [trainer.ended]
    whole = [b - a for a, b in zip(firsts, firsts[1:])]
    found = {name: statistics.median(seconds[SKIPPED:]) for name, seconds in trainer.seconds.items()}
    prepared = trainer.seconds["prepared"]
    found["step"] = statistics.median(whole[SKIPPED:])
    found["update"] = statistics.median([a - b for a, b in zip(whole, prepared)][SKIPPED:])
    log = [entry for entry in trainer.state.log_history if "completions/mean_length" in entry]
    found["tokens"] = statistics.median(entry["completions/mean_length"] for entry in log[SKIPPED:])
    return found


def main():
    threads, steps, folder = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as work, contextlib.redirect_stdout(sys.stderr):
        found = measure(folder / "model", folder / "data", 16, steps, short, pathlib.Path(work))
    rows = {f"grpo/{name}": found[name] * 1e3 for name in ("step", "generation", "reward", "update")}
    print(json.dumps({"version": VERSION, "rows": rows}))


if __name__ == "__main__":
    main()
