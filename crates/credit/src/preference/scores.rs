//! Responses as numbers: their log-probabilities summed over tokens.

use std::ops::Range;

use super::{KindNeeds, Responses};

/// How much a token counts in the sums over its response.
pub(super) struct TokenWeights<'a> {
    given: Option<&'a [f32]>,
    /// First position in each row that counts `alpha` only.
    tail: Option<(Vec<usize>, f64)>,
}

impl<'a> TokenWeights<'a> {
    /// `tail`: LD-DPO's α, and for each row how many tokens count in full.
    pub fn new(responses: &Responses<'a>, tail: Option<(Vec<usize>, f64)>) -> Self {
        Self {
            given: responses.weight,
            tail,
        }
    }

    /// Weight of `token`, which stands at `position` of `row`.
    pub fn of(&self, row: usize, position: usize, token: usize) -> f64 {
        let given = self.given.map_or(1.0, |weight| f64::from(weight[token]));
        match &self.tail {
            Some((shared, alpha)) if position >= shared[row] => given * alpha,
            _ => given,
        }
    }
}

/// The responses of one kind, one number each. What a loss does not need is 0.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// `[pairs]` rows of each pair.
    pub rows: Vec<Range<usize>>,
    /// `[rows]` weighted sum of the policy's log-probabilities.
    pub log_prob: Vec<f64>,
    /// `[rows]` the same under the reference.
    pub ref_log_prob: Vec<f64>,
    /// `[rows]` sum of the policy's log-probabilities without weights.
    pub plain: Vec<f64>,
    /// `[rows]` sum of the divergences from the reference.
    pub ref_kl: Vec<f64>,
    /// `[rows]` tokens of the response.
    pub length: Vec<f64>,
}

impl Scores {
    pub(super) fn new(
        responses: &Responses<'_>,
        pairs: usize,
        needs: KindNeeds,
        weights: &TokenWeights<'_>,
    ) -> Self {
        let rows = responses.offsets.rows();
        let belongs = |pair| match responses.rows {
            None if rows != pairs => 0..0,
            _ => responses.of_pair(pair),
        };
        let weighted = |values: Option<&[f32]>| match values {
            None => vec![0.0; rows],
            Some(values) => sums(responses, |row, position, token| {
                weights.of(row, position, token) * f64::from(values[token])
            }),
        };
        let plain = |values: Option<&[f32]>| match values {
            None => vec![0.0; rows],
            Some(values) => sums(responses, |_, _, token| f64::from(values[token])),
        };
        let log_prob = responses.log_prob.filter(|_| needs.log_prob);
        Self {
            rows: (0..pairs).map(belongs).collect(),
            log_prob: weighted(log_prob),
            ref_log_prob: weighted(responses.ref_log_prob.filter(|_| needs.ref_log_prob)),
            plain: plain(log_prob),
            ref_kl: plain(responses.ref_kl.filter(|_| needs.ref_kl)),
            length: (0..rows).map(|row| responses.tokens(row) as f64).collect(),
        }
    }

    /// `log π_θ − log π_ref` of a response.
    pub fn log_ratio(&self, row: usize) -> f64 {
        self.log_prob[row] - self.ref_log_prob[row]
    }

    /// Tokens of a response, at least 1, to divide by.
    pub fn divisor(&self, row: usize) -> f64 {
        self.length[row].max(1.0)
    }
}

fn sums(responses: &Responses<'_>, value: impl Fn(usize, usize, usize) -> f64) -> Vec<f64> {
    let of_row = |(row, tokens): (usize, Range<usize>)| {
        let positions = tokens.enumerate();
        positions
            .map(|(position, token)| value(row, position, token))
            .sum()
    };
    responses.offsets.iter().enumerate().map(of_row).collect()
}
