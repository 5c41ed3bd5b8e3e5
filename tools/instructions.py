#!/usr/bin/env python3
"""Instructions of fixed work, compared with those of an earlier version: finds what got slower without a
quiet machine.

Usage: instructions.py [PERCEPT] [--update] [--tolerance PERCENT]

Runs each workload (training, supervised and with GRPO, on long rows with PHSA; long prompts and decoding, with
full attention and PHSA) on one thread under valgrind's callgrind (Debian: valgrind) and compares the number of
executed instructions with tools/instructions.json. Ends with 1 when one grew by more than the tolerance
(default 10 %), and then prints the functions that take most. --update writes the file instead. Valgrind
knows no AVX-512: the kernels run in their AVX2 form, whose loops are the same.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "tools" / "instructions.json"

MODEL = """
[model.tiny]
hidden_size = 64
num_hidden_layers = 2
[model.tiny.vision]
depth = 1
hidden_size = 64
fullatt_block_indexes = [0]
[[reward.functions]]
name = "accuracy"
[rollout]
num_generations = 4
max_completion_length = 24
[trainer]
output_dir = "."
save_freq = 0
rollout_freq = 0
"""

DIGITS = """
[data.digit_sum.sft]
len = 100
[data.digit_sum.rl]
len = 100
[data.digit_sum.val]
len = 4
"""

PHSA = '{ name = "phsa", init = 16, local = 128, top_k = 2 }'
SENTENCE = "What is the sum of the digits? "

# Recipes of training runs.
TRAIN = {
    # Packed supervised steps: every operator of training, forward and backward, and the optimiser.
    "sft": MODEL + DIGITS + "[sft]\nsteps = 3\ntrain_batch_size = 8\n",
    # Sampling, verification, credit and the update.
    "grpo": MODEL + DIGITS + '[rl]\nsteps = 2\ntrain_batch_size = 8\nppo_mini_batch_size = 8\n'
            '[algorithm.loss]\nentropy_coeff = 0.01\n',
    # A row of 1,800 tokens with sparse attention, forward and backward.
    "sft_phsa": MODEL + f'[model]\nattention = {PHSA}\n[data]\ntrain_files = ["rows.jsonl"]\n'
                "[sft]\nsteps = 1\ntrain_batch_size = 1\n",
}

PPL = ["--task", "ppl", "--text", "text.txt", "--length", "2048", "--limit", "1"]
NEEDLE = ["--task", "needle", "--length", "1024", "--depths", "4", "--samples", "1", "--max-tokens", "32"]

# Arguments of `percept eval long` on the model that `sft` trained.
LONG = {
    # 2,048 tokens through the decoder, as a prompt goes through it.
    "prefill": [*PPL, "--attention", "full"],
    "prefill_phsa": [*PPL, "--attention", PHSA],
    # Four prompts of about 990 tokens, 32 new ones each.
    "decode": [*NEEDLE, "--attention", "full"],
    "decode_phsa": [*NEEDLE, "--attention", PHSA],
}


def count(percept, name, folder):
    work = folder / name
    work.mkdir()
    (work / "text.txt").write_text(SENTENCE * 400)
    row = {"messages": [{"role": "user", "content": SENTENCE}, {"role": "assistant", "content": SENTENCE * 200}]}
    (work / "rows.jsonl").write_text(json.dumps(row) + "\n")
    if name in TRAIN:
        (work / "recipe.toml").write_text(TRAIN[name])
        arguments = ["train", "recipe.toml", "--quiet"]
    else:
        model = next(folder.glob("sft/*/checkpoints/step-*"))
        arguments = ["eval", "long", "--model", model, *LONG[name], "--quiet"]
    out = work / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", percept, *arguments]
    done = subprocess.run(command, cwd=work, env=os.environ | {"RAYON_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)
    return int(found[1]), out


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("percept", nargs="?", default=str(ROOT / "target" / "release" / "percept"))
    options.add_argument("--update", action="store_true")
    options.add_argument("--tolerance", type=float, default=10.0)
    options = options.parse_args()
    before = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    now, grown = {}, False
    with tempfile.TemporaryDirectory() as folder:
        for name in [*TRAIN, *LONG]:
            now[name], out = count(os.path.abspath(options.percept), name, pathlib.Path(folder))
            if name not in before or options.update:
                print(f"{name}: {now[name] / 1e6:,.1f} million instructions")
                continue
            change = 100 * (now[name] / before[name] - 1)
            print(f"{name}: {now[name] / 1e6:,.1f} million instructions, {change:+.1f} %")
            if change > options.tolerance:
                grown = True
                subprocess.run(["callgrind_annotate", "--threshold=60", out])
    if options.update:
        RECORD.write_text(json.dumps(now, indent=1) + "\n")
    sys.exit(1 if grown and not options.update else 0)


if __name__ == "__main__":
    main()
