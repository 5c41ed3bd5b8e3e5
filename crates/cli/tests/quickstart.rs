//! The main job in its short form, through the binary: it must learn, and leave files that others
//! can open.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_short_quick_start_learns_and_writes_its_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_percept"))
        .args(["quickstart", "--short", "--output"])
        .arg(&run)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");

    let summary = json(&run.join("summary.json"));
    let stages = summary["stages"].as_array().unwrap();
    let accuracy = |name: &str| {
        let stage = stages.iter().find(|stage| stage["name"] == name).unwrap();
        stage["accuracy"].as_f64().unwrap()
    };
    // Random weights answer nothing. Chance for a model that knows the form of an answer but
    // reads nothing is about 12 % over the question types.
    assert!(accuracy("base") < 0.05, "{summary}");
    assert!(accuracy("sft") > accuracy("base") + 0.10, "{summary}");
    assert!(
        stages.iter().any(|stage| stage["name"] == "rl"),
        "{summary}"
    );

    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let loss: Vec<f64> = rows
        .iter()
        .filter_map(|row| row["train/loss"].as_f64())
        .collect();
    assert!(loss[loss.len() - 1] < 0.5 * loss[0], "{loss:?}");
    let rl: Vec<&serde_json::Value> = rows.iter().filter(|row| row["stage"] == "rl").collect();
    assert!(!rl.is_empty());
    for row in rl {
        assert!(row["critic/rewards/mean"].is_number(), "{row}");
        // The sampler and the trainer run the same weights; below 0.005 is normal for two engines.
        let gap = row["training/rollout_probs_diff_mean"].as_f64();
        assert!(gap.is_none_or(|gap| gap < 1e-4), "{row}");
    }

    let report = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("</html>") && !report.contains("https://cdn"));
    let checkpoints = std::fs::read_dir(run.join("checkpoints")).unwrap();
    let newest = checkpoints
        .map(|entry| entry.unwrap().path())
        .max()
        .unwrap();
    for file in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "preprocessor_config.json",
    ] {
        assert!(newest.join(file).is_file(), "{file}");
    }
}
