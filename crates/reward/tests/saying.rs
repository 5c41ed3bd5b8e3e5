//! How answers are said: given completions of every kind against what a person says about them, and texts
//! made to be expensive or strange. The pairs of `golden/saying.jsonl` were written before the verifiers saw them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use percept_reward::{Answer, Extraction, RewardConfig, RewardSet, boxes, choice, extract};
use proptest::prelude::*;
use serde_json::Value;

fn set(name: &str) -> RewardSet {
    let threshold = if name == "iou" {
        ", threshold = 0.5"
    } else {
        ""
    };
    let toml = format!("functions = [{{ name = '{name}'{threshold} }}]");
    RewardSet::build(&toml::from_str::<RewardConfig>(&toml).unwrap()).unwrap()
}

fn score(set: &RewardSet, completion: &str, truth: &str) -> Option<f64> {
    let answer = Answer {
        completion,
        ground_truth: Some(truth),
        ..Answer::default()
    };
    set.judge(&[answer])[0].total
}

/// A9, A10, A11, A12, B10, B11, B12, B13, B16
#[test]
fn people_and_verifiers_agree_on_how_answers_are_said() {
    let pairs = include_str!("golden/saying.jsonl");
    let (mut rows, mut refused, mut rewarded) = (0, Vec::new(), Vec::new());
    for line in pairs.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| pair[name].as_str().unwrap();
        let score = score(&set(text("reward")), text("completion"), text("answer"));
        rows += 1;
        match (
            pair["right"].as_bool().unwrap(),
            score.is_some_and(|s| s >= 0.5),
        ) {
            (true, false) => refused.push(line),
            (false, true) => rewarded.push(line),
            _ => {}
        }
    }
    assert!(rows >= 150);
    assert!(rewarded.is_empty(), "wrong, rewarded: {rewarded:#?}");
    assert!(refused.len() * 50 <= rows, "right, refused: {refused:#?}");
}

/// Text of marks, letters and numbers, complete or not.
fn said() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "\\boxed{",
        "}",
        "{",
        "B",
        "(B)",
        "b)",
        "A",
        " or ",
        " and ",
        " is ",
        "wrong",
        "The answer",
        "answer: ",
        "\"answer\": ",
        "\"",
        "\\\"",
        "'",
        "[",
        "]",
        "(",
        ")",
        "1",
        ".5",
        "1e-05",
        "-",
        ",",
        ".",
        "\n",
        "$",
        "$$",
        "\\[",
        "\\]",
        "x1",
        "width",
        ":",
        "=",
        "答案是",
        "故选",
        "，",
        "。",
        "é",
        "```",
        "####",
        "**",
        "\\text{",
        "not ",
        "Ｂ",
        "/",
        " because ",
        "<box>",
        "\\",
        "◁/think▷",
        "option ",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_saying_panics(text in said(), truth in said()) {
        for name in ["accuracy", "exact", "choice", "iou", "format"] {
            if let Some(score) = score(&set(name), &text, &truth) {
                prop_assert!((0.0..=1.0).contains(&score));
            }
        }
        for extraction in [Extraction::Auto, Extraction::Boxed, Extraction::LastNumber] {
            let found = extract::final_answer(&text, extraction);
            prop_assert!(found.is_none_or(|found| found.len() <= text.len() + 64));
        }
    }

    /// Whatever is thought before, it does not change what is answered after it.
    #[test]
    fn thoughts_change_no_answer(thoughts in said()) {
        let text = format!("<think>{}</think><answer>B</answer>", thoughts.replace("</", "< "));
        let found = extract::final_answer(&text, Extraction::Auto);
        prop_assert_eq!(found.as_deref(), Some("B"));
        prop_assert_eq!(choice::chosen(&text, &[]), Some('B'));
    }
}

#[test]
fn a_megabyte_of_marks_takes_one_pass() {
    let clock = Instant::now();
    for piece in [
        "A, ",
        "A or ",
        "AC ",
        "(B) ",
        "B\n",
        "b) x\n",
        "\"answer\": ",
        "\"answer\": [",
        "\"answer\": \"",
        "answer\n",
        "answer is\n",
        "The answer is B, ",
        "\"",
        "\\\"",
        "(1,2),",
        "[",
        "x1=1 ",
        "1 ",
        "[1,2,3,4]",
        "<answer>",
        "<answer>1</answer>",
        "\\boxed{1} and ",
        "答案是",
        "$",
        "\\[",
        "```\n",
        "{\"a\":",
        ". ",
        ", so ",
        "<think>",
        "</think>",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        choice::chosen(&text, &[]);
        boxes(&text);
        for extraction in [Extraction::Auto, Extraction::Boxed, Extraction::LastNumber] {
            extract::final_answer(&text, extraction);
        }
        let so_far = clock.elapsed();
        assert!(so_far.as_secs() < 30, "{piece:?} {so_far:?}");
    }
}
