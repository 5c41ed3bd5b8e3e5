//! What the loss asks of the data: looked at before the first step, so that a run in which every row would be skipped
//! is refused with what to do about it.

use percept_credit::preference::{Kind, PreferenceNeeds};
use percept_data::{Dataset, Preference, Sample};

use crate::Error;
use crate::stages::dpo::words::{CLIP_GAP, CONFIDENCE, named, not_a_pair};

/// Rows that are looked at.
const ROWS: usize = 64;

/// Refuses data of which none of the first rows has what the loss asks for.
pub(crate) fn check(
    loss: &'static str,
    needs: &PreferenceNeeds,
    data: &dyn Dataset,
) -> Result<(), Error> {
    let rows = data.len().min(ROWS);
    // A row that cannot be read is skipped and counted when its turn comes.
    let samples: Vec<Sample> = (0..rows).filter_map(|row| data.get(row).ok()).collect();
    let Some(first) = samples.first() else {
        return Ok(());
    };
    let pairs: Vec<(&Sample, &Preference)> = samples
        .iter()
        .filter_map(|sample| Some((sample, sample.preference.as_ref()?)))
        .collect();
    let refused = |message: String| Error::Recipe {
        at: format!("dpo, {}", data.name()),
        message,
    };
    if pairs.is_empty() {
        return Err(refused(format!(
            "none of the first {rows} rows is a preference pair; {}: {}",
            first.id,
            not_a_pair()
        )));
    }
    let lacks = |what: &str, help: &str| {
        Err(refused(format!(
            "none of the first {rows} rows has a {what}, which loss {loss} asks for; {}: found {}\n  help: {help}",
            pairs[0].0.id,
            holds(pairs[0].0, pairs[0].1)
        )))
    };
    for &kind in needs.kinds.keys() {
        if !pairs.iter().any(|(sample, pair)| has(sample, pair, kind)) {
            let (what, help) = named(kind);
            return lacks(what, help);
        }
    }
    if needs.confidence && pairs.iter().all(|(_, pair)| pair.confidence.is_none()) {
        let help = "add a column `confidence`, or set dynamic_label_smoothing = false";
        return lacks(CONFIDENCE, help);
    }
    if needs.clip_gap && pairs.iter().all(|(_, pair)| pair.clip_gap.is_none()) {
        let help = "add a column `clip_gap`, or switch off what reads it";
        return lacks(CLIP_GAP, help);
    }
    Ok(())
}

fn has(sample: &Sample, pair: &Preference, kind: Kind) -> bool {
    match kind {
        Kind::Chosen => !pair.chosen.is_empty(),
        Kind::Rejected => !pair.rejected.is_empty(),
        Kind::ChosenRejectedImage | Kind::CorrectedRejectedImage => {
            !pair.rejected_images.is_empty()
        }
        Kind::ChosenNoImage | Kind::RejectedNoImage => {
            !sample.images.is_empty() || !sample.videos.is_empty()
        }
        Kind::Corrected => pair.corrected.is_some(),
        // Rows of their own.
        Kind::General => true,
    }
}

/// What a pair has, in words.
fn holds(sample: &Sample, pair: &Preference) -> String {
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    [
        count(sample.images.len(), "picture"),
        count(pair.rejected.len(), "rejected answer"),
        count(pair.rejected_images.len(), "rejected picture"),
    ]
    .join(", ")
}
