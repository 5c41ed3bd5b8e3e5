//! The main job on every device of this build that the machine has (see `subjects.rs`): it trains,
//! samples, evaluates, writes checkpoints and goes on from them.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;
#[path = "../../nn/tests/common/subjects.rs"]
mod subjects;

use std::fs;
use std::path::Path;

use common::{RL, SFT, TINY, copy, run_in, write};
use serde_json::Value;
use subjects::subjects;

/// A loss that compares with a frozen reference, and a checkpoint after every step.
const MORE: &str = r#"
[algorithm]
loss = { use_kl_loss = true }
[[reward.functions]]
name = "length"
unit = "characters"
max_length = 40
"#;

fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn train(folder: &Path, device: &str, more: &[&str]) {
    let device = format!("trainer.device={device}");
    let mut args = vec!["train", "recipe.toml", "--quiet", "--set", &device];
    args.extend(more);
    run_in(folder, &args).ok();
}

#[test]
fn a_run_on_a_device_is_that_of_the_cpu_and_goes_on_from_its_checkpoints() {
    if subjects().is_empty() {
        return;
    }
    let recipe = format!("{TINY}{SFT}{RL}{MORE}")
        .replace(
            "[trainer]",
            "[trainer]\nsave_freq = 1\nmax_ckpt_to_keep = 0",
        )
        .replace("steps = 1", "steps = 2");
    let host = tempfile::tempdir().unwrap();
    write(&host.path().join("recipe.toml"), &recipe);
    train(host.path(), "cpu", &[]);
    let expected = metrics(&host.path().join("runs/run"));
    for subject in subjects() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("recipe.toml"), &recipe);
        train(folder.path(), &subject.name, &[]);
        let run = folder.path().join("runs/run");
        let found = metrics(&run);
        assert_eq!(found.len(), expected.len());
        // Before the first update both have the same weights.
        let [ours, theirs] =
            [&found, &expected].map(|rows| rows[0]["train/loss"].as_f64().unwrap());
        let error = (ours / theirs - 1.0).abs();
        assert!(error <= subject.tolerance.into(), "{ours} for {theirs}");
        for row in found.iter().filter(|row| row["stage"] == "rl") {
            let gap = row["training/rollout_probs_diff_mean"].as_f64();
            assert!(
                gap.is_none_or(|gap| gap < subject.tolerance.into()),
                "{row}"
            );
        }

        // What follows a checkpoint depends on nothing but the checkpoint.
        let again = tempfile::tempdir().unwrap();
        copy(folder.path(), again.path());
        let checkpoints = |folder: &Path| folder.join("runs/run/checkpoints");
        for step in 2..=4 {
            let late = checkpoints(again.path()).join(format!("step-{step:06}"));
            fs::remove_dir_all(late).unwrap();
        }
        train(again.path(), &subject.name, &["--resume"]);
        let weights = |folder: &Path| {
            let newest = checkpoints(folder).join("step-000004");
            fs::read(newest.join("model.safetensors")).unwrap()
        };
        let same = weights(folder.path()) == weights(again.path());
        assert!(same, "{}: the resumed run has other weights", subject.name);

        let model = checkpoints(folder.path()).join("step-000004");
        let model = model.to_str().unwrap();
        let output = run_in(
            folder.path(),
            &[
                "eval",
                "--model",
                model,
                "--digit-sum",
                "2",
                "--device",
                &subject.name,
            ],
        )
        .ok();
        assert!(!output.stdout.is_empty());
    }
}
