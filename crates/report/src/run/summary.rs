//! `summary.json`: the result of a run in numbers a program can read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use percept_base::files::write_atomic;

use crate::Error;

/// What a run achieved.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Name of the run.
    pub name: String,
    /// Evaluations in the order in which they were made: `base`, `sft`, `rl`.
    pub stages: Vec<StageSummary>,
    /// What one stage changed over another, question by question: `rl` over `sft`, for example.
    pub changes: Vec<Change>,
    /// Training steps of all stages.
    pub steps: u64,
    /// Tokens that went through forward passes of training.
    pub tokens: u64,
    /// Seconds of training and evaluation, over all resumes.
    pub seconds: f64,
    /// What was said to be wrong with the run while it went on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<RunWarning>,
    /// Further facts worth showing beside the name: model, device, version, ….
    pub facts: BTreeMap<String, String>,
}

/// Something was wrong with a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunWarning {
    /// Steps done when it was noticed.
    pub step: u64,
    /// `ungraded`, `nothing_learned`, `skipped_rows`, `cut_off`, ….
    pub kind: String,
    /// In words.
    pub message: String,
}

/// The model after one stage.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StageSummary {
    /// `base`, `sft`, `rl`.
    pub name: String,
    /// Share of right answers among graded ones; NaN (`null` in the file) when none was graded.
    #[serde(deserialize_with = "nan_from_null")]
    pub accuracy: f64,
    /// Lower end of the 95 % confidence interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_low: f64,
    /// Upper end of the 95 % confidence interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_high: f64,
    /// Graded answers.
    pub n: usize,
    /// Answers that the verifier could not grade; not in `n`.
    pub ungraded: usize,
    /// Mean response length in tokens.
    #[serde(deserialize_with = "nan_from_null")]
    pub mean_length: f64,
    /// The same by question type.
    pub by_type: BTreeMap<String, TypeSummary>,
    /// Seconds that the stage took (its training, not its evaluation).
    #[serde(deserialize_with = "nan_from_null")]
    pub seconds: f64,
}

/// One question type after one stage.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TypeSummary {
    /// Share of right answers among graded ones.
    #[serde(deserialize_with = "nan_from_null")]
    pub accuracy: f64,
    /// Lower end of the 95 % confidence interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_low: f64,
    /// Upper end of the 95 % confidence interval.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_high: f64,
    /// Graded answers.
    pub n: usize,
}

/// The difference of two evaluations on the questions that both answered: a paired difference,
/// whose interval is narrower than the two intervals beside each other suggest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The evaluation before.
    pub from: String,
    /// The evaluation after.
    pub to: String,
    /// Mean difference of the scores; 0.1 is ten percentage points.
    #[serde(deserialize_with = "nan_from_null")]
    pub mean: f64,
    /// Lower end of the 95 % interval of the paired bootstrap.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_low: f64,
    /// Upper end.
    #[serde(deserialize_with = "nan_from_null")]
    pub ci_high: f64,
    /// Questions that both answered and the verifier graded.
    pub n: usize,
    /// Questions whose score rose.
    pub better: usize,
    /// Questions whose score fell.
    pub worse: usize,
    /// The same by question type; empty where there is one type only.
    pub by_type: BTreeMap<String, TypeSummary>,
}

impl Summary {
    /// Writes `summary.json` atomically.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| Error::Invalid {
            path: path.to_path_buf(),
            row: None,
            what: format!("the summary cannot be written as JSON: {error}"),
            help: "this is a fault of the program; please report it",
        })?;
        json.push(b'\n');
        Ok(write_atomic(path, &json)?)
    }

    /// Reads `summary.json`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Invalid {
            path: path.to_path_buf(),
            row: Some(error.line()),
            what: format!("not a summary: {error}"),
            help: "remove the file; `percept report` works without it",
        })
    }
}

/// JSON has no NaN: serde_json writes `null`.
fn nan_from_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_without_graded_answers_survives_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        let stage = StageSummary {
            name: "base".into(),
            accuracy: f64::NAN,
            ungraded: 3,
            by_type: [(
                "sum".into(),
                TypeSummary {
                    accuracy: 0.5,
                    n: 2,
                    ..Default::default()
                },
            )]
            .into(),
            ..Default::default()
        };
        let summary = Summary {
            name: "a".into(),
            stages: vec![stage],
            tokens: 7,
            ..Default::default()
        };
        summary.write(&path).unwrap();
        let back = Summary::read(&path).unwrap();
        assert!(back.stages[0].accuracy.is_nan());
        assert_eq!(back.stages[0].by_type, summary.stages[0].by_type);
        assert_eq!((back.stages[0].ungraded, back.tokens), (3, 7));
    }

    #[test]
    fn a_broken_summary_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        fs::write(&path, "{\n\"stages\": 3}").unwrap();
        let message = Summary::read(&path).unwrap_err().to_string();
        assert!(message.contains("summary.json:2"), "{message}");
    }
}
