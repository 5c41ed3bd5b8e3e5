//! `percept grade`: given completions in, verdicts with their reasons out.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{Outcome, RL, TINY, percept, run_in, write};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with `rows.jsonl`.
fn folder(rows: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    write(&folder.path().join("rows.jsonl"), lines.join("\n"));
    folder
}

/// Outcome and output rows of `grade --input rows.jsonl` with more arguments.
fn grade(folder: &TempDir, more: &[&str]) -> (Outcome, Vec<Value>) {
    let mut args = vec!["grade", "--input", "rows.jsonl", "--output", "out.jsonl"];
    args.extend(more);
    let outcome = run_in(folder.path(), &args);
    let text = fs::read_to_string(folder.path().join("out.jsonl")).unwrap_or_default();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (outcome, rows.collect())
}

#[test]
fn every_completion_has_a_verdict_its_reason_and_what_was_taken_for_the_answer() {
    let folder = folder(&[
        json!({"id": "a", "completion": "so \\boxed{4}", "answer": 4}),
        json!({"completion": "so \\boxed{5}", "answer": "4"}),
        json!({"completion": "so \\boxed{5}"}),
        json!({"completion": "I look at it.\nAnd again.\n", "answer": "4"}),
        json!({"completion": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "\\boxed{4}"}], "answer": ["3", "4"]}),
        json!({"completions": ["\\boxed{4}", "\\boxed{5}"], "reward_model": {"ground_truth": "4"}}),
    ]);
    let (outcome, rows) = grade(&folder, &["--reward", "math"]);
    let outcome = outcome.ok();
    let verdicts: Vec<&str> = rows
        .iter()
        .map(|r| r["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        [
            "right", "wrong", "ungraded", "wrong", "right", "right", "wrong"
        ]
    );
    assert_eq!(
        (
            &rows[0]["id"],
            &rows[0]["row"],
            &rows[0]["score"],
            &rows[0]["reason"]
        ),
        (&json!("a"), &json!(1), &json!(1.0), &Value::Null)
    );
    assert_eq!(rows[1]["id"], "rows.jsonl:2");
    assert_eq!(rows[1]["extracted"], "5");
    assert_eq!(rows[1]["reason"], "`5` is not `4`");
    assert_eq!(rows[2]["score"], Value::Null);
    assert_eq!(rows[2]["reason"], "the row has no ground truth");
    assert_eq!(rows[3]["extracted"], Value::Null);
    assert!(rows[3]["reason"].as_str().unwrap().contains("final answer"));
    assert_eq!(rows[4]["answer"], json!(["3", "4"]));
    assert_eq!(
        (&rows[6]["sample"], &rows[6]["row"]),
        (&json!(1), &json!(6))
    );
    for words in [
        "completions  7",
        "right      3",
        "ungraded   1",
        "commonest reasons",
        "`5` is not `4`",
    ] {
        assert!(
            outcome.stdout.contains(words),
            "{words}\n{}",
            outcome.stdout
        );
    }
    let (outcome, _) = grade(&folder, &["--reward", "math", "--json"]);
    let summary: Value = serde_json::from_str(outcome.ok().stdout.trim()).unwrap();
    assert_eq!(summary["wrong"], 3);
    assert_eq!(summary["reasons"][0]["rows"], 2);
}

#[test]
fn agreement_with_a_person_is_counted_by_kind() {
    let row = |kind: &str, completion: &str, answer: &str, right: bool| json!({"kind": kind, "completion": completion, "answer": answer, "right": right});
    let folder = folder(&[
        row("number", "\\boxed{4}", "4", true),
        row("number", "\\boxed{5}", "4", false),
        row("number", "\\boxed{four}", "4", false),
        row("letter", "\\boxed{B}", "A", true),
        row("letter", "\\boxed{B}", "B", false),
    ]);
    let (outcome, _) = grade(&folder, &["--json"]);
    let summary: Value = serde_json::from_str(outcome.ok().stdout.trim()).unwrap();
    let agreement = &summary["agreement"];
    assert_eq!(agreement["rows"], 5);
    assert_eq!(agreement["by_kind"]["letter"]["agree"], 0);
    assert_eq!(agreement["by_kind"]["letter"]["called_wrong"]["right"], 1);
    let (outcome, _) = grade(&folder, &["--most", "1"]);
    let text = outcome.ok().stdout;
    assert!(text.contains("wrong rewarded"), "{text}");
    assert!(text.contains("more disagreements"), "{text}");
    assert!(text.contains("rows.jsonl:"), "{text}");
}

#[test]
fn bad_rows_are_named_and_counted_and_strict_makes_them_errors() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"completion": "\\boxed{4}", "answer": "4"}"#;
    let lines = [
        good,
        "{\"completion\":",
        "{\"answer\": \"4\"}",
        "",
        "{\"completion\": 5}",
        "[1]",
    ];
    write(&folder.path().join("rows.jsonl"), lines.join("\n"));
    let (outcome, rows) = grade(&folder, &[]);
    assert_eq!(
        (outcome.code, rows.len()),
        (Some(0), 1),
        "{}",
        outcome.stderr
    );
    for place in [
        "rows.jsonl:2: ",
        "rows.jsonl:3: ",
        "rows.jsonl:5: ",
        "rows.jsonl:6: ",
    ] {
        assert!(
            outcome.stderr.contains(place),
            "{place}\n{}",
            outcome.stderr
        );
    }
    assert!(
        outcome.stdout.contains("bad rows     4"),
        "{}",
        outcome.stdout
    );
    assert_eq!(grade(&folder, &["--strict"]).0.code, Some(1));
    // Nothing that could be graded is never a success.
    write(&folder.path().join("rows.jsonl"), r#"{"completion": "4"}"#);
    assert_eq!(grade(&folder, &[]).0.code, Some(1));
    write(&folder.path().join("rows.jsonl"), good);
    assert_eq!(grade(&folder, &["--strict"]).0.code, Some(0));
    let (outcome, _) = grade(&folder, &["--answer", "gold"]);
    assert!(
        outcome
            .stderr
            .contains("rows.jsonl:1: row has no column `gold`"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn python_functions_tables_and_several_functions_judge() {
    let folder = folder(&[
        json!({"completion": "abc", "answer": "abc", "level": 2}),
        json!({"completion": "abd", "answer": "abc", "level": 1}),
        json!({"completion": "", "answer": "abc", "level": 1}),
    ]);
    let script = "def reward(completions, answer, level, **kwargs):\n    if not completions[0]:\n        raise ValueError('nothing said')\n    return [float(l) * (c == a) for c, a, l in zip(completions, answer, level)]\n";
    write(&folder.path().join("f.py"), script);
    let (outcome, rows) = grade(&folder, &["--reward", "f.py"]);
    outcome.ok();
    let scores: Vec<&Value> = rows.iter().map(|r| &r["score"]).collect();
    assert_eq!(scores, [&json!(2.0), &json!(0.0), &Value::Null]);
    assert!(
        rows[2]["reason"]
            .as_str()
            .unwrap()
            .contains("ValueError: nothing said")
    );
    let table = "{ name = 'python', path = 'f.py', function = 'reward', label = 'mine' }";
    let (outcome, rows) = grade(&folder, &["--reward", "exact", "--reward", table]);
    outcome.ok();
    assert_eq!(rows[0]["total"], 3.0);
    assert_eq!(rows[0]["parts"]["mine"]["score"], 2.0);
    assert_eq!(rows[2]["total"], Value::Null);
    let (outcome, _) = grade(&folder, &["--reward", "maths"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("accuracy"), "{}", outcome.stderr);
}

#[test]
fn a_recipe_brings_its_functions_and_columns() {
    let folder = folder(&[
        json!({"q": "?", "gold": "red", "teacher": "It is \\boxed{Red}", "key": 7}),
        json!({"q": "?", "gold": "red", "teacher": "It is \\boxed{blue}", "key": 8}),
    ]);
    let data = "[data]\ntrain_files = ['rows.jsonl']\n[data.columns]\nprompt = 'q'\nanswer = 'gold'\nexpert = 'teacher'\nid = 'key'\n";
    let before = TINY.split("[data.digit_sum]").next().unwrap();
    let reward = "[[reward.functions]]\nname = 'exact'\n";
    write(
        &folder.path().join("recipe.toml"),
        format!("{before}{data}{RL}{reward}"),
    );
    let (outcome, rows) = grade(&folder, &["--recipe", "recipe.toml"]);
    outcome.ok();
    let verdicts: Vec<&Value> = rows.iter().map(|r| &r["verdict"]).collect();
    assert_eq!(verdicts, ["right", "wrong"]);
    assert_eq!(rows[0]["id"], "7");
}

#[test]
fn standard_input_and_output_are_a_pipe() {
    let mut child = percept(&["grade", "--input", "-", "--reward", "math"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"{\"completion\": \"\\\\boxed{4}\", \"answer\": \"4\"}\nnonsense\n")
        .unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    let (out, aside) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    assert!(done.status.success(), "{aside}");
    let row: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!((&row["verdict"], &row["row"]), (&json!("right"), &json!(1)));
    assert!(aside.contains("stdin:2: not JSON"), "{aside}");
    assert!(aside.contains("right      1"), "{aside}");
}
