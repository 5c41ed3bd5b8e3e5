//! What was made, and how the steps ended.

use std::collections::BTreeMap;

use serde::Serialize;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepTally {
    /// Its name.
    pub step: &'static str,
    /// Rows that went on.
    pub kept: usize,
    /// Why others did not → how many.
    pub left_out: BTreeMap<String, usize>,
    /// Whether it was done by this call, or found finished.
    #[serde(skip)]
    pub done_now: bool,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The steps, in order.
    pub steps: Vec<StepTally>,
    /// Rows with rejected pictures.
    pub visual: usize,
    /// Rows with two answers and no rejected picture.
    pub language: usize,
    /// Rows that are no pair.
    pub dropped: usize,
    /// Rows that had rejected pictures before, which are not in `pairs.jsonl`.
    pub had_pictures: usize,
    /// Why rows have no rejected picture → how many.
    pub skipped: BTreeMap<String, usize>,
}
