#!/usr/bin/env python3
"""Makes docs/benchmarks.md from what tools/bench.sh measured (a folder with two runs and peer.json)."""

import datetime
import json
import pathlib
import platform
import statistics
import sys

work = pathlib.Path(sys.argv[1])
peer = json.loads((work / "peer.json").read_text())


def steps(label, run, stage):
    lines = (work / label / run / "metrics.jsonl").read_text().splitlines()
    found = [row for row in map(json.loads, lines) if row["stage"] == stage]
    return found[1:]  # the first step pays for cold caches


def median(run, stage, name):
    """Median of each of the two runs."""
    return [statistics.median(r[name] for r in steps(label, run, stage)) for label in ("first", "second")]


def cpu():
    text = pathlib.Path("/proc/cpuinfo").read_text() if pathlib.Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return f"{names[0]} × {len(names)}" if names else platform.processor()


def rate(values, other):
    best = statistics.mean(values)
    return f"{values[0]:,.0f} / {values[1]:,.0f} | {other:,.0f} | {best / other:.1f} ×"


def seconds(values, other):
    mean = statistics.mean(values)
    return f"{values[0]:.2f} / {values[1]:.2f} | {other:.2f} | {other / mean:.1f} ×"


rows = [("SFT, 32 rows, tokens/s", rate(median("all", "sft", "perf/throughput"), peer["sft_tokens_per_s"]))]
for n in (1, 16, 64):
    values = median(f"gen{n}", "rl", "perf/gen_tokens_per_s")
    rows.append((f"sampling, {n} at once, tokens/s", rate(values, peer[f"generate_{n}_tokens_per_s"])))
rows.append(("GRPO step, 128 × 8, sampling, s", seconds(median("all", "rl", "timing_s/gen"), peer["grpo_gen_s"])))
rows.append(("GRPO step, update, s", seconds(median("all", "rl", "timing_s/update_actor"), peer["grpo_update_s"])))
reward = median("all", "rl", "timing_s/reward")

print(f"""## Training and sampling

Made by `tools/bench.sh MODEL_DIR` on {datetime.date.today()}: {cpu()}, {peer['threads']} threads, torch {peer['torch']},
transformers with sdpa attention, both in f32. The model is that of the quick start (1.7 million parameters, Qwen2.5-VL
architecture), the rows are those of `digit-sum`. percept runs before and after the peer; both values are shown, and the
ratio takes their mean. Only real tokens count, and percept's SFT tokens are those of the packed batch.

| | percept (two runs) | PyTorch + transformers | percept is |
|---|---|---|---|""")
for name, cells in rows:
    print(f"| {name} | {cells} |")
print(f"""
Verification of 1 024 responses takes {statistics.mean(reward) * 1000:.1f} ms. Sampling includes the vision tower and the
prefill of each prompt on both sides; the peer's `generate` computes the prompt again for each of a prompt's responses and
runs until the longest response of its batch has ended. percept's update leaves out responses with zero advantage (all
rewards of a group equal), which changes no gradient; the peer's update computes all of them, as TRL does.""")
