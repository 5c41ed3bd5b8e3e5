//! Questions and answers in the form of the official files.

use serde::{Deserialize, Serialize};

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
