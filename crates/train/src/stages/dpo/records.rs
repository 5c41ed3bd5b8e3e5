//! A step's pairs as `pairs/step-000123.parquet`.

use std::collections::BTreeMap;
use std::sync::Arc;

use percept_credit::preference::{
    Kind, PreferenceState, PreferenceTotals, ResponseView, preference_loss, response_views,
};
use percept_report::{PairRecord, PairResponse, RunDir, write_pairs};

use crate::Error;
use crate::stages::dpo::columns::{Columns, Known};
use crate::stages::dpo::pair::Pair;
use crate::stages::dpo::setup::Setup;

/// What of a step is written.
pub(crate) struct Seen<'a> {
    /// Number of the step in the run, from 1.
    pub(crate) step: u64,
    pub(crate) pairs: &'a [&'a Pair],
    /// What was known of them before the update.
    pub(crate) known: &'a Known,
    /// What the loss remembered before it.
    pub(crate) state: PreferenceState,
    pub(crate) draws: &'a [f64],
}

/// Writes the pairs of a step.
///
/// # Errors
/// [`Error::Report`] when the disk refuses.
pub(crate) fn write(setup: &Setup<'_>, dir: &RunDir, seen: &Seen<'_>) -> Result<(), Error> {
    let Seen {
        pairs,
        known,
        state,
        draws,
        ..
    } = seen;
    let columns = Columns::of(pairs, &setup.needs, known);
    let batch = columns.batch(draws);
    let totals = PreferenceTotals::of(&batch);
    let views = response_views(&setup.options.loss, &batch, state, &totals)?;
    let mut rows = views
        .into_iter()
        .map(|(kind, views)| (kind, views.into_iter()))
        .collect();
    let mut records = Vec::with_capacity(pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let responses = responses(setup, index, pair, known, &mut rows)?;
        if !pair.is_general() {
            records.push(PairRecord {
                step: seen.step,
                pair: index as u32,
                id: pair.id.clone(),
                prompt: pair.prompts[0].text.clone(),
                loss: pair_loss(setup, index, seen)?,
                responses,
            });
        }
    }
    Ok(write_pairs(&dir.pairs_of(seen.step), &records)?)
}

/// Views of each kind, those of the next pair first.
type Views = BTreeMap<Kind, std::vec::IntoIter<ResponseView>>;

fn responses(
    setup: &Setup<'_>,
    index: usize,
    pair: &Pair,
    known: &Known,
    views: &mut Views,
) -> Result<Vec<PairResponse>, Error> {
    let pictures = pair.pictures.iter().map(|pictures| {
        let encoded = pictures.iter().map(|picture| picture.encoded());
        encoded.collect::<Result<Vec<Arc<[u8]>>, _>>()
    });
    let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
    let mut numbers: BTreeMap<Kind, u32> = BTreeMap::new();
    let mut chosen = None;
    let mut found = Vec::with_capacity(pair.responses.len());
    for (place, response) in pair.responses.iter().enumerate() {
        let number = numbers.entry(response.kind).or_default();
        let view = views.get_mut(&response.kind).and_then(Iterator::next);
        let reward = view.map(|view| view.reward);
        if response.kind == Kind::Chosen {
            chosen = reward;
        }
        let margin = chosen.zip(reward).map(|(chosen, own)| chosen - own);
        let at = [index, place];
        let values = |values: &Option<super::columns::Values>| {
            values.as_ref().map(|values| values.of(at).to_vec())
        };
        let asked =
            setup.needs.of_kind(response.kind).ref_log_prob && !setup.options.reference_free;
        found.push(PairResponse {
            kind: response.kind.name().to_owned(),
            number: *number,
            completion: setup.processor.decode(&response.tokens),
            images: pictures[response.prompt].clone(),
            token_text: response
                .tokens
                .iter()
                .map(|&id| setup.processor.token_text(id))
                .collect(),
            tokens: response.tokens.clone(),
            log_probs: values(&known.log_prob).unwrap_or_default(),
            ref_log_probs: values(&known.ref_log_prob)
                .filter(|_| asked)
                .unwrap_or_default(),
            reward,
            margin: margin.filter(|_| response.kind != Kind::Chosen),
            weight: view
                .map(|view| view.weight)
                .filter(|weight| weight.is_finite()),
        });
        *number += 1;
    }
    Ok(found)
}

/// The loss of one pair; none where the loss compares the pairs of a step with each other.
fn pair_loss(setup: &Setup<'_>, index: usize, seen: &Seen<'_>) -> Result<Option<f64>, Error> {
    if setup.needs.whole_batch {
        return Ok(None);
    }
    let known = seen.known.select(&[index]);
    let columns = Columns::of(&[seen.pairs[index]], &setup.needs, &known);
    let batch = columns.batch(&seen.draws[index..=index]);
    let totals = PreferenceTotals::of(&batch);
    let found = preference_loss(&setup.options.loss, &batch, &seen.state, &totals)?;
    Ok(Some(found.loss).filter(|loss| loss.is_finite()))
}
