//! What was sent and received, and what it cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ChatReply;

/// Prices of an endpoint, per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
}

impl Prices {
    /// Cost of this many tokens.
    pub fn cost(&self, prompt_tokens: u64, completion_tokens: u64) -> f64 {
        (prompt_tokens as f64 * self.input + completion_tokens as f64 * self.output) / 1e6
    }
}

/// What was sent and received.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Requests sent, repetitions included.
    pub requests: u64,
    /// Repetitions, by what made them necessary: `429`, `503`, `timeout`, `connection`, `body`.
    pub retries: BTreeMap<String, u64>,
    /// Answers received.
    pub replies: u64,
    /// Answers that were read from a file instead.
    pub cached: u64,
    /// Prompt tokens of the answers received.
    pub prompt_tokens: u64,
    /// Tokens of the answers received.
    pub completion_tokens: u64,
    /// Answers that came without a count of tokens: the sums and the cost are too low.
    pub uncounted: u64,
    /// What the answers received cost, at the given prices.
    pub cost: f64,
}

impl Usage {
    pub(crate) fn add(&mut self, reply: &ChatReply, prices: &Prices) {
        self.replies += 1;
        self.prompt_tokens += reply.prompt_tokens;
        self.completion_tokens += reply.completion_tokens;
        self.uncounted += u64::from(reply.prompt_tokens == 0 && reply.completion_tokens == 0);
        self.cost += prices.cost(reply.prompt_tokens, reply.completion_tokens);
    }
}
