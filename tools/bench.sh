#!/usr/bin/env bash
# Speed of percept beside PyTorch + transformers, on the same model and rows, in one run.
#
#   tools/bench.sh MODEL_DIR        (for example runs/quickstart/checkpoints/step-001500)
#
# Needs Python with tools/requirements.txt ($PYTHON, default python3). Writes the section "Training and
# sampling" of docs/benchmarks.md. Runs percept, the peer, and percept again, so that a drifting load shows.
set -euo pipefail
model=$(realpath "$1")
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
percept=${PERCEPT:-}
if [ -z "$percept" ]; then
    cargo build --release -p percept-cli
    percept=$(cargo metadata --format-version 1 --no-deps | "$python" -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/percept
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$percept" data export --output "$work/data" --rows 128 > /dev/null

measure() { # label: SFT steps, GRPO steps, then sampling with 1, 16 and 64 sequences at once
    local run="$work/$1"
    local set=(--quiet --set "model.path=\"$model\"" --set "trainer.output_dir=\"$run\"" --set eval.max_samples=1)
    "$percept" train tools/bench.toml "${set[@]}" --set trainer.experiment_name=all > /dev/null
    for n in 1 16 64; do
        "$percept" train tools/bench.toml "${set[@]}" --set trainer.experiment_name="gen$n" \
            --set sft.steps=0 --set rl.train_batch_size=16 --set rl.ppo_mini_batch_size=16 \
            --set rollout.max_num_seqs="$n" > /dev/null
    done
}
measure first
"$python" tools/bench_peer.py "$model" "$work/data/data.jsonl" > "$work/peer.json"
measure second
"$python" tools/bench_table.py "$work" > "$work/section.md"
"$python" tools/put_section.py docs/benchmarks.md "Training and sampling" "$work/section.md"
cat "$work/section.md"
