//! The types of the line: [`Answer`] in, [`Verdict`] and [`Reward`] out.

use std::sync::OnceLock;

use serde_json::{Map, Value};

/// One response and what is needed to judge it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The response's text.
    pub completion: &'a str,
    /// The right answer, as the data set has it.
    pub ground_truth: Option<&'a str>,
    /// Other answers that are as right as `ground_truth`: the response need be only one of them.
    pub alternatives: &'a [String],
    /// The prompt's text as the model saw it.
    pub prompt: &'a str,
    /// Whether the model ended the response itself (not cut at the length limit).
    pub finished: bool,
    /// Response tokens.
    pub n_tokens: usize,
    /// The row's other columns.
    pub meta: &'a Map<String, Value>,
    /// The response's tokens; empty where they are not known.
    pub token_ids: &'a [u32],
    /// The prompt as a list of messages, where the row has it as one (TRL's conversational form).
    pub messages: Option<&'a Value>,
}

impl Default for Answer<'_> {
    /// An empty response without a ground truth.
    fn default() -> Self {
        static NO_COLUMNS: OnceLock<Map<String, Value>> = OnceLock::new();
        Self {
            completion: "",
            ground_truth: None,
            alternatives: &[],
            prompt: "",
            finished: true,
            n_tokens: 0,
            meta: NO_COLUMNS.get_or_init(Map::new),
            token_ids: &[],
            messages: None,
        }
    }
}

/// What a verifier says about one response.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// 1 is right, 0 is wrong; graded verifiers give values between. Always finite.
    Score(f64),
    /// It could not be judged, and why. Never counted as a zero.
    Ungraded(String),
}

impl Verdict {
    /// The score 1.
    pub const RIGHT: Self = Self::Score(1.0);
    /// The score 0.
    pub const WRONG: Self = Self::Score(0.0);

    /// Right or wrong.
    pub fn right(right: bool) -> Self {
        if right { Self::RIGHT } else { Self::WRONG }
    }

    /// The score, if there is one.
    pub fn score(&self) -> Option<f64> {
        match self {
            Self::Score(score) => Some(*score),
            Self::Ungraded(_) => None,
        }
    }

    /// The reason why there is no score.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Score(_) => None,
            Self::Ungraded(reason) => Some(reason),
        }
    }

    /// Reason of a function that does not judge this response (TRL's `None`).
    pub(crate) const ABSTAINED: &str = "the function returned None";

    /// Whether the function left this response to the others.
    pub(crate) fn abstains(&self) -> bool {
        self.reason() == Some(Self::ABSTAINED)
    }

    pub(crate) fn no_ground_truth() -> Self {
        Self::Ungraded("the row has no ground truth".into())
    }
}

/// What a verifier takes for the answer in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extracted {
    /// It judges the response as a whole.
    Whole,
    /// This part of the response.
    Text(String),
    /// Nothing, and why: the response gives no final answer.
    Nothing(String),
}

impl Extracted {
    /// What an extraction found.
    pub(crate) fn of(found: Option<impl Into<String>>) -> Self {
        found.map_or_else(
            || Self::Nothing("the response states no final answer".into()),
            |text| Self::Text(text.into()),
        )
    }
}

/// Judges responses.
pub trait Verifier: Send + Sync {
    /// Name of its kind, as in the recipe.
    fn name(&self) -> &str;

    /// One verdict per answer, in their order. Never panics and never blocks without a deadline,
    /// whatever the text.
    fn verify(&self, batch: &[Answer<'_>]) -> Vec<Verdict>;

    /// What foreign code said besides verdicts since the last call (tracebacks, standard error), each text once, for a
    /// person to read.
    fn messages(&self) -> Vec<String> {
        Vec::new()
    }

    /// As a verifier that compares responses. It is then asked for the groups of several prompts at once, and
    /// [`Verifier::verify`] is not.
    fn groups(&self) -> Option<&dyn GroupVerifier> {
        None
    }

    /// Whether it compares with the row's ground truth: a row without one is then refused before training.
    fn needs_ground_truth(&self) -> bool {
        true
    }

    /// Whether a row has in its other columns what this verifier reads there; data are checked with it before training.
    ///
    /// # Errors
    /// The column, what was found in it and what was expected.
    fn check_row(&self, _row: &Map<String, Value>) -> Result<(), String> {
        Ok(())
    }

    /// Whether [`Verifier::verify`] reads [`Answer::alternatives`] itself. Where it does not, it is asked once
    /// for each right answer, and the best verdict counts.
    fn reads_alternatives(&self) -> bool {
        false
    }

    /// What it takes for the answer in the response; shown to people, not judged.
    fn extracted(&self, _answer: &Answer<'_>) -> Extracted {
        Extracted::Whole
    }

    /// Whether `ground_truth` is one that this verifier can compare with; data are checked with it
    /// before training.
    ///
    /// # Errors
    /// The reason why not.
    fn check_ground_truth(&self, ground_truth: &str) -> Result<(), String>;
}

/// Judges responses by comparing them with others: to the same prompt, and to the other prompts of the batch.
pub trait GroupVerifier {
    /// One verdict per answer, in the order of the groups; each group holds the answers to one prompt. Never
    /// panics and never blocks without a deadline, whatever the text.
    fn verify_groups(&self, groups: &[&[Answer<'_>]]) -> Vec<Vec<Verdict>>;

    /// The column whose value those prompts share that are judged together; training draws such rows in one step. None:
    /// any prompts may stand beside each other.
    fn group_by(&self) -> Option<&str> {
        None
    }

    /// Whether these rows, which are all that share a value of that column, can be judged together; data are checked with
    /// it before training. `rows` are their columns besides prompt, media and answer.
    ///
    /// # Errors
    /// What is missing.
    fn check_rows(&self, _rows: &[&Map<String, Value>]) -> Result<(), String> {
        Ok(())
    }
}

/// The judgement of one response by all functions.
#[derive(Debug, Clone, PartialEq)]
pub struct Reward {
    /// Σ weight × score over the parts that count: those with a non-zero weight whose `requires`, if
    /// any, scored above 0. A Python function that returned `None` is left out of it, as in TRL. None when a part that
    /// counts, or one that is required, is ungraded, or when no part is left.
    pub total: Option<f64>,
    /// Label and verdict of every function, in the recipe's order.
    pub parts: Vec<(String, Verdict)>,
}
