//! What a row of single frames says, and what a response says of the frame.

use percept_frames::{Distortion, Judgement, Preference, read_judgement};
use serde_json::{Map, Value};

use crate::{Answer, Extracted};

/// Distortions that are there: a list of their names, empty for a clean frame.
pub(super) const LABELS: &str = "labels";
/// Which frame of its pair is better: `A`, `B` or `same`.
pub(super) const PREFERENCE: &str = "preference";
/// Which frame of its pair the row is: `A` or `B`.
pub(super) const SIDE: &str = "side";

/// A frame of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    A,
    B,
}

/// The distortions of the row's frame, each once.
pub(super) fn labels(row: &Map<String, Value>) -> Result<Vec<Distortion>, String> {
    let expected = "a list of names, [] for a clean frame";
    let Some(Value::Array(names)) = row.get(LABELS) else {
        return Err(wrong(row, LABELS, expected));
    };
    let mut labels = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let Some(text) = name.as_str() else {
            return Err(format!("{LABELS}[{index}]: found {name}, expected a name"));
        };
        let label = text.parse();
        let label = label.map_err(|error| format!("{LABELS}[{index}]: {error}"))?;
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    Ok(labels)
}

/// Which frame of the row's pair is better.
pub(super) fn preference(row: &Map<String, Value>) -> Result<Preference, String> {
    let value = row.get(PREFERENCE).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|_| wrong(row, PREFERENCE, "A, B or same"))
}

/// Which frame of its pair the row is.
pub(super) fn side(row: &Map<String, Value>) -> Result<Side, String> {
    match row.get(SIDE).and_then(Value::as_str) {
        Some("A") => Ok(Side::A),
        Some("B") => Ok(Side::B),
        _ => Err(wrong(row, SIDE, "A or B")),
    }
}

fn wrong(row: &Map<String, Value>, column: &str, expected: &str) -> String {
    match row.get(column) {
        None => format!("no column `{column}`, expected {expected}"),
        Some(found) => format!("{column}: found {found}, expected {expected}"),
    }
}

/// What a response says of its frame; none where it cannot be read.
pub(super) fn judgement(answer: &Answer<'_>) -> Option<Judgement> {
    let (_, judgement) = read_judgement(answer.completion).ok()?;
    Some(judgement)
}

/// What a person is shown of it.
pub(super) fn shown(answer: &Answer<'_>) -> Extracted {
    match read_judgement(answer.completion) {
        Err(why) => Extracted::Nothing(why.to_string()),
        Ok((_, Judgement { labels, score })) => {
            let names: Vec<&str> = labels.iter().map(|label| label.name()).collect();
            let names = match names.is_empty() {
                true => "no distortion".to_owned(),
                false => names.join(", "),
            };
            Extracted::Text(format!("{names}; score {score}"))
        }
    }
}
