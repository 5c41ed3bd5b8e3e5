//! A judged response with both models' numbers.

use percept_sampler::Trace;

use crate::Record;

/// A judged response with both models' numbers of its tokens.
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A response of tokens with planted Δ.
    pub(in crate::direction) fn response(id: &str, tokens: &[(&str, f64)]) -> Response {
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
