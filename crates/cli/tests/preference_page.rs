//! docs/preference.md as a newcomer walks it: data are made, recipes are run (shorter), and what the page says a run
//! leaves is there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::blocks::{Block, commands, of_page, repository};
use common::{base_model, copy, run, write};
use serde_json::Value;

/// A few short steps, of a model of a few thousand parameters.
const SHORTER: &str =
    "--set sft.steps=2 --set dpo.steps=2 --set dpo.train_batch_size=4 --set sft.train_batch_size=4";

fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

#[test]
fn every_example_runs_and_leaves_what_the_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = of_page(&repository("docs/preference.md"));
    let (shell, files): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| block.language == "sh");
    for block in &files {
        write(
            &folder.path().join(block.file.as_deref().unwrap()),
            &block.text,
        );
    }
    copy(&base_model(), &folder.path().join("Qwen2.5-VL-3B-Instruct"));
    let mut ran = 0;
    let mut go = |line: &str| {
        let mut command = Command::new("sh");
        command.arg("-ec").arg(line).current_dir(folder.path());
        let bin = Path::new(env!("CARGO_BIN_EXE_percept")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", bin.display()));
        run(command).ok();
        ran += 1;
    };
    for block in &shell {
        for command in commands(block) {
            let more = match command.contains("export") {
                true => "--rows 12",
                false => SHORTER,
            };
            // The last of two equal options would be an error: the page's number is replaced.
            let command = command.replace("--rows 400", "").replace("--rows 100", "");
            let command = command.replace("--seeds 3", "--seeds 1");
            go(&format!("{command} {more}"));
        }
    }
    go(&format!(
        "percept train pairs.toml {}",
        SHORTER
            .replace("--set sft.steps=2", "")
            .replace("--set sft.train_batch_size=4", "")
    ));
    assert!(ran >= 6, "{ran}");
    for (name, steps) in [("scenes", 4), ("pairs", 2)] {
        let run = folder.path().join("runs").join(name);
        let rows = metrics(&run);
        assert_eq!(rows.len(), steps, "{name}");
        let last = &rows[steps - 1];
        assert_eq!(last["stage"], "dpo");
        for metric in [
            "train/loss",
            "rewards/chosen",
            "rewards/rejected",
            "rewards/margins",
            "rewards/accuracies",
            "logps/chosen",
            "logps/rejected",
            "rewards/chosen_rejected_image",
            "rewards/chosen_rejected_image/margins",
            "weights/rejected",
            "weights/chosen_rejected_image",
            "data/skipped_rows",
            "data/language_only_pairs",
            "timing_s/reference",
        ] {
            assert!(last[metric].is_number(), "{name}: {metric} in {last}");
        }
        let stored = fs::read_to_string(run.join("reference_log_probs.jsonl")).unwrap();
        assert_eq!(
            stored.lines().count(),
            1 + 8,
            "a line, and one for each pair"
        );
        let pairs = percept_report::RunDir::open(&run).unwrap();
        let step = steps as u64;
        let records = percept_report::read_pairs(&pairs.pairs_of(step)).unwrap();
        assert_eq!(records.len(), 4);
        for record in &records {
            let kinds: Vec<&str> = record.responses.iter().map(|r| r.kind.as_str()).collect();
            assert_eq!(kinds, ["chosen", "rejected", "chosen_rejected_image"]);
            assert!(record.loss.unwrap() > 0.0);
            let weights: f64 = record.responses.iter().map(|r| r.weight.unwrap()).sum();
            assert!(weights.abs() < 1e-5, "{weights}");
            assert_ne!(record.responses[0].images, record.responses[2].images);
            assert!(
                record
                    .responses
                    .iter()
                    .all(|r| r.ref_log_probs.len() == r.tokens.len())
            );
        }
    }
}
