//! Phrases that the chosen and the rejected response of a pair have in common.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Kind, PreferenceBatch, Responses};

/// Tokens of an aligned phrase in the chosen and in the rejected response, on their own token axes.
pub(super) type Aligned = [Vec<usize>; 2];

/// Phrases of `pair` that both responses have, by ascending number.
pub(super) fn aligned(batch: &PreferenceBatch<'_>, pair: usize) -> Vec<Aligned> {
    let of = |kind| batch.responses.get(&kind);
    let (Some(chosen), Some(rejected)) = (of(Kind::Chosen), of(Kind::Rejected)) else {
        return Vec::new();
    };
    let mut other = by_number(rejected, pair);
    let mine = by_number(chosen, pair).into_iter();
    mine.filter_map(|(number, tokens)| Some([tokens, other.remove(&number)?]))
        .collect()
}

fn by_number(responses: &Responses<'_>, pair: usize) -> BTreeMap<u32, Vec<usize>> {
    let mut found: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let Some(phrase) = responses.phrase else {
        return found;
    };
    let rows = responses.of_pair(pair);
    let tokens: Vec<Range<usize>> = rows.map(|row| responses.offsets.row(row)).collect();
    for token in tokens
        .into_iter()
        .flatten()
        .filter(|&token| phrase[token] > 0)
    {
        found.entry(phrase[token]).or_default().push(token);
    }
    found
}
