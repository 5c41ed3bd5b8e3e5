//! A question about a long text.

use percept_base::hex;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One question about a long text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// RULER's name of the task, or `needle`.
    pub task: &'static str,
    /// Tokens that text and answer may take together.
    pub length: usize,
    /// Where the needle stands, 0 (beginning) to 1; none for tasks with several places.
    pub depth: Option<f64>,
    /// The text and what is asked of it.
    #[serde(skip)]
    pub input: String,
    /// How the answer begins.
    #[serde(skip)]
    pub answer_prefix: String,
    /// Strings that a right answer holds.
    pub outputs: Vec<String>,
    /// Longest answer, in tokens.
    #[serde(skip)]
    pub tokens_to_generate: usize,
}

impl Question {
    /// What an answer depends on, as a name: the question, who is asked, and whether through the
    /// model's chat template.
    pub fn key(&self, identity: &Value, chat: bool) -> String {
        let all = json!([
            identity,
            chat,
            self.input,
            self.answer_prefix,
            self.tokens_to_generate,
        ]);
        hex(&Sha256::digest(all.to_string()))
    }
}

/// A question without its place in a benchmark.
pub(super) struct Made {
    pub input: String,
    pub answer_prefix: String,
    pub outputs: Vec<String>,
}
