//! Graded pairs, as users and data sets write them, through the recipe's default `accuracy`.
//!
//! `golden/answers.jsonl` holds the pairs that the faults A1–A8 and B1–B14 were found on (and many
//! that were right before); `golden/answers_unseen.jsonl` pairs of the same kinds that were written
//! afterwards, before they were tried. A wrong answer that is rewarded fails the test whatever its
//! name: it would train a lie.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use percept_reward::{Accuracy, Answer, Verdict, Verifier};
use serde_json::Value;

/// Right answers that we refuse, each with the reason.
const REFUSED: &[(&str, &str, &str)] = &[(
    "25",
    "\\boxed{square of 5 is 25}",
    "words that compute are never dropped",
)];

struct Tally {
    pairs: usize,
    agreed: usize,
    unexpected: Vec<String>,
    rewarded: Vec<String>,
}

fn grade(lines: &str) -> Tally {
    let accuracy = Accuracy::default();
    let meta = serde_json::Map::new();
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut tally = Tally {
        pairs: 0,
        agreed: 0,
        unexpected: Vec::new(),
        rewarded: Vec::new(),
    };
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap();
        let (kind, truth, completion) = (text("kind"), text("answer"), text("completion"));
        let right = row["right"].as_bool().unwrap();
        let answer = Answer {
            completion,
            ground_truth: Some(truth),
            meta: &meta,
            ..Answer::default()
        };
        let verdict = accuracy.verify(&[answer]).remove(0);
        let agrees = verdict == Verdict::right(right);
        let count = kinds.entry(kind.to_owned()).or_default();
        count.1 += 1;
        tally.pairs += 1;
        if agrees {
            count.0 += 1;
            tally.agreed += 1;
        } else if !right && verdict == Verdict::RIGHT {
            tally
                .rewarded
                .push(format!("{kind}: {truth}  <-  {completion}"));
        }
        let named = REFUSED
            .iter()
            .any(|&(a, b, _)| (a, b) == (truth, completion));
        if agrees == named {
            let reason = verdict.reason().unwrap_or("");
            tally.unexpected.push(format!(
                "{kind}: {truth}  <-  {completion}  ({right}) {reason}"
            ));
        }
    }
    for (kind, (agreed, all)) in kinds {
        println!("{kind}: {agreed} of {all}");
    }
    tally
}

fn check(lines: &str, least: f64) {
    let tally = grade(lines);
    println!("{} of {} as listed", tally.agreed, tally.pairs);
    for miss in &tally.unexpected {
        println!("  {miss}");
    }
    assert!(
        tally.rewarded.is_empty(),
        "wrong answers rewarded:\n{}",
        tally.rewarded.join("\n")
    );
    assert!(tally.agreed as f64 >= least * tally.pairs as f64);
    assert!(
        tally.unexpected.is_empty(),
        "{} pairs are not as listed:\n{}",
        tally.unexpected.len(),
        tally.unexpected.join("\n")
    );
}

#[test]
fn answers_are_graded_as_listed() {
    check(include_str!("golden/answers.jsonl"), 0.95);
}

#[test]
fn answers_of_the_same_kinds_are_graded_as_listed() {
    check(include_str!("golden/answers_unseen.jsonl"), 0.92);
}

#[test]
fn answers_of_a_second_list_are_graded_as_listed() {
    check(include_str!("golden/answers_unseen2.jsonl"), 0.92);
}
