//! What a judge says of one frame: reading it out of a response, and writing it.
//!
//! ```text
//! <think>reasoning</think><answer>{"labels":["motion blur"],"score":3.42}</answer>
//! ```
//!
//! The tags are REACT's; the keys of the JSON are our proposal, since the paper's are not published.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::distortion::{Distortion, UnknownDistortion};

/// The scores that exist: 5 is a frame without fault.
pub const SCORES: RangeInclusive<f64> = 1.0..=5.0;

/// What is wrong with a frame, and how good it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What is wrong; nothing for a clean frame.
    pub labels: Vec<Distortion>,
    /// From 1 to 5.
    pub score: f64,
}

/// Why a response is no judgement.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UnreadableJudgement {
    /// There is no `<answer>`.
    #[error("no <answer> tag")]
    NoAnswer,
    /// `<answer>` is not closed: the response was cut off.
    #[error("<answer> is not closed by </answer>; was the response cut off?")]
    UnclosedAnswer,
    /// What the answer holds is not JSON.
    #[error("the answer is not JSON: {reason} (expected {{\"labels\":[…],\"score\":1-5}})")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// A key is missing or holds another type.
    #[error("{field:?} is {found} (expected {expected})")]
    WrongField {
        /// The key.
        field: &'static str,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
    /// A label is none of the eight.
    #[error(transparent)]
    UnknownLabel(#[from] UnknownDistortion),
    /// The score is outside 1 to 5.
    #[error("the score {found} is outside 1 to 5")]
    ScoreOutOfRange {
        /// The score that was read.
        found: f64,
    },
}

/// The reasoning and the judgement of a response.
///
/// Read kindly: spaces, a Markdown fence around the JSON, further keys, a score in quotes, other spellings of labels
/// and labels named twice do no harm. Of several answers the last counts. The reasoning is empty where no `</think>` stands
/// before the answer.
pub fn read_judgement(response: &str) -> Result<(&str, Judgement), UnreadableJudgement> {
    let (before, after) = response
        .rsplit_once("<answer>")
        .ok_or(UnreadableJudgement::NoAnswer)?;
    let (answer, _) = after
        .split_once("</answer>")
        .ok_or(UnreadableJudgement::UnclosedAnswer)?;
    let value: Value =
        serde_json::from_str(without_fence(answer)).map_err(|e| UnreadableJudgement::NotJson {
            reason: e.to_string(),
        })?;
    let judgement = Judgement {
        labels: labels(&value)?,
        score: score(&value)?,
    };
    Ok((reasoning(before), judgement))
}

/// What [`read_judgement`] reads; labels in the taxonomy's order, the score with two decimals.
pub fn write_judgement(reasoning: &str, judgement: &Judgement) -> String {
    let mut labels = judgement.labels.clone();
    labels.sort_unstable();
    labels.dedup();
    let names: Vec<String> = labels.iter().map(|l| format!("\"{l}\"")).collect();
    format!(
        "<think>{reasoning}</think><answer>{{\"labels\":[{}],\"score\":{:.2}}}</answer>",
        names.join(","),
        judgement.score
    )
}

/// Between `<think>` and the last `</think>`; a chat template may have written `<think>` already.
fn reasoning(before: &str) -> &str {
    let Some((thought, _)) = before.rsplit_once("</think>") else {
        return "";
    };
    let thought = thought.split_once("<think>").map_or(thought, |(_, t)| t);
    thought.trim()
}

/// The text inside a Markdown fence, or all of it.
fn without_fence(answer: &str) -> &str {
    let answer = answer.trim();
    let Some(inner) = answer
        .strip_prefix("```")
        .and_then(|rest| rest.strip_suffix("```"))
    else {
        return answer;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

fn wrong(
    field: &'static str,
    found: Option<&Value>,
    expected: &'static str,
) -> UnreadableJudgement {
    UnreadableJudgement::WrongField {
        field,
        found: found.map_or("missing".to_owned(), Value::to_string),
        expected,
    }
}

fn labels(answer: &Value) -> Result<Vec<Distortion>, UnreadableJudgement> {
    let found = answer.get("labels");
    let expected = "a list of labels, empty for a clean frame";
    let list = found.and_then(Value::as_array);
    let list = list.ok_or_else(|| wrong("labels", found, expected))?;
    let mut labels = Vec::new();
    for label in list {
        let name = label.as_str();
        let name = name.ok_or_else(|| wrong("labels", Some(label), "names of labels"))?;
        let label: Distortion = name.parse()?;
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}

fn score(answer: &Value) -> Result<f64, UnreadableJudgement> {
    let found = answer.get("score");
    let number = match found {
        Some(Value::String(text)) => text.trim().parse().ok(),
        other => other.and_then(Value::as_f64),
    };
    let number = number.ok_or_else(|| wrong("score", found, "a number from 1 to 5"))?;
    if !SCORES.contains(&number) {
        return Err(UnreadableJudgement::ScoreOutOfRange { found: number });
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(json: &str) -> String {
        format!("<think>t</think><answer>{json}</answer>")
    }

    #[test]
    fn what_is_written_is_read_back() {
        for bits in 0..256u32 {
            let labels = Distortion::ALL.into_iter().enumerate();
            let labels: Vec<Distortion> = labels
                .filter_map(|(i, label)| (bits >> i & 1 == 1).then_some(label))
                .collect();
            let judgement = Judgement {
                labels,
                score: f64::from(100 + bits) / 100.0,
            };
            let text = write_judgement("an arm, broken", &judgement);
            assert_eq!(read_judgement(&text), Ok(("an arm, broken", judgement)));
        }
    }

    #[test]
    fn harmless_differences_are_forgiven() {
        let blur = Judgement {
            labels: vec![Distortion::MotionBlur],
            score: 3.0,
        };
        for response in [
            answer(r#" {"score": 3, "labels": ["Motion_Blur", "motion blur"], "why": "smeared"} "#),
            answer("\n```json\n{\"labels\":[\"motion-blur\"],\"score\":\"3.00\"}\n```\n"),
            // The template wrote `<think>`; something follows the answer.
            "t</think>\n<answer>{\"labels\":[\"motion blur\"],\"score\":3}</answer>\nDone.".into(),
            // An answer inside the reasoning is not the last.
            format!(
                "<think>t</think> <answer>?</answer> {}",
                answer(r#"{"labels":["motion blur"],"score":3}"#)
            ),
        ] {
            let (_, judgement) = read_judgement(&response).unwrap();
            assert_eq!(judgement, blur, "{response}");
        }
    }

    #[test]
    fn what_cannot_be_read_has_its_reason() {
        let why = |response: &str| read_judgement(response).unwrap_err();
        assert_eq!(why("clean"), UnreadableJudgement::NoAnswer);
        assert_eq!(
            why("<answer>{\"labels\":[]"),
            UnreadableJudgement::UnclosedAnswer
        );
        let not_json = why(&answer("score 3"));
        assert!(matches!(not_json, UnreadableJudgement::NotJson { .. }));
        for (json, named) in [
            (r#"{"labels":[],"score":0.99}"#, "0.99 is outside 1 to 5"),
            (r#"{"labels":[],"score":5.01}"#, "5.01 is outside 1 to 5"),
            (r#"{"labels":[],"score":"NaN"}"#, "NaN is outside 1 to 5"),
            (r#"{"labels":[]}"#, "\"score\" is missing"),
            (r#"{"labels":[],"score":null}"#, "\"score\" is null"),
            (
                r#"{"labels":"motion blur","score":3}"#,
                "\"labels\" is \"motion blur\"",
            ),
            (r#"{"labels":[7],"score":3}"#, "\"labels\" is 7"),
            (
                r#"{"labels":["six fingers"],"score":3}"#,
                "limb deformation, extra limbs",
            ),
            ("[]", "\"labels\" is missing"),
        ] {
            let error = why(&answer(json)).to_string();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
