#!/usr/bin/env python3
"""Preference training of percept beside TRL's DPOTrainer: same model, rows, order, optimiser.

Usage: preference_train_reference.py PERCEPT MODEL_DIR [STEPS [PAIRS]]

PERCEPT is the binary, MODEL_DIR a small vision-language checkpoint that answers digit-sum questions (of `percept
quickstart`, or a recipe with `[sft]` alone). Pairs are digit-sum questions with their picture, a right expert
trajectory and one that misreads; STEPS (default 20) steps of PAIRS (default 8) pairs each, AdamW, f32, DPO with beta 0.1.
Prints the largest relative differences of losses, margins and final weights, and seconds and peak memory of both; exits
with 1 where a difference is above 1e-3.
"""

import argparse
import json
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

TOLERANCE = 1e-3
LEARNING_RATE = 1e-5
SKIPPED = 2  # steps that fill caches, on both sides; they count in the comparison of values, not of seconds

RECIPE = """
[trainer]
output_dir = "{out}"
experiment_name = "{name}"
save_freq = 0
rollout_freq = 0
[model]
path = "{model}"
[data]
train_files = ["{data}"]
shuffle = false
[preference]
loss = {{ name = "dpo", beta = 0.1 }}
[dpo]
steps = {steps}
train_batch_size = {pairs}
optim = {{ lr = {lr}, weight_decay = 0.0, clip_grad = 1.0 }}
"""


def misread(answer, rng):
    """A trajectory with another digit in each number."""
    return re.sub(r"\d+", lambda found: str(int(found.group()) + rng.randint(1, 3)), answer)


def write_pairs(binary, work, count):
    """Rows as both sides read them: TRL's columns, conversational."""
    data = work / "data"
    subprocess.run([binary, "data", "export", "--output", data, "--rows", str(count), "--quiet"], check=True)
    rng = random.Random(0)
    rows = []
    for line in (data / "data.jsonl").read_text().splitlines():
        row = json.loads(line)
        good = row["expert"]
        rows.append({"prompt": row["messages"], "images": row["images"],
                     "chosen": [{"role": "assistant", "content": good}],
                     "rejected": [{"role": "assistant", "content": misread(good, rng)}]})
    pairs = data / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return pairs


def run_percept(binary, model, pairs, work, steps, size):
    recipe = work / "dpo.toml"
    recipe.write_text(RECIPE.format(out=work, name="dpo", model=model, data=pairs, steps=steps, pairs=size,
                                    lr=LEARNING_RATE))
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    subprocess.run([binary, "train", recipe, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    rows = [json.loads(line) for line in (work / "dpo" / "metrics.jsonl").read_text().splitlines()]
    last = sorted((work / "dpo" / "checkpoints").iterdir())[-1]
    return {"loss": [row["train/loss"] for row in rows], "margin": [row["rewards/margins"] for row in rows],
            "seconds": [row["timing_s/step"] for row in rows], "weights": last, "kib": max(before, peak),
            # All there is before the first step, nearly all of it the reference: TRL asks it in every step.
            "before": rows[0]["time"] - rows[0]["timing_s/step"]}


def run_trl(model, pairs, work, steps, size):
    """In a process of its own, so that its memory is its own."""
    out = work / "trl.json"
    subprocess.run([sys.executable, __file__, "--trl", model, pairs, str(out), str(steps), str(size)], check=True,
                   stdout=subprocess.DEVNULL)
    found = json.loads(out.read_text())
    return {**found, "weights": pathlib.Path(found["weights"])}


def trl_side(model, pairs, out, steps, size):
    import torch
    from datasets import Dataset
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(2)
    pairs, out = pathlib.Path(pairs), pathlib.Path(out)
    processor = AutoProcessor.from_pretrained(model)
    # What the tokenizer puts in front of a text: TRL's collator leaves it out where no template writes it (LLaVA's).
    start = processor.tokenizer.decode(processor.tokenizer("").input_ids)
    first = processor.tokenizer.convert_ids_to_tokens(processor.tokenizer("x", add_special_tokens=False).input_ids)[0]

    def row(line):
        row = json.loads(line)
        turns = [{**turn, "content": [{"type": "image"} if part == "<image>" else {"type": "text", "text": part}
                                      for part in re.split("(<image>)", turn["content"]) if part]}
                 if isinstance(turn["content"], str) else turn for turn in row["prompt"]]
        prompt = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)

        def answer(turn):
            """A text, not a turn: what the template writes, without the line break behind the end token, which no model
            samples, and without the space that a tokenizer of TRL's separate texts puts in front of it anyway."""
            parts = [{"type": "text", "text": turn["content"]}]
            text = processor.apply_chat_template(turns + [{**turn, "content": parts}], tokenize=False)
            text = text.removeprefix(prompt).removesuffix("\n")
            return text.removeprefix(" ") if first.startswith("\u2581") else text

        return {"prompt": start + prompt, "chosen": answer(row["chosen"][0]), "rejected": answer(row["rejected"][0]),
                "images": [Image.open(pairs.parent / name).convert("RGB") for name in row["images"]]}

    rows = [row(line) for line in pairs.read_text().splitlines()]

    class InOrder(DPOTrainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def training_step(self, *args, **kwargs):
            starts.append(time.perf_counter())
            return super().training_step(*args, **kwargs)

    starts = []
    trainer = InOrder(
        AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        args=DPOConfig(output_dir=str(out.parent / "trl"), per_device_train_batch_size=size, max_steps=steps,
                       learning_rate=LEARNING_RATE, lr_scheduler_type="constant", warmup_steps=0, weight_decay=0.0,
                       max_grad_norm=1.0, beta=0.1, max_length=None, logging_steps=1, report_to=[],
                       save_strategy="no", use_cpu=True, bf16=False, gradient_checkpointing=False,
                       disable_tqdm=True, remove_unused_columns=False),
        train_dataset=Dataset.from_list(rows), processing_class=processor)
    trainer.train()
    starts.append(time.perf_counter())
    log = [entry for entry in trainer.state.log_history if "rewards/margins" in entry]
    folder = out.parent / "trl-model"
    trainer.save_model(str(folder))
    out.write_text(json.dumps({
        "loss": [entry["loss"] for entry in log], "margin": [entry["rewards/margins"] for entry in log],
        "seconds": [b - a for a, b in zip(starts, starts[1:])], "weights": str(folder),
        "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def tensors(folder):
    from safetensors.torch import load_file

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        found.update(load_file(file))
    return found


def weight_difference(model, ours, theirs):
    """Largest difference of a tensor relative to it, and relative to what training changed of it; tensors compared, of
    how many."""
    base, ours, theirs = tensors(model), tensors(ours), tensors(theirs)

    def of(tensors, name):
        # Names of the hub's older files, which percept writes.
        aliases = (name, name.replace("model.language_model.", "model."), name.replace("model.visual.", "visual."),
                   name.replace("model.language_model.", "language_model.model."), f"language_model.{name}",
                   name.replace("vision_tower.", "vision_tower.vision_model."))
        return next((tensors[alias].double() for alias in aliases if alias in tensors), None)

    worst, of_change, shared = 0.0, 0.0, 0
    for name, their in theirs.items():
        mine, start, their = of(ours, name), of(base, name), their.double()
        if mine is None or start is None:
            continue
        shared += 1
        # CLIP's key biases: no rotation, so soft-max takes them out; their gradient is rounding, and AdamW steps by its sign.
        if "vision_tower" in name and name.endswith("k_proj.bias"):
            continue
        difference = (mine - their).norm().item()
        worst = max(worst, difference / max(their.norm().item(), 1e-12))
        of_change = max(of_change, difference / max((their - start).norm().item(), 1e-12))
    return worst, of_change, shared, len(theirs)


def relative(ours, theirs):
    scale = max(map(abs, theirs))
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / scale


def main():
    if sys.argv[1:2] == ["--trl"]:
        model, pairs, out, steps, size = sys.argv[2:]
        return trl_side(model, pairs, out, int(steps), int(size))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percept")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("steps", type=int, nargs="?", default=20)
    parser.add_argument("pairs", type=int, nargs="?", default=8)
    args = parser.parse_args()
    model = args.model.resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        pairs = write_pairs(args.percept, work, args.steps * args.pairs)
        ours = run_percept(args.percept, model, pairs, work, args.steps, args.pairs)
        theirs = run_trl(model, pairs, work, args.steps, args.pairs)
        weights, of_change, shared, all_of = weight_difference(model, ours["weights"], theirs["weights"])
    differences = {"loss": relative(ours["loss"], theirs["loss"]),
                   "rewards/margins": relative(ours["margin"], theirs["margin"]), "weights": weights}
    for name, difference in differences.items():
        print(f"{name}: largest relative difference {difference:.1e}")
    print(f"weights, relative to what training changed: {of_change:.1e} (not bounded: AdamW's steps do not shrink with a "
          "gradient that is all rounding)")
    print(f"{shared} of {all_of} tensors compared; last loss {ours['loss'][-1]:.6f} and {theirs['loss'][-1]:.6f}, "
          f"last margin {ours['margin'][-1]:.6f} and {theirs['margin'][-1]:.6f}")
    mine = statistics.median(ours["seconds"][SKIPPED:]) + ours["before"] / args.steps
    other = statistics.median(theirs["seconds"][SKIPPED:])
    print(f"seconds a step, the reference included: percept {mine:.3f}, TRL {other:.3f} ({other / mine:.1f} x); "
          f"peak MiB: {ours['kib'] >> 10}, {theirs['kib'] >> 10} ({ours['kib'] / theirs['kib']:.2f} x)")
    sys.exit(any(difference > TOLERANCE for difference in differences.values()) or shared < all_of)


if __name__ == "__main__":
    main()
