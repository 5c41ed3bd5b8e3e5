//! Causal-HalBench: does a model look, or does it guess from what usually comes together?
//!
//! One object of a picture (the target) is replaced by another that rarely keeps its company. Asked again
//! about what stayed, what came and what was never there, a model that looks answers as before:
//!
//! | metric | formula | question (truth) | a high value means |
//! |---|---|---|---|
//! | CAC | `Acc(X, ctx) − Acc(X_cf, ctx)` | contextual object, kept (yes, yes) | recognised by its company |
//! | AAC | `Acc(X_cf, abs) − Acc(X, abs)` | absent object (no, no) | the target called it up |
//! | CHR | `1 − Acc(X_cf, cf)` | counterfactual object (yes) | the unexpected is denied |
//! | CPR | pairs with both answers right | contextual; absent | (higher is better) |
//!
//! `X` the originals, `X_cf` the edits. AAC is called `nac` in the authors' code. A model that is wrong on
//! both sides has small differences: read them beside the accuracies. Answers are read as "yes" where they
//! contain it, as the authors do ([`Reading`]).
//!
//! Values are those of the authors' `metric.py` (compared on `tests/golden/causal.json`), with one choice of
//! ours: intervals resample originals, each with all its edits, because its questions are not independent.
//! Source: arXiv 2511.10268 and the repository `zhexu-ustc/Causal-HalBench`.

mod breakdown;
mod metrics;
mod reading;
mod scenes;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use breakdown::{Group, by_object, by_pair, object_of};
pub use metrics::{Metrics, measure, paired};
pub use reading::Reading;
pub use scenes::write_scenes;

/// What a question asks about; the names are those of the official file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The contextual object, which stays (the file says `target`).
    Target,
    /// The counterfactual object, which came.
    Inpaint,
    /// An object of neither picture.
    Absent,
}

/// Which picture of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tag {
    /// The original.
    Origin,
    /// The edit.
    Inpainted,
}

/// A yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// A row of the official `qa.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Number in the data set.
    pub id: u64,
    /// File in `images/`; an edit is its original with `_` and three digits.
    pub image_name: String,
    /// The question.
    pub q: String,
    /// What it asks about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Which picture.
    pub tag: Tag,
    /// What is right.
    pub answer: Answer,
}

/// A question with what was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The question.
    #[serde(flatten)]
    pub question: Question,
    /// As the model wrote it.
    pub response: String,
    /// As it was read.
    pub parsed: Answer,
}

impl Answered {
    /// Whether the answer is right.
    pub fn is_right(&self) -> bool {
        self.parsed == self.question.answer
    }
}

/// Why a data set or a file of answers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CausalError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file with other content.
    #[error("{path}: {source}\n  help: expected {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: serde_json::Error,
        /// What would do.
        expected: &'static str,
    },
    /// Two questions with one number on one pair of pictures.
    #[error(
        "{path}: question {id} of {image} occurs twice\n  help: ids number the questions through the file"
    )]
    Twice {
        /// The file.
        path: PathBuf,
        /// The number.
        id: u64,
        /// Its picture.
        image: String,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] percept_report::Error),
    /// No question at all.
    #[error("{path}: no questions")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// The questions of a data set folder (`qa.json`), or of such a file.
///
/// # Errors
/// [`CausalError`] for a file that is unreadable, not of this form, empty, or has a number twice.
pub fn questions(path: &Path) -> Result<Vec<Question>, CausalError> {
    let path = match path.is_dir() {
        true => path.join("qa.json"),
        false => path.to_path_buf(),
    };
    let bytes = std::fs::read(&path).map_err(|source| CausalError::Io {
        path: path.clone(),
        source,
    })?;
    let rows: Vec<Question> =
        serde_json::from_slice(&bytes).map_err(|source| CausalError::Format {
            path: path.clone(),
            source,
            expected: "a list of {id, image_name, q, type: target|inpaint|absent, tag: \
                       origin|inpainted, answer: yes|no}",
        })?;
    if rows.is_empty() {
        return Err(CausalError::Empty { path });
    }
    let mut seen = std::collections::HashSet::new();
    for row in &rows {
        // The authors' code keeps the last of them without a word.
        if !seen.insert((original_of(&row.image_name), row.id)) {
            return Err(CausalError::Twice {
                path,
                id: row.id,
                image: row.image_name.clone(),
            });
        }
    }
    Ok(rows)
}

/// The answers of a run: `records.jsonl`, one [`Answered`] a line.
///
/// # Errors
/// [`CausalError`] with the line that is not one.
pub fn records(path: &Path) -> Result<Vec<Answered>, CausalError> {
    let text = std::fs::read_to_string(path).map_err(|source| CausalError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|source| CausalError::Format {
                path: PathBuf::from(format!("{}:{}", path.display(), number + 1)),
                source,
                expected: "a record that `percept eval causal-halbench` wrote",
            })
        })
        .collect()
}

/// The name of the original: without `_` and three digits at the end of the stem.
///
/// ```
/// use percept_eval::causal::original_of;
///
/// assert_eq!(original_of("COCO_val2014_000000000042_003.jpg"), "COCO_val2014_000000000042.jpg");
/// assert_eq!(original_of("street.jpg"), "street.jpg");
/// ```
pub fn original_of(image_name: &str) -> String {
    let (stem, ending) = match image_name.rfind('.') {
        Some(0) | None => (image_name, ""),
        Some(at) => image_name.split_at(at),
    };
    match stem.rsplit_once('_') {
        Some((before, number))
            if number.len() == 3 && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            format!("{before}{ending}")
        }
        _ => image_name.to_owned(),
    }
}
