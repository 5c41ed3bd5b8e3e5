#!/usr/bin/env bash
# Does Causal-HalBench see a bias that was planted, and see it go? Small models learn the same questions
# on `scenes`: `biased` where faint shapes always keep company with an easy one, `balanced` where they
# never do, `cured` on the balanced pictures after the biased ones. The benchmark measures all three and
# compares each with the biased one. Some ten minutes on two cores.
#
#     tools/scenes_bias.sh DIR [SEED]
#
# PERCEPT: the program (default target/release/percept). COOCCURRENCE: how often company is kept in the
# biased world (default 1).
set -euo pipefail
work=${1:?give a folder}
seed=${2:-0}
percept=${PERCEPT:-target/release/percept}
steps=500
mkdir -p "$work"

recipe() { # what is trained
    cat <<TOML
$1

[data]
train_files = []

[sft]
steps = $steps
train_batch_size = 64
optim = { lr = 1e-3, lr_scheduler_type = "cosine", lr_warmup_steps = 30, min_lr_ratio = 0.05, beta2 = 0.99 }
TOML
}

recipe '[model.tiny]
corpus = "scenes"

[model.tiny.vision]
depth = 2
hidden_size = 128
intermediate_size = 384
patch_size = 14
window_size = 280
fullatt_block_indexes = [1]' > "$work/recipe.toml"

[ -e "$work/bench/qa.json" ] ||
    "$percept" halbench scenes --out "$work/bench" --pairs 300 --seed "$((1000 + seed))"
for world in "biased:${COOCCURRENCE:-1}" balanced:0.5; do
    data=$work/data-${world%:*}
    [ -e "$data/data.jsonl" ] ||
        "$percept" data export --task scenes --rows 20000 --cooccurrence "${world#*:}" --seed "$seed" \
            --output "$data"
done

model() {
    echo "$work/$1/checkpoints/step-$(printf %06d $steps)"
}

for run in biased:biased:recipe balanced:balanced:recipe cured:balanced:cure; do
    IFS=: read -r name data file <<< "$run"
    [ $file = cure ] && recipe "[model]
path = \"$(realpath "$(model biased)")\"" > "$work/cure.toml"
    [ -e "$(model "$name")" ] ||
        "$percept" train "$work/$file.toml" --resume --set "trainer.output_dir='$work'" \
            --set "trainer.experiment_name=$name" --set "trainer.seed=$seed" \
            --set "data.train_files=['$work/data-$data/data.jsonl']"
    "$percept" --quiet eval causal-halbench --data "$work/bench" --model "$(model "$name")" \
        --output "$work/eval-$name"
done
for name in balanced cured; do
    echo "biased -> $name"
    "$percept" eval causal-halbench --compare "$work/eval-biased" "$work/eval-$name"
done
