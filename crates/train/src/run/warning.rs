//! What a run warns of.

use serde::{Deserialize, Serialize};

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// No response of a batch could be graded.
    Ungraded,
    /// No response of an evaluation could be graded.
    EvaluationUngraded,
    /// The rewards of every group were equal.
    NothingLearned,
    /// Rows that gave no sample.
    SkippedRows,
    /// Most responses end at the length limit.
    CutOff,
    /// The policy always says the same.
    EntropyGone,
    /// Responses get longer and longer.
    LengthExploding,
    /// An update was skipped because loss or gradient was not finite.
    NotFinite,
    /// Sampler and trainer disagree.
    Mismatch,
    /// Preference training makes the chosen answers less likely, too.
    ChosenFalls,
}

impl WarningKind {
    /// Its name in files: `skipped_rows`, ….
    pub fn name(self) -> &'static str {
        match self {
            Self::Ungraded => "ungraded",
            Self::EvaluationUngraded => "evaluation_ungraded",
            Self::NothingLearned => "nothing_learned",
            Self::SkippedRows => "skipped_rows",
            Self::CutOff => "cut_off",
            Self::EntropyGone => "entropy_gone",
            Self::LengthExploding => "length_exploding",
            Self::NotFinite => "not_finite",
            Self::Mismatch => "mismatch",
            Self::ChosenFalls => "chosen_falls",
        }
    }
}

/// Something is wrong with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// Steps done in all stages when it was noticed.
    pub step: usize,
    /// What it is about.
    pub kind: WarningKind,
    /// What is wrong, and what can be done.
    pub message: String,
}
