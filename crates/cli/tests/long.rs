//! `percept eval long` on a small model: questions of every length, answers that are kept, perplexity
//! under every attention.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;

use common::{Cases, Outcome, base_model, run_in, write};
use serde_json::Value;

/// The command on the model that all tests share.
fn long(folder: &Path, args: &[&str]) -> Outcome {
    let model = base_model().display().to_string();
    run_in(
        folder,
        &[&["eval", "long", "--model", &model], args].concat(),
    )
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn needles_stand_at_every_depth_and_answers_are_asked_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let needle = [
        "--task",
        "needle",
        "--length",
        "400,700",
        "--depths",
        "3",
        "--samples",
        "2",
        "--max-tokens",
        "4",
        "--attention",
        "{ name = \"phsa\", init = 16, local = 32, top_k = 1 }",
        "--output",
        "out",
    ];
    let first = long(at, &needle).ok();
    let records = fs::read_to_string(at.join("out/records.jsonl")).unwrap();
    let records: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), 2 * 3 * 2);
    for length in [400, 700] {
        for depth in [0.0, 0.5, 1.0] {
            let cell = records
                .iter()
                .filter(|r| r["length"] == length && r["depth"] == depth);
            assert_eq!(cell.count(), 2, "{length} {depth}");
        }
    }
    let summary = json(&at.join("out/summary.json"));
    assert_eq!(summary["questions"], 12);
    let attention = &summary["attention"];
    assert_eq!(
        (&attention["name"], &attention["top_k"]),
        (&"phsa".into(), &1.into())
    );
    let page = fs::read_to_string(at.join("out/report.html")).unwrap();
    assert!(page.contains("depth \\ tokens") && page.contains("50 %"));

    // Half of the answers are lost; the others are not asked for again.
    let log = at.join("out/answers.jsonl");
    let all = fs::read_to_string(&log).unwrap();
    let half: String = all
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&log, &half).unwrap();
    let second = long(at, &needle).ok();
    assert_eq!(second.stdout, first.stdout);
    let again = fs::read_to_string(&log).unwrap();
    assert!(again.starts_with(&half) && again.lines().count() == 12);
    assert!(!second.stderr.contains("0 of 12"));
}

#[test]
fn ruler_asks_for_every_task_that_needs_no_essay_and_for_all_with_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let essay: Vec<String> = (0..40)
        .map(|i| format!("Chapter {i} begins here and ends soon."))
        .collect();
    write(&at.join("essay.txt"), essay.join(" "));
    let ruler = [
        "--task",
        "ruler-subset",
        "--length",
        "4000",
        "--samples",
        "1",
        "--max-tokens",
        "2",
        "--json",
    ];
    let tasks = |more: &[&str]| -> Vec<String> {
        let outcome = long(at, &[&ruler, more].concat()).ok();
        let summary: Value = serde_json::from_str(outcome.stdout.trim()).unwrap();
        let score = summary["score"].as_object().unwrap();
        score.keys().cloned().collect()
    };
    let without = [
        "cwe",
        "fwe",
        "niah_multikey_2",
        "niah_multikey_3",
        "niah_single_1",
        "vt",
    ];
    assert_eq!(tasks(&[]), without);
    assert_eq!(tasks(&["--text", "essay.txt"]).len(), 11);
}

/// A line of text that the small model's tokenizer knows, over and over.
fn text(at: &Path) {
    write(
        &at.join("text.txt"),
        "What is the sum of the digits? ".repeat(60),
    );
}

#[test]
fn perplexity_is_that_of_full_attention_when_every_block_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    text(at);
    let perplexity = |attention: &str| -> f64 {
        let args = [
            "--task",
            "ppl",
            "--text",
            "text.txt",
            "--length",
            "200",
            "--attention",
            attention,
            "--json",
        ];
        let outcome = long(at, &args).ok();
        let summary: Value = serde_json::from_str(outcome.stdout.trim()).unwrap();
        assert_eq!(summary["score"][0]["stride"], 100);
        summary["score"][0]["perplexity"].as_f64().unwrap()
    };
    let full = perplexity("full");
    assert!(full.is_finite() && full > 1.0);
    for all in [
        "{ name = \"phsa\", top_k = 100 }",
        "{ name = \"moba\", top_k = 100 }",
    ] {
        let found = perplexity(all);
        assert!((found / full - 1.0).abs() < 1e-4, "{all}: {found}, {full}");
    }
    let few = perplexity("{ name = \"phsa\", init = 16, local = 16, top_k = 1 }");
    assert!((few / full - 1.0).abs() > 1e-6, "{few}, {full}");
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    text(at);
    let mut cases = Cases::default();
    let mut refused = |name: &str, args: &[&str], words: &[&str]| {
        cases.refused(name, &long(at, args), words);
    };
    refused("no text", &["--task", "ppl"], &["--text FILE"]);
    refused(
        "no file",
        &["--task", "ppl", "--text", "none.txt"],
        &["none.txt"],
    );
    refused(
        "no room",
        &["--task", "needle", "--length", "20"],
        &["a greater length"],
    );
    refused(
        "a stride beyond the window",
        &[
            "--task", "ppl", "--text", "text.txt", "--length", "64", "--stride", "65",
        ],
        &["--stride 65", "at most"],
    );
    refused(
        "nothing to ask",
        &["--task", "needle", "--samples", "0"],
        &["--samples is 0"],
    );
    refused(
        "an option of another attention",
        &[
            "--task",
            "needle",
            "--attention",
            "{ name = \"moba\", init = 16 }",
        ],
        &["init"],
    );
    cases.finish();
}
