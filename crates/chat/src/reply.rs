//! What a model answers.

use serde::{Deserialize, Serialize};

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatFinish {
    /// The model ended it.
    Stop,
    /// Cut at the length limit.
    Length,
    /// The server kept it back.
    ContentFilter,
    /// Something else, in the server's word.
    Other(String),
}

/// A token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogProb {
    /// The token's text.
    pub token: String,
    /// Its natural logarithm of probability.
    pub logprob: f64,
}

/// The answer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// The answer.
    pub text: String,
    /// What it thought before, where the server tells it apart (`reasoning_content`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Why it ended.
    pub finish_reason: ChatFinish,
    /// Tokens of the prompt; 0 where the server does not say.
    pub prompt_tokens: u64,
    /// Tokens of the answer, its reasoning included; 0 where the server does not say.
    pub completion_tokens: u64,
    /// The likeliest first tokens, where they were asked for and the model gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_token: Vec<TokenLogProb>,
    /// The model in the server's word.
    pub model: String,
    /// Whether it was answered earlier and read from a file.
    #[serde(skip)]
    pub cached: bool,
}

impl ChatReply {
    /// Reasoning between `<think>` tags, then the answer: the form in which open models train.
    pub fn trajectory(&self) -> String {
        match &self.reasoning {
            Some(reasoning) if !reasoning.trim().is_empty() => {
                format!("<think>\n{}\n</think>\n\n{}", reasoning.trim(), self.text)
            }
            _ => self.text.clone(),
        }
    }
}
