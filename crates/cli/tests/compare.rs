//! `percept compare`: preference losses trained on the same pairs, and runs that are there.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;

use common::{Cases, TINY, percept, run, run_in, write};
use serde_json::{Value, json};

/// Pairs of answers in words of the built-in task.
fn pairs() -> String {
    let pair = |row: usize| {
        let says = |role: &str, text: &str| json!([{"role": role, "content": text}]);
        json!({
            "prompt": says("user", "How many digits are even?"),
            "chosen": says("assistant", &format!("The sum is {row}.")),
            "rejected": says("assistant", "The sum is 1 + 2."),
        })
    };
    (0..6).map(|row| format!("{}\n", pair(row))).collect()
}

#[test]
fn preference_losses_are_trained_from_one_warm_start_for_equal_steps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(&folder.join("pairs.jsonl"), pairs());
    let stages = "[sft]\nsteps = 2\ntrain_batch_size = 2\n[dpo]\nsteps = 3\ntrain_batch_size = 2\n\
                  train_files = [\"pairs.jsonl\"]\n";
    write(&folder.join("recipe.toml"), format!("{TINY}{stages}"));
    write(
        &folder.join("sft.toml"),
        format!("{TINY}[sft]\nsteps = 1\n"),
    );
    let compare = |recipe: &str, methods: &str| {
        let args = ["compare", recipe, "--methods", methods, "--seeds", "1"];
        let args = [&args[..], &["--output", "out", "--quiet", "--json"]].concat();
        run_in(folder, &args)
    };
    let ended = compare("recipe.toml", "ipo,simpo").ok().stdout;
    let said: Value = serde_json::from_str(ended.lines().last().unwrap()).unwrap();
    let methods = said["methods"].as_array().unwrap();
    let names: Vec<&str> = methods
        .iter()
        .map(|m| m["method"].as_str().unwrap())
        .collect();
    // The baseline of preference losses is there unasked, and first.
    assert_eq!(names, ["dpo", "ipo", "simpo"]);
    let stages = |run: &str| -> Vec<String> {
        let seeds: Vec<_> = fs::read_dir(folder.join("out")).unwrap().collect();
        let seed = seeds.iter().map(|entry| entry.as_ref().unwrap().path());
        let mut seed = seed.filter(|path| path.join("warm").exists());
        let file = seed.next_back().unwrap().join(run).join("metrics.jsonl");
        let text = fs::read_to_string(file).unwrap();
        let rows = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter(|row| row["stage"] != "eval")
            .map(|row| row["stage"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(stages("warm"), ["sft", "sft"]);
    for method in methods {
        assert_eq!(
            stages(method["method"].as_str().unwrap()),
            ["dpo", "dpo", "dpo"]
        );
        assert_eq!(method["tokens"], methods[0]["tokens"], "{method}");
        assert!(method["accuracy"].is_number(), "{method}");
        assert!(method["metrics"]["rewards/margins"].is_number(), "{method}");
    }
    // All is there: nothing is trained again, or the seconds would be others.
    let results = || -> Vec<Vec<u8>> {
        let files = fs::read_dir(folder.join("out/results")).unwrap();
        let mut all: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        all.sort();
        all.iter().map(|file| fs::read(file).unwrap()).collect()
    };
    let before = results();
    compare("recipe.toml", "ipo,simpo").ok();
    assert_eq!((before.len(), results()), (3, before));
    let page = fs::read_to_string(folder.join("out/compare.html")).unwrap();
    assert!(page.contains("rewards/margins") && page.contains("same steps"));
    let mut cases = Cases::default();
    cases.refused(
        "no preference loss",
        &compare("recipe.toml", "grpo"),
        &["grpo", "adavip"],
    );
    cases.refused(
        "no stage with methods",
        &compare("sft.toml", "dpo"),
        &["[dpo]"],
    );
    cases.finish();
}

#[test]
fn preference_stages_are_shown_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run_of = |name: &str, margin: f64| {
        let mut lines = format!(
            "{}\n",
            json!({"step": 1, "stage": "sft", "time": 1.0, "train/loss": 2.5})
        );
        for step in 2..22 {
            let row = json!({"step": step, "stage": "dpo", "time": f64::from(step), "train/loss": 0.5,
                "rewards/accuracies": if step < 12 { 0.0 } else { 0.75 }, "rewards/margins": margin,
                "perf/total_num_tokens": 1000, "timing_s/step": 0.5});
            lines.push_str(&format!("{row}\n"));
        }
        write(&folder.join(name).join("metrics.jsonl"), lines);
    };
    run_of("dpo", 0.125);
    run_of("adavip", 0.25);
    let shown = |args: &[&str]| {
        let mut command = percept(&[&["compare", "--runs"], args].concat());
        command.current_dir(folder);
        run(command)
    };
    let outcome = shown(&["dpo", "adavip", "--json"]).ok();
    let stages: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(stages.len(), 4);
    assert_eq!(
        (&stages[3]["run"], &stages[3]["stage"]),
        (&json!("adavip"), &json!("dpo"))
    );
    // The last ten steps, and all tokens.
    assert_eq!(stages[3]["metrics"]["rewards/accuracies"], 0.75);
    assert_eq!(stages[3]["metrics"]["rewards/margins"], 0.25);
    assert_eq!(
        (&stages[1]["tokens"], &stages[1]["seconds"]),
        (&json!(20000.0), &json!(10.0))
    );
    let table = shown(&["dpo", "adavip", "--quiet"]).ok().stdout;
    assert!(
        table.contains("rewards/margins") && table.contains("0.1250"),
        "{table}"
    );
    let mut cases = Cases::default();
    write(&folder.join("new/metrics.jsonl"), "");
    cases.refused("no run", &shown(&["none"]), &["none"]);
    cases.refused(
        "a run without a step",
        &shown(&["new"]),
        &["has not trained yet"],
    );
    cases.refused(
        "a recipe besides",
        &shown(&["dpo", "--methods", "grpo"]),
        &["--methods"],
    );
    cases.finish();
}
