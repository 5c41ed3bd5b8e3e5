//! How claims are made and asked about.

/// What splits an answer into claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitBy {
    /// Its sentences and the lines of its lists. Needs no model; a sentence that says two things is one claim.
    #[default]
    Sentences,
    /// The judge rewrites the answer as self-contained facts, as in RLAIF-V (there another model that was trained for
    /// it).
    Model,
}

/// What makes a question of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuestionForm {
    /// The claim itself is quoted and asked about.
    #[default]
    Statement,
    /// The judge rewrites each claim as a general question, as in RLAIF-V.
    Model,
}

/// How claims are made and asked about.
#[derive(Debug, Clone)]
pub struct ClaimOptions {
    /// What splits an answer.
    pub split: SplitBy,
    /// What makes a question of a claim.
    pub questions: QuestionForm,
    /// Longest reply to a question, in tokens.
    pub max_tokens: usize,
    /// Whether the likeliest first tokens are asked for.
    pub logprobs: bool,
}

impl Default for ClaimOptions {
    fn default() -> Self {
        Self {
            split: SplitBy::default(),
            questions: QuestionForm::default(),
            max_tokens: 8,
            logprobs: true,
        }
    }
}
