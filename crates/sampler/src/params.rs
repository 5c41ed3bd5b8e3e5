//! What belongs to a request, whichever engine answers it.

use serde::Serialize;

use crate::Error;

/// How responses are sampled. Names are those of vLLM and Hugging Face `generate`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SamplingParams {
    /// Softmax temperature; 0 is greedy decoding.
    pub temperature: f32,
    /// Nucleus: the smallest set of tokens with at least this probability (1: off).
    pub top_p: f32,
    /// Only the k likeliest tokens (0: off).
    pub top_k: usize,
    /// Only tokens with at least this share of the likeliest one's probability (0: off).
    pub min_p: f32,
    /// Above 1, tokens of the prompt and of the response become less likely, below 1 likelier (1: off).
    pub repetition_penalty: f32,
    /// Taken off the logits of tokens that the response holds (0: off).
    pub presence_penalty: f32,
    /// Taken off the logits of tokens for each time that the response holds them (0: off).
    pub frequency_penalty: f32,
    /// Longest response in tokens, the end token included.
    pub max_tokens: usize,
    /// Responses per prompt.
    pub n: usize,
    /// Seed of all draws.
    pub seed: u64,
    /// Texts that end a response; they are kept in it.
    pub stop: Vec<String>,
    /// Go on past the end-of-sequence token (for benchmarks).
    pub ignore_eos: bool,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            max_tokens: 512,
            n: 1,
            seed: 0,
            stop: Vec::new(),
            ignore_eos: false,
        }
    }
}

impl SamplingParams {
    /// The temperature of the distribution that log-probabilities are about: 1 where decoding is greedy.
    pub fn scale(&self) -> f32 {
        match self.temperature > 0.0 {
            true => self.temperature,
            false => 1.0,
        }
    }

    /// Whether tokens that stand in prompt or response are less or more likely.
    pub(crate) fn penalises(&self) -> bool {
        self.repetition_penalty != 1.0
            || self.presence_penalty != 0.0
            || self.frequency_penalty != 0.0
    }

    /// Whether all tokens can be drawn.
    pub(crate) fn draws_any(&self) -> bool {
        self.top_k == 0 && self.top_p >= 1.0 && self.min_p <= 0.0
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let problem = Error::params;
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return problem(
                "temperature",
                self.temperature.to_string(),
                "0 (greedy) or more",
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return problem("top_p", self.top_p.to_string(), "above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return problem("min_p", self.min_p.to_string(), "0 (off) to 1");
        }
        let repetition = self.repetition_penalty;
        if !(repetition > 0.0 && repetition.is_finite()) {
            let expected = "a number above 0 (1: off)";
            return problem("repetition_penalty", repetition.to_string(), expected);
        }
        for (field, value) in [
            ("presence_penalty", self.presence_penalty),
            ("frequency_penalty", self.frequency_penalty),
        ] {
            if !(-2.0..=2.0).contains(&value) {
                return problem(field, value.to_string(), "-2 to 2 (0: off)");
            }
        }
        for (field, value) in [("n", self.n), ("max_tokens", self.max_tokens)] {
            if value == 0 {
                return problem(field, "0".into(), "1 or more");
            }
        }
        if self.stop.iter().any(String::is_empty) {
            return problem("stop", "an empty text".into(), "non-empty texts");
        }
        Ok(())
    }
}
