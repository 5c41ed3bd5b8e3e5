#!/usr/bin/env bash
# Does Causal-HalBench see a bias that was planted? Two small models learn the same questions on
# `scenes`, one where shapes keep company (0.95), one where they do not (0.5); the benchmark measures
# both and compares them. Some ten minutes on two cores.
#
#     tools/scenes_bias.sh DIR [SEED]
#
# PERCEPT: the program (default target/release/percept).
set -euo pipefail
contrast=1.0
work=${1:?give a folder}
seed=${2:-0}
percept=${PERCEPT:-target/release/percept}
mkdir -p "$work"

cat > "$work/recipe.toml" <<'TOML'
[model.tiny]
corpus = "scenes"

[model.tiny.vision]
depth = 2
hidden_size = 128
intermediate_size = 384
patch_size = 14
window_size = 280
fullatt_block_indexes = [1]

[data]
train_files = []

[sft]
steps = 600
train_batch_size = 64
optim = { lr = 5e-4, lr_scheduler_type = "cosine", lr_warmup_steps = 30, min_lr_ratio = 0.05, beta2 = 0.99 }
TOML

[ -e "$work/bench/qa.json" ] || "$percept" halbench scenes --out "$work/bench" --pairs 300 --seed "$((1000 + seed))" \
    --contrast $contrast
for world in biased:0.98 balanced:0.5; do
    name=${world%:*}
    data=$work/data-$name
    [ -e "$data/data.jsonl" ] ||
        "$percept" data export --task scenes --rows 20000 --cooccurrence "${world#*:}" --contrast $contrast \
            --seed "$seed" --output "$data"
    if ! ls "$work/$name"/checkpoints/step-000600 >/dev/null 2>&1; then
        "$percept" train "$work/recipe.toml" --resume --set "trainer.output_dir='$work'" \
            --set "trainer.experiment_name=$name" --set "trainer.seed=$seed" \
            --set "data.train_files=['$data/data.jsonl']"
    fi
    model=$(ls -d "$work/$name"/checkpoints/step-* | tail -1)
    "$percept" --quiet eval causal-halbench --data "$work/bench" --model "$model" \
        --output "$work/eval-$name"
done
"$percept" eval causal-halbench --compare "$work/eval-biased" "$work/eval-balanced"
