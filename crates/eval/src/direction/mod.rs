//! The direction in which training moved a model: `Δ(y_t) = log π_tuned(y_t) − log π_base(y_t)`
//! of single tokens, and what replacing tokens by it does, beside KL, entropy, |Δ| and chance.
//!
//! Training changes few tokens. Entropy and KL say where distributions are wide or moved; the
//! signed Δ of the token at hand says which way. If that is what training did, then drafting from
//! the base and drawing again from the tuned model only where Δ of the draft is lowest recovers
//! the accuracy with few tokens. Source: arXiv 2603.22117, sections 2 and 3.

mod measure;
mod moves;
mod replacement;
mod rules;

pub use measure::{Histogram, Sparsity, auc, histogram, sparsity};
pub use moves::{Occurrence, TokenMove, occurrences, token_moves};
pub use replacement::{Outcome, ReplacementCurve, question_scores};
pub use rules::Rule;

use percept_data::Dataset;
use percept_reward::RewardSet;
use percept_sampler::{LocalSampler, SamplingParams, Trace};

use crate::accuracy::{chunks, judge};
use crate::{Error, Record};

/// A judged response with what both models say of its tokens.
#[derive(Debug, Clone)]
pub struct Response {
    /// The response and its score.
    pub record: Record,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Their texts.
    pub token_text: Vec<String>,
    /// Both models' numbers per token.
    pub trace: Trace,
}

impl Response {
    /// Δ of every token.
    pub fn deltas(&self) -> impl Iterator<Item = f64> + '_ {
        let pairs = self
            .trace
            .log_prob_tuned
            .iter()
            .zip(&self.trace.log_prob_base);
        pairs.map(|(tuned, base)| f64::from(*tuned) - f64::from(*base))
    }

    /// Share of tokens on which the gate fired.
    pub fn fired(responses: &[Response]) -> f64 {
        let flags = || responses.iter().flat_map(|r| &r.trace.fired);
        flags().filter(|fired| **fired).count() as f64 / flags().count().max(1) as f64
    }
}

/// Samples and judges responses to the first `limit` rows (0: all) with both models of `sampler`.
/// The draws are those of [`evaluate`](crate::evaluate).
///
/// # Errors
/// Those of [`evaluate`](crate::evaluate), and a sampler without a second model.
pub fn responses(
    sampler: &LocalSampler<'_>,
    dataset: &dyn Dataset,
    rewards: &RewardSet,
    sampling: &SamplingParams,
    limit: usize,
) -> Result<Vec<Response>, Error> {
    let processor = sampler.processor();
    let mut found = Vec::new();
    chunks(processor, dataset, sampling, limit, |batch| {
        let traced = sampler.trace(batch.prompts, batch.params, &mut |_| {})?;
        let (rollouts, traces): (Vec<_>, Vec<_>) = traced.into_iter().unzip();
        let mut records = Vec::new();
        judge(
            batch.samples,
            batch.prompts,
            &rollouts,
            rewards,
            &mut records,
        );
        let parts = records.into_iter().zip(rollouts).zip(traces);
        found.extend(parts.map(|((record, rollout), trace)| {
            Response {
                record,
                token_text: rollout
                    .tokens
                    .iter()
                    .map(|&id| processor.token_text(id))
                    .collect(),
                tokens: rollout.tokens,
                trace,
            }
        }));
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response of tokens with planted Δ.
    pub(super) fn response(id: &str, tokens: &[(&str, f64)]) -> Response {
        let record = Record {
            id: id.into(),
            question_type: "all".into(),
            sample: 0,
            prompt: String::new(),
            completion: String::new(),
            answer: None,
            score: Some(1.0),
            parts: Vec::new(),
            tokens: tokens.len(),
            finish_reason: "stop".into(),
            images: Vec::new(),
        };
        let deltas: Vec<f32> = tokens.iter().map(|(_, delta)| *delta as f32).collect();
        Response {
            record,
            tokens: (0..tokens.len() as u32).collect(),
            token_text: tokens.iter().map(|(text, _)| (*text).into()).collect(),
            trace: Trace {
                log_prob_tuned: deltas.iter().map(|delta| delta - 20.0).collect(),
                log_prob_base: vec![-20.0; tokens.len()],
                drafted_delta: deltas,
                fired: vec![false; tokens.len()],
                ..Default::default()
            },
        }
    }

    #[test]
    fn delta_is_tuned_minus_base() {
        let deltas: Vec<f64> = response("q", &[("a", 1.5), ("b", -2.0)]).deltas().collect();
        assert_eq!(deltas, [1.5, -2.0]);
        let mut fired = response("q", &[("a", 0.0), ("b", 0.0)]);
        fired.trace.fired = vec![true, false];
        assert_eq!(Response::fired(&[fired]), 0.5);
        assert_eq!(Response::fired(&[]), 0.0);
    }
}
