//! What a judge is.

use percept_data::Dataset;
use serde_json::Value;

use crate::{Candidate, CandidateStatus, Claim, Error};

/// A judge of answers.
pub trait Judge {
    /// Who judges and how, for records; it holds no secret.
    fn identity(&self) -> Value;

    /// One judgement for each answer, in their order, which is that of their rows.
    ///
    /// # Errors
    /// What makes it useless to go on.
    fn judge(&self, answers: &[&Candidate], data: &dyn Dataset) -> Result<Vec<Judgement>, Error>;
}

/// What a judge says of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Its claims with their verdicts.
    pub claims: Vec<Claim>,
    /// The score, or what became of the answer instead, and why.
    pub score: Result<Score, (CandidateStatus, String)>,
}

/// The score of an answer; more is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Minus the number of rejected claims, or a reward.
    pub value: f64,
    /// Objects of the picture that the answer names, where they are known.
    pub coverage: Option<usize>,
}

impl Judgement {
    /// No score, and why.
    pub(crate) fn none(status: CandidateStatus, why: impl Into<String>) -> Self {
        Self {
            claims: Vec::new(),
            score: Err((status, why.into())),
        }
    }

    /// Notes the judgement on the answer.
    pub fn put(self, candidate: &mut Candidate) {
        candidate.claims = self.claims;
        match self.score {
            Ok(score) => {
                candidate.status = CandidateStatus::Scored;
                candidate.score = Some(score.value);
                candidate.coverage = score.coverage;
            }
            Err((status, why)) => {
                candidate.status = status;
                candidate.reason = Some(why);
            }
        }
    }
}
