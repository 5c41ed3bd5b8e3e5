//! What means are taken over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, PreferenceBatch, phrases::aligned};

/// Counts of the whole mini-batch. A loss that is computed on a part of it with these counts adds up
/// over the parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferenceTotals {
    /// Pairs.
    pub pairs: usize,
    /// Tokens of the chosen responses.
    pub chosen_tokens: usize,
    /// Phrases that the chosen and the rejected response of a pair have in common.
    pub phrases: usize,
    /// By kind: pairs that have a response of it; for [`Kind::General`], responses.
    pub kinds: BTreeMap<Kind, usize>,
}

impl PreferenceTotals {
    /// Counts of a batch. Panics when its slices do not fit each other.
    pub fn of(batch: &PreferenceBatch<'_>) -> Self {
        let kinds = batch.responses.iter().map(|(&kind, responses)| {
            let count = match kind {
                Kind::General => responses.offsets.rows(),
                _ => (0..batch.pairs)
                    .filter(|&pair| !responses.of_pair(pair).is_empty())
                    .count(),
            };
            (kind, count)
        });
        let chosen = batch.responses.get(&Kind::Chosen);
        let tokens = chosen.map(|chosen| {
            let rows = 0..chosen.offsets.rows();
            rows.map(|row| chosen.tokens(row)).sum()
        });
        Self {
            pairs: batch.pairs,
            chosen_tokens: tokens.unwrap_or(0),
            phrases: (0..batch.pairs)
                .map(|pair| aligned(batch, pair).len())
                .sum(),
            kinds: kinds.collect(),
        }
    }

    /// The counts of both parts.
    pub fn with(mut self, other: &Self) -> Self {
        self.pairs += other.pairs;
        self.chosen_tokens += other.chosen_tokens;
        self.phrases += other.phrases;
        for (&kind, count) in &other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self
    }
}
