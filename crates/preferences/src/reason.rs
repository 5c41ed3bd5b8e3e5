//! Why a row gave no pair.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Candidate, CandidateStatus};

/// Why a row gave no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It cannot be read, or asks nothing.
    Unreadable,
    /// Fewer than two answers have a score, and most of the others became this.
    Answers(CandidateStatus),
    /// All scores are equal, and nothing decides between them.
    EqualScores,
    /// Scores differ, but by less than the smallest gap.
    SmallGap,
    /// The answers that may be paired are one text.
    EqualTexts,
    /// In every pair the chosen answer is too short beside the rejected one.
    TooShort,
}

impl SkipReason {
    /// As counts and records name it.
    pub fn name(self) -> String {
        let value = match self {
            Self::Answers(status) => serde_json::to_value(status),
            other => serde_json::to_value(other),
        };
        let text = value.ok().and_then(|v| v.as_str().map(str::to_owned));
        text.unwrap_or_default()
    }

    /// Why these answers gave no pair with a gap of `min_gap`.
    pub(crate) fn of(answers: &[Candidate], min_gap: f64) -> Self {
        let scores: Vec<f64> = answers.iter().filter_map(|answer| answer.score).collect();
        if scores.len() < 2 {
            return Self::Answers(most(answers));
        }
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let gap = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) - least;
        match () {
            () if gap == 0.0 => Self::EqualScores,
            () if gap < min_gap => Self::SmallGap,
            () => Self::EqualTexts,
        }
    }
}

/// What most of the answers without a score became.
fn most(answers: &[Candidate]) -> CandidateStatus {
    let mut counts: BTreeMap<CandidateStatus, usize> = BTreeMap::new();
    for answer in answers.iter().filter(|answer| answer.score.is_none()) {
        *counts.entry(answer.status).or_default() += 1;
    }
    let first_of_most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    first_of_most.map_or(CandidateStatus::Failed, |(status, _)| status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_most_answers_became() {
        let with = |status, score| Candidate {
            status,
            score,
            ..Candidate::of(0, "x")
        };
        let cut = || with(CandidateStatus::Cut, None);
        let scored = |score| with(CandidateStatus::Scored, Some(score));
        let open = with(CandidateStatus::Unanswered, None);
        let of = |answers: &[Candidate]| SkipReason::of(answers, 1.0).name();
        assert_eq!(of(&[cut(), open, cut(), scored(0.0)]), "cut");
        assert_eq!(of(&[scored(0.0), scored(0.0), cut()]), "equal_scores");
        assert_eq!(of(&[scored(0.0), scored(0.5)]), "small_gap");
        assert_eq!(of(&[scored(0.0), scored(2.0)]), "equal_texts");
    }
}
