//! What came of it all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::collected::Collected;
use crate::length::Lengths;
use crate::{CandidateStatus, ClaimVerdict};

/// Counts over all rows; a function of rows, answers and verdicts, and so the same after a resumed run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// Rows.
    pub rows: usize,
    /// Rows that gave a pair.
    pub rows_with_pairs: usize,
    /// Rows that gave none, by reason.
    pub rows_without_pairs: BTreeMap<String, usize>,
    /// Pairs.
    pub pairs: usize,
    /// Pairs that were dropped because their chosen answer is too short.
    pub pairs_too_short: usize,
    /// The share at which that is so, where there is a limit.
    pub max_shortening: Option<f64>,
    /// Answers.
    pub candidates: usize,
    /// Answers by what became of them.
    pub candidates_by_status: BTreeMap<CandidateStatus, usize>,
    /// Claims by verdict.
    pub claims: BTreeMap<ClaimVerdict, usize>,
    /// Mean score of scored answers.
    pub score: Option<f64>,
    /// Lengths of the pairs.
    pub words: Option<Lengths>,
    /// Prompt tokens of all answers; 0 where a server does not say.
    pub prompt_tokens: u64,
    /// Tokens of all answers.
    pub completion_tokens: u64,
}

impl Tally {
    fn of(found: &Collected) -> Self {
        let answers = || found.candidates.iter();
        let scores: Vec<f64> = answers().filter_map(|answer| answer.score).collect();
        let names = found.skipped.iter().map(|skipped| skipped.reason.name());
        let with_pairs = found.pairs.chunk_by(|a, b| a.0 == b.0).count();
        let words: Vec<(usize, usize)> = found.pairs.iter().map(|pair| found.words(pair)).collect();
        Self {
            rows: found.rows,
            rows_with_pairs: with_pairs,
            rows_without_pairs: counts(names),
            pairs: found.pairs.len(),
            pairs_too_short: found.too_short,
            max_shortening: found.max_shortening,
            candidates: found.candidates.len(),
            candidates_by_status: counts(answers().map(|answer| answer.status)),
            claims: counts(answers().flat_map(|answer| answer.claims.iter().map(|c| c.verdict))),
            score: (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64),
            words: Lengths::of(&words),
            prompt_tokens: answers().map(|answer| answer.prompt_tokens).sum(),
            completion_tokens: answers().map(|answer| answer.completion_tokens).sum(),
        }
    }

    /// Answers that became this.
    pub fn of_status(&self, status: CandidateStatus) -> usize {
        self.candidates_by_status.get(&status).copied().unwrap_or(0)
    }
}

impl Collected {
    /// The counts.
    pub fn tally(&self) -> Tally {
        Tally::of(self)
    }
}

fn counts<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}
