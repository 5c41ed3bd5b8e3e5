//! A sampled response.

/// Why a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// End-of-sequence token or stop text.
    Stop,
    /// `max_tokens`.
    Length,
}

impl FinishReason {
    /// `stop` or `length`, as the OpenAI API writes it.
    pub fn name(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        }
    }
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// Index of the prompt in the call.
    pub prompt: usize,
    /// Which of the prompt's `n` responses.
    pub sample: usize,
    /// Response tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the sampling temperature (see [`Draw::log_prob`](crate::Draw::log_prob)).
    pub log_probs: Vec<f32>,
    /// The response without special tokens.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Version of the weights that sampled it.
    pub weight_version: u64,
}

/// A rollout and what was likely at its first token.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The response.
    pub rollout: Rollout,
    /// The likeliest first tokens with their log-probabilities, as many as were asked for.
    pub first: Vec<(u32, f32)>,
}
