//! `percept data check` says what would be lost, wrong or not used (faults D5, E5, E8, E9).

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

fn check(folder: &Path, rows: &str, stages: &str) -> (Output, String) {
    std::fs::write(folder.join("rows.jsonl"), rows).unwrap();
    let data = folder.join("rows.jsonl");
    let recipe = format!("[model]\ntiny = {{}}\n[data]\ntrain_files = [{data:?}]\n{stages}");
    std::fs::write(folder.join("recipe.toml"), recipe).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_percept"))
        .args(["data", "check"])
        .arg(folder.join("recipe.toml"))
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output, text)
}

const SFT: &str = "[sft]\nsteps = 1\ntrain_batch_size = 1\n";
const RL: &str = "[rl]\nsteps = 1\ntrain_batch_size = 1\nppo_mini_batch_size = 1\n";

/// E5: also where the files are the rows of both stages.
#[test]
fn a_row_without_a_target_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"prompt\": \"What is it?\", \"answer\": \"1\"}\n";
    for stages in [SFT.to_owned(), format!("{SFT}{RL}")] {
        let (output, text) = check(folder.path(), rows, &stages);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("target: rows.jsonl:1") && text.contains("no expert trajectory"),
            "{text}"
        );
    }
    let (output, text) = check(folder.path(), rows, RL);
    assert_eq!(output.status.code(), Some(0), "{text}");
}

/// Pairs are checked where a preference stage learns from them, and are unread where none does.
#[test]
fn pairs_are_checked_for_the_preference_stage() {
    let folder = tempfile::tempdir().unwrap();
    let pair = |prompt: &str, rejected: &str| {
        format!(
            "{{\"prompt\": \"{prompt}\", \"chosen\": \"A dog.\", \"rejected\": \"{rejected}\"}}\n"
        )
    };
    let dpo = "[dpo]\nsteps = 1\ntrain_batch_size = 1\n";
    let good = pair("What is it?", "A cat.");
    let (output, text) = check(folder.path(), &good, dpo);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("pairs of answers"), "{text}");
    assert!(!text.contains("not used"), "{text}");
    let equal = pair("What now?", "A dog.");
    let none = "{\"prompt\": \"What then?\", \"response\": \"A dog.\"}\n";
    let (output, text) = check(folder.path(), &(good.clone() + &equal + none), dpo);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("pair: rows.jsonl:2"), "{text}");
    assert!(text.contains("target: rows.jsonl:3"), "{text}");
    let (output, text) = check(folder.path(), &good, SFT);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is a preference pair"), "{text}");
    assert!(text.contains("not used: rejected answers"), "{text}");
}

/// E9
#[test]
fn equal_questions_with_different_answers_are_a_problem_and_a_repetition_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let row = |answer: &str| format!("{{\"prompt\": \"What is it?\", \"answer\": {answer}}}\n");
    let (output, text) = check(folder.path(), &(row("\"1\"") + &row("\"2\"")), RL);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("contradiction: rows.jsonl:2"), "{text}");
    for second in ["\"1\"", "[\"one\", \"1\"]"] {
        let (output, text) = check(folder.path(), &(row("\"1\"") + &row(second)), RL);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("duplicate: rows.jsonl:2"), "{text}");
    }
}

/// The principle of section E, and D5.
#[test]
fn what_nothing_uses_is_said_by_the_check_and_when_training_starts() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"prompt\": \"What is it? <audio>\", \"response\": \"1\", \"level\": 3, \"tools\": [{\"name\": \"zoom\"}]}\n";
    let (_, text) = check(folder.path(), rows, SFT);
    for said in [
        "not used: column level (all 1 rows)",
        "not used: tag <audio> (all 1 rows)",
        "not used: column tools",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_percept"))
        .args(["train", "--set"])
        .arg(format!(
            "trainer.output_dir={:?}",
            folder.path().join("runs")
        ))
        .arg(folder.path().join("recipe.toml"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("column level").count(), 1, "{text}");
}

/// E8: the numbers are measured by tools/memory_peaks.py; here, that a run beyond the machine is warned of.
#[test]
fn a_run_that_does_not_fit_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let row = "{\"prompt\": \"What is it?\", \"response\": \"1\"}\n";
    let (_, text) = check(folder.path(), row, SFT);
    assert!(
        text.contains("peak") && !text.contains("are free"),
        "{text}"
    );
    let large = "[sft]\nsteps = 1\ntrain_batch_size = 1048576\nppo_max_token_len = 1000000000000\n";
    let (_, text) = check(folder.path(), row, large);
    assert!(
        text.contains("warning: this run needs about") && text.contains("are free"),
        "{text}"
    );
}

/// A frame of a pair as `percept data check` reads it.
fn frame(pair: &str, side: &str, labels: &str) -> String {
    format!(
        "{{\"prompt\": \"What is wrong with {pair} {side}?\", \"response\": \"<think>I see.</think>1\", \
         \"labels\": {labels}, \"pair_id\": \"{pair}\", \"side\": \"{side}\", \"preference\": \"A\"}}\n"
    )
}

const PAIRS: &str = "[rl]\nsteps = 1\ntrain_batch_size = 2\n\
    [[reward.functions]]\nname = \"react_attribution\"\n[[reward.functions]]\nname = \"react_preference\"\n";

#[test]
fn a_frame_without_its_partner_and_an_unknown_label_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let good = frame("p1", "A", "[]") + &frame("p1", "B", "[\"motion blur\"]");
    let (output, text) = check(folder.path(), &good, PAIRS);
    assert_eq!(
        output.status.code(),
        Some(0),
        "no ground truth is asked for: {text}"
    );
    let bad = good
        + &frame("p2", "A", "[]")
        + &frame("p3", "A", "[\"six fingers\"]")
        + &frame("p3", "B", "[]");
    let (output, text) = check(folder.path(), &bad, PAIRS);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for said in [
        "group: rows.jsonl:3: react_preference: pair_id p2 has 1 row (side A), expected two",
        "answer: rows.jsonl:4: react_attribution: labels[0]",
        "extra limbs",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn answers_without_the_span_that_is_masked_are_counted_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let rows = frame("p1", "A", "[]") + "{\"prompt\": \"What now?\", \"response\": \"1\"}\n";
    let spans = "mask_spans = [{ from = \"<think>\", to = \"</think>\" }]\n";
    let (output, text) = check(folder.path(), &rows, &format!("{SFT}{spans}"));
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("span: rows.jsonl:2: no `<think>` … `</think>`"),
        "{text}"
    );
    assert!(!text.contains("span: rows.jsonl:1"), "{text}");
}

/// Rows of [sft] in files of their own are no rows of [rl].
#[test]
fn the_rows_of_the_supervised_stage_may_stand_in_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("cot.jsonl");
    std::fs::write(&own, "{\"prompt\": \"What is it?\", \"response\": \"1\"}\n").unwrap();
    let pairs = frame("p1", "A", "[]") + &frame("p1", "B", "[]");
    let stages = format!("{SFT}train_files = [{own:?}]\n{PAIRS}");
    let (output, text) = check(folder.path(), &pairs, &stages);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("sft: ") && text.contains("cot.jsonl"),
        "{text}"
    );
}

#[test]
fn the_recipes_of_react_are_recipes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/react-7b.toml");
    let recipe = percept_train::load(&path, &[]).unwrap();
    let sft = recipe.sft.unwrap();
    assert_eq!(
        (sft.num_train_epochs, sft.mask_spans[0].epochs[0]),
        (Some(2.0), 2)
    );
    assert!(sft.train_files[0].starts_with(path.parent().unwrap()));

    let path = path.with_file_name("react-crawlers.toml");
    let recipe = percept_train::load(&path, &[]).unwrap();
    assert!(recipe.sft.is_some() && recipe.rl.is_some());
}
