//! Whether a trace ends in the right labels and regions.

use std::collections::BTreeSet;

use percept_frames::{Distortion, LabelledBox};
use serde::Deserialize;

use crate::agreement::iou;

/// Words of a trace that was told the answer.
const TELLING: [&str; 8] = [
    "annotat",
    "ground truth",
    "known to be right",
    "known finding",
    "i was told",
    "was given",
    "provided label",
    "bounding box",
];

/// Why a reply is not used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Dropped {
    /// The answer was cut off, or kept back by the server.
    #[error("the reply was not finished")]
    Unfinished,
    /// It is not of the form that was asked for.
    #[error("not of the form asked for: {0}")]
    Form(String),
    /// There is no reasoning.
    #[error("the trace is empty")]
    Empty,
    /// It names what it was told.
    #[error("the trace says {0:?}: it gives away that the findings were known")]
    Telling(&'static str),
    /// It ends in other labels.
    #[error("labels: {found} (expected {expected})")]
    Labels {
        /// Its labels.
        found: String,
        /// Those of the annotator.
        expected: String,
    },
    /// It ends in other regions.
    #[error("regions: {0}")]
    Regions(String),
}

impl Dropped {
    /// For counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Form(_) => "form",
            Self::Empty => "no reasoning",
            Self::Telling(_) => "gives the labels away",
            Self::Labels { .. } => "labels",
            Self::Regions(_) => "regions",
        }
    }
}

/// What a reply ends in.
#[derive(Debug, Deserialize)]
struct Findings {
    labels: Vec<Distortion>,
    regions: Vec<LabelledBox>,
}

/// The reasoning of a reply that is right.
pub(super) fn check(
    reply: &str,
    labels: &BTreeSet<Distortion>,
    boxes: &[LabelledBox],
    min_iou: f64,
) -> Result<String, Dropped> {
    let missing = |tag: &str| Dropped::Form(format!("no <{tag}>…</{tag}>"));
    let (before, after) = reply
        .split_once("</trace>")
        .ok_or_else(|| missing("trace"))?;
    let (_, trace) = before
        .rsplit_once("<trace>")
        .ok_or_else(|| missing("trace"))?;
    let answer = after
        .split_once("<answer>")
        .and_then(|(_, rest)| rest.split_once("</answer>"));
    let (answer, _) = answer.ok_or_else(|| missing("answer"))?;
    let findings: Findings =
        serde_json::from_str(answer.trim()).map_err(|error| Dropped::Form(error.to_string()))?;
    let trace = trace.trim();
    if trace.is_empty() {
        return Err(Dropped::Empty);
    }
    // Tags inside would end the reasoning early where it is read again.
    if ["<think>", "</think>", "<answer>"]
        .iter()
        .any(|tag| trace.contains(tag))
    {
        return Err(Dropped::Form("a tag inside the trace".to_owned()));
    }
    let lower = trace.to_lowercase();
    if let Some(word) = TELLING.into_iter().find(|word| lower.contains(word)) {
        return Err(Dropped::Telling(word));
    }
    let found: BTreeSet<Distortion> = findings.labels.into_iter().collect();
    if found != *labels {
        return Err(Dropped::Labels {
            found: names(&found),
            expected: names(labels),
        });
    }
    regions(&findings.regions, boxes, labels, min_iou)?;
    Ok(trace.to_owned())
}

/// Every box has a region of its label on it and every region a box, one to one. A label of the whole frame may have regions
/// or none: nobody drew where it is.
fn regions(
    found: &[LabelledBox],
    boxes: &[LabelledBox],
    labels: &BTreeSet<Distortion>,
    min_iou: f64,
) -> Result<(), Dropped> {
    for label in labels {
        let of = |all: &[LabelledBox]| -> Vec<[f64; 4]> {
            let of = all.iter().filter(|b| b.label == *label);
            of.map(|b| b.corners).collect()
        };
        let (mut found, wanted) = (of(found), of(boxes));
        if wanted.is_empty() {
            continue;
        }
        if found.len() != wanted.len() {
            let (found, wanted) = (found.len(), wanted.len());
            let what = format!("{found} of {label} (expected {wanted})");
            return Err(Dropped::Regions(what));
        }
        for corners in &wanted {
            let of = |at: &usize| iou(&found[*at], corners);
            let best = (0..found.len()).max_by(|a, b| of(a).total_cmp(&of(b)));
            match best {
                Some(at) if of(&at) >= min_iou => found.swap_remove(at),
                _ => {
                    let what = format!("none of {label} on {corners:?} with an IoU of {min_iou}");
                    return Err(Dropped::Regions(what));
                }
            };
        }
    }
    match found.iter().find(|region| !labels.contains(&region.label)) {
        Some(other) => Err(Dropped::Regions(format!(
            "{} is no label of the frame",
            other.label
        ))),
        None => Ok(()),
    }
}

fn names(labels: &BTreeSet<Distortion>) -> String {
    let names: Vec<&str> = labels.iter().map(|label| label.name()).collect();
    format!("[{}]", names.join(", "))
}
