#!/usr/bin/env python3
"""Does preference training make a model look? A model that hallucinates planted company, and what each loss makes of it.

Usage: preference_scenes.py PERCEPT DIR [--seeds 0 1 2] [--steps 200] [--losses dpo mdpo adavip …]

For each seed: a small model learns descriptions and questions of `scenes` in a world that keeps company (`base`: it names
companions that are not there), and is trained further from there on the same preference pairs of a world that keeps none,
with equal steps, by each loss; `sft` learns the chosen descriptions of the same rows (the control: is it the contrast, or
the data?). A rejected description names one shape that is not there, a rejected picture lacks one that the chosen
description names. All are asked for descriptions of 1,000 new pictures of the world without company, greedily, and
Causal-HalBench's questions on 300 pairs. Counts as Object HalBench's: mention level = hallucinated mentions / mentions,
response level = answers with a hallucinated mention / answers with any, coverage = shapes named / shapes there.
Differences to `base` and to `dpo` are paired over seeds and pictures, with 95 % bootstrap intervals. Prints Markdown;
everything is kept in DIR, and a second call goes on where the first stopped.
"""

import argparse
import json
import pathlib
import random
import re
import statistics
import subprocess

SHAPES = ["square", "disc", "ring", "cross", "triangle", "diamond", "bar", "star"]
BIASED, BALANCED = 0.99, 0.5
SFT_STEPS = 400

BASE = """
[model.tiny]
corpus = "scenes"

[model.tiny.vision]
depth = 2
hidden_size = 128
intermediate_size = 384
patch_size = 14
window_size = 280
fullatt_block_indexes = [1]

[sft]
steps = {steps}
train_batch_size = 64
optim = {{ lr = 1e-3, lr_scheduler_type = "cosine", lr_warmup_steps = 30, min_lr_ratio = 0.05, beta2 = 0.99 }}
"""

OPTIM = 'optim = { lr = 2e-4, lr_scheduler_type = "cosine", lr_warmup_steps = 10, min_lr_ratio = 0.05, weight_decay = 0.0 }'

FURTHER = """
[model]
path = "{model}"

[{stage}]
steps = {steps}
train_batch_size = 32
{optim}
{rest}
"""

# Options are the losses' defaults but for two rows, which tell what the anchor does from what the picture does.
LOSSES = {
    "dpo": '"dpo"',
    "dpo, rpo_alpha 1": '{ name = "dpo", rpo_alpha = 1.0 }',
    "mdpo": '"mdpo"',
    "chip": '"chip"',
    "adavip": '"adavip"',
    "adavip, anchor_weight 1": '{ name = "adavip", anchor_weight = 1.0 }',
}


class Runs:
    def __init__(self, percept, folder, seed, steps):
        self.percept, self.steps, self.seed = percept, steps, seed
        self.folder = folder / f"seed-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)

    def call(self, *args):
        subprocess.run([self.percept, *map(str, args)], check=True, stdout=subprocess.DEVNULL)

    def rows(self, name, ask, cooccurrence, count, seed):
        data = self.folder / name
        if not (data / "data.jsonl").exists():
            self.call("data", "export", "--task", "scenes", "--ask", ask, "--rows", count, "--cooccurrence", cooccurrence,
                      "--seed", seed, "--output", data)
        return data / "data.jsonl"

    def train(self, name, recipe, files, steps):
        last = self.folder / name / "checkpoints" / f"step-{steps:06d}"
        if not last.exists():
            path = self.folder / f"{name}.toml"
            files = ", ".join(json.dumps(str(file.resolve())) for file in files)
            path.write_text(f"[trainer]\nexperiment_name = \"{name}\"\noutput_dir = {json.dumps(str(self.folder.resolve()))}\n"
                            f"seed = {self.seed}\nsave_freq = 0\nrollout_freq = 0\n[data]\ntrain_files = [{files}]\n{recipe}")
            self.call("train", path, "--resume", "--quiet")
        return last

    def answers(self, model, questions):
        out = model.parents[1] / "answers.jsonl"
        if not out.exists():
            self.call("generate", "--model", model, "--input", questions, "--output", out, "--max-tokens", 48,
                      "--temperature", 0)
        return [json.loads(line)["completion"] for line in out.read_text().splitlines()]

    def cac(self, model):
        """Causal-HalBench's CAC, in percent."""
        bench, out = self.folder / "bench", model.parents[1] / "causal"
        if not (bench / "qa.json").exists():
            self.call("halbench", "scenes", "--out", bench, "--pairs", 300, "--seed", 1000 + self.seed)
        if not (out / "summary.json").exists():
            self.call("--quiet", "eval", "causal-halbench", "--data", bench, "--model", model, "--output", out)
        return json.loads((out / "summary.json").read_text())

    def models(self, losses):
        base_files = [self.rows("base-descriptions", "description", BIASED, 20000, self.seed),
                      self.rows("base-questions", "presence", BIASED, 20000, self.seed)]
        base = self.train("base", BASE.format(steps=SFT_STEPS), base_files, SFT_STEPS)
        pairs = self.rows("pairs", "preference", BALANCED, 32 * self.steps, 500 + self.seed)
        yield "base", base
        chosen = pairs.with_name("chosen.jsonl")
        if not chosen.exists():
            rows = map(json.loads, pairs.read_text().splitlines())
            kept = ({"messages": row["prompt"] + row["chosen"], "images": row["images"]} for row in rows)
            chosen.write_text("".join(json.dumps(row) + "\n" for row in kept))
        path = json.dumps(str(base.resolve()))[1:-1]
        recipe = FURTHER.format(model=path, stage="sft", steps=self.steps, optim=OPTIM, rest="")
        yield "sft", self.train("sft", recipe, [chosen], self.steps)
        for loss in losses:
            rest = f"[preference]\nloss = {LOSSES[loss]}"
            recipe = FURTHER.format(model=path, stage="dpo", steps=self.steps, optim=OPTIM, rest=rest)
            yield loss, self.train(re.sub(r"\W+", "-", loss), recipe, [pairs], self.steps)


def counts(answer, there):
    """Mentions, hallucinated mentions, shapes there, shapes named; every shape once."""
    named = {shape for shape in SHAPES if re.search(rf"\b{shape}\b", answer)}
    there = set(there)
    return len(named), len(named - there), len(there), len(named & there)


def rates(rows):
    mentions, wrong = sum(r[0] for r in rows), sum(r[1] for r in rows)
    some, any_wrong = sum(r[0] > 0 for r in rows), sum(r[1] > 0 for r in rows)
    return {"mention level": 100 * wrong / max(mentions, 1), "response level": 100 * any_wrong / max(some, 1),
            "coverage": 100 * sum(r[3] for r in rows) / max(sum(r[2] for r in rows), 1)}


def interval(a, b, seed=0, draws=1000):
    """Paired difference of the rates of two lists of rows, b - a, with its bootstrap interval over pictures."""
    rng = random.Random(seed)
    found = {name: [] for name in rates(a)}
    for _ in range(draws):
        drawn = [rng.randrange(len(a)) for _ in a]
        first, second = rates([a[i] for i in drawn]), rates([b[i] for i in drawn])
        for name in found:
            found[name].append(second[name] - first[name])
    first, second = rates(a), rates(b)
    spans = {name: statistics.quantiles(values, n=40) for name, values in found.items()}
    return {name: (second[name] - first[name], spans[name][0], spans[name][-1]) for name in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("percept")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--losses", nargs="+", default=list(LOSSES), choices=list(LOSSES))
    args = parser.parse_args()
    names = ["base", "sft", *args.losses]
    rows = {name: [] for name in names}
    cac = {name: [] for name in names}
    for seed in args.seeds:
        runs = Runs(args.percept, args.folder, seed, args.steps)
        questions = runs.rows("held-out", "description", BALANCED, 1000, 9000 + seed)
        there = [json.loads(line)["shapes"] for line in questions.read_text().splitlines()]
        for name, model in runs.models(args.losses):
            answers = runs.answers(model, questions)
            rows[name] += [counts(answer, shapes) for answer, shapes in zip(answers, there, strict=True)]
            cac[name].append(runs.cac(model))
            print(f"seed {seed}, {name}: {rates(rows[name][-len(there):])}", flush=True)
    metric = "cac"
    print(f"\n{len(args.seeds)} seeds, {args.steps} steps of 32 pairs, {len(rows['base'])} descriptions.\n")
    print("| model | mention level, % | response level, % | coverage, % | CAC, % |\n|---|---|---|---|---|")
    for name in names:
        r = rates(rows[name])
        found = [summary["metrics"][metric] for summary in cac[name]]
        values = [100 * (value["mean"] if isinstance(value, dict) else value) for value in found]
        print(f"| {name} | {r['mention level']:.1f} | {r['response level']:.1f} | {r['coverage']:.1f} | "
              f"{statistics.mean(values):.1f} |")
    for reference in ("base", "dpo"):
        if reference not in rows:
            continue
        print(f"\nDifferences to {reference}, in points, with 95 % intervals:\n")
        print("| model | mention level | response level | coverage |\n|---|---|---|---|")
        for name in names:
            if name in ("base", reference):
                continue
            found = interval(rows[reference], rows[name])
            cells = [f"{d:+.1f} [{low:+.1f}, {high:+.1f}]" for d, low, high in found.values()]
            print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
