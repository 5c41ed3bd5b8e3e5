//! Perplexity of a text in sliding windows, as in Hugging Face's guide to perplexity of fixed-length
//! models: each window of `length` tokens scores the tokens that the window before it did not, so
//! that with a stride below the length every scored token has a past.

use serde::Serialize;

use percept_eval::Estimate;
use percept_eval::stats::{ANY, estimate_in};

/// Tokens of one window and how many of them, at the end, are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First token.
    pub start: usize,
    /// Token after the last.
    pub end: usize,
    /// Tokens at the end that no window before has scored; the first token of a text has no past and
    /// is never scored.
    pub scored: usize,
}

/// Windows over `tokens` tokens.
pub fn windows(tokens: usize, length: usize, stride: usize) -> Vec<Window> {
    let mut all = Vec::new();
    let mut before = 0;
    for start in (0..tokens).step_by(stride.max(1)) {
        let end = tokens.min(start + length);
        let scored = (end - before).min(end - start - 1);
        if scored > 0 {
            all.push(Window { start, end, scored });
        }
        before = end;
        if end == tokens {
            break;
        }
    }
    all
}

/// A text's perplexity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Perplexity {
    /// `exp` of the mean negative log-likelihood of a token.
    pub perplexity: f64,
    /// Mean negative log-likelihood in nats, over windows weighted by their tokens; the interval is
    /// that over windows.
    pub nll: Estimate,
    /// Tokens scored.
    pub tokens: usize,
}

/// From the mean negative log-likelihood and the scored tokens of each window.
pub fn perplexity(windows: &[(f64, usize)]) -> Perplexity {
    let tokens: usize = windows.iter().map(|(_, n)| n).sum();
    let sum: f64 = windows.iter().map(|(nll, n)| nll * *n as f64).sum();
    let mean = sum / tokens as f64;
    let each: Vec<f64> = windows.iter().map(|(nll, _)| *nll).collect();
    let mut nll = estimate_in(&each, ANY);
    nll.mean = mean;
    Perplexity {
        perplexity: mean.exp(),
        nll,
        tokens,
    }
}
