//! What a check found.

use crate::Unread;
use crate::check::pairs::PairCounts;
use crate::check::problem::{Problem, ProblemKind};

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    /// Rows read.
    pub rows: usize,
    /// Problems in row order.
    pub problems: Vec<Problem>,
    /// Prompt tokens of the readable rows.
    pub prompt_tokens: Vec<usize>,
    /// Image tokens of the readable rows.
    pub image_tokens: Vec<usize>,
    /// The preference pairs among the rows.
    pub pairs: PairCounts,
    /// What rows say and nothing uses.
    pub unread: Unread,
}

impl CheckReport {
    /// Number of problems of one kind: duplicates, overlong prompts, …
    pub fn count(&self, kind: ProblemKind) -> usize {
        self.problems.iter().filter(|p| p.kind == kind).count()
    }

    /// Whether training would lose no row.
    pub fn is_clean(&self) -> bool {
        !self.problems.iter().any(|p| p.kind.is_error())
    }
}
