//! An answer and what became of it.

use serde::Serialize;

/// An answer to a row's prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// Number of its row, from 0.
    #[serde(skip)]
    pub row: usize,
    /// Name of its row.
    pub id: String,
    /// Its number among the answers to the row, from 0.
    pub candidate: usize,
    /// What became of it.
    pub status: CandidateStatus,
    /// Why it has no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its score: minus the number of rejected claims, or a verifier's reward.
    pub score: Option<f64>,
    /// Objects of the picture that it names, where the judge knows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<usize>,
    /// The answer.
    pub text: String,
    /// Whether the model ended it itself.
    pub finished: bool,
    /// What it claims, and the judge's word on each.
    pub claims: Vec<Claim>,
    /// Tokens of the prompt; 0 where the server does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer; 0 where the server does not say.
    pub completion_tokens: u64,
}

impl Candidate {
    /// Answer `candidate` to a row, which is not there.
    pub(crate) fn new(row: usize, id: &str, candidate: usize) -> Self {
        Self {
            row,
            id: id.to_owned(),
            candidate,
            status: CandidateStatus::Failed,
            reason: None,
            score: None,
            coverage: None,
            text: String::new(),
            finished: false,
            claims: Vec::new(),
            prompt_tokens: 0,
            completion_tokens: 0,
        }
    }
}

/// What became of an answer. Only one that is scored can stand in a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateStatus {
    /// It has a score.
    Scored,
    /// No judge has seen it yet.
    Unjudged,
    /// Cut at the length limit: a model that learns it would learn not to end.
    Cut,
    /// The server kept it back.
    KeptBack,
    /// Nothing but blanks.
    Empty,
    /// It claims nothing that could be judged.
    NoClaims,
    /// The judge left a claim open, or could not grade it.
    Unanswered,
    /// The picture has no annotation.
    NoAnnotation,
    /// There is no answer: the request failed.
    Failed,
}

/// A claim of an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// What is claimed: a sentence, a fact, an object.
    pub claim: String,
    /// The object's class, where the claim is an object under another word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What the judge was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What it said.
    pub verdict: ClaimVerdict,
    /// Probability of "yes" as its first token, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_yes: Option<f64>,
    /// Probability of "no".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_no: Option<f64>,
    /// What it said instead of yes or no, or why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

impl Claim {
    /// A claim with its verdict and nothing else.
    pub fn new(claim: impl Into<String>, verdict: ClaimVerdict) -> Self {
        Self {
            claim: claim.into(),
            class: None,
            question: None,
            verdict,
            p_yes: None,
            p_no: None,
            reply: None,
        }
    }
}

/// What a judge says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// It is so.
    Accepted,
    /// It is not.
    Rejected,
    /// Neither yes nor no.
    Unanswered,
}

/// Runs of neighbours that answer the same row.
pub(crate) fn by_row<'a>(
    answers: &'a [&'a Candidate],
) -> impl Iterator<Item = &'a [&'a Candidate]> {
    answers.chunk_by(|a, b| a.row == b.row)
}

#[cfg(test)]
impl Candidate {
    /// An answer to be judged.
    pub(crate) fn of(row: usize, text: &str) -> Self {
        Self {
            status: CandidateStatus::Unjudged,
            text: text.into(),
            finished: true,
            ..Self::new(row, &format!("r{row}"), 0)
        }
    }
}
