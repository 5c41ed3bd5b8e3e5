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
    let of = |name: &str, what: &str| {
        let stage = stages.iter().find(|stage| stage["name"] == name).unwrap();
        stage[what].as_f64().unwrap()
    };
    // F10: each stage learns, by more than its interval. Random weights answer nothing; one of five counts is right by
    // chance in a quarter of the cases.
    assert!(of("base", "accuracy") < 0.05, "{summary}");
    assert!(of("sft", "ci_low") > 0.4, "{summary}");
    assert!(of("rl", "ci_low") > of("sft", "ci_high"), "{summary}");
    // F2: nothing right of 160 is not nothing right of all.
    assert!(of("base", "ci_high") > of("base", "ci_low"), "{summary}");
    let warned = stderr.contains("warning:");
    assert!(
        !warned,
        "a run that learns has nothing to be warned of: {stderr}"
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
