//! Rows: two for each pair, one a frame.
//!
//! Of a pair that several annotators have done one piece of work is taken: an accepted one before those that nobody
//! reviewed, then one with the preference that most of those have, then the first by name. A pair on which no preference has
//! a majority is left out, and counted.

use std::path::Path;

use percept_frames::{FrameRow, Preference, question};
use serde::Serialize;

use crate::cut::FramePair;
use crate::work::{Side, State, Work, Works};

/// Which work becomes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// One piece of work for each pair, reviewed or not.
    Done,
    /// One for each pair, of what reviewers accepted.
    Accepted,
    /// All of every annotator: pairs stand there several times, told apart by `annotator`.
    Every,
}

/// A row: a frame as training reads it, and who labelled it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnnotatedRow {
    /// The frame.
    #[serde(flatten)]
    pub frame: FrameRow,
    /// Whose work it is.
    pub annotator: String,
    /// `submitted`, `accepted`, or `corrected`: accepted after the reviewer changed it.
    pub status: &'static str,
}

/// Rows, and what is not among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exported {
    /// Two for each piece of work.
    pub rows: Vec<AnnotatedRow>,
    /// Pairs of which nothing is done (or accepted).
    pub not_done: usize,
    /// Pairs on which no preference has a majority.
    pub no_majority: usize,
}

/// The rows of all work. Pictures are named by their path from `folder`, where they lie in it, and else by the whole path.
pub fn rows(works: &Works, take: Take, folder: &Path) -> Exported {
    let mut exported = Exported::default();
    let mut entries = works.entries().peekable();
    for (place, pair) in works.project().pairs().iter().enumerate() {
        let mut done = Vec::new();
        while let Some(entry) = entries.next_if(|entry| entry.place == place) {
            let accepted = matches!(entry.work.state, State::Accepted { .. });
            if accepted || (entry.work.is_done() && take != Take::Accepted) {
                done.push((entry.annotator, entry.work, accepted));
            }
        }
        if done.is_empty() {
            exported.not_done += 1;
            continue;
        }
        if take != Take::Every {
            if done.iter().any(|(.., accepted)| *accepted) {
                done.retain(|(.., accepted)| *accepted);
            }
            let Some(preference) = majority(done.iter().filter_map(|(_, work, _)| work.preference))
            else {
                exported.no_majority += 1;
                continue;
            };
            done.retain(|(_, work, _)| work.preference == Some(preference));
            done.truncate(1);
        }
        for (annotator, work, _) in done {
            let of = |side| row(works, pair, side, work, annotator, folder);
            exported.rows.extend(Side::BOTH.into_iter().filter_map(of));
        }
    }
    exported
}

/// The preference that more have than any other.
fn majority(said: impl Iterator<Item = Preference>) -> Option<Preference> {
    let said: Vec<Preference> = said.collect();
    let count = |wanted| said.iter().filter(|found| **found == wanted).count();
    let mut counts = [Preference::A, Preference::B, Preference::Tie].map(|p| (count(p), p));
    counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    (counts[0].0 > counts[1].0).then_some(counts[0].1)
}

/// None where it was not said which frame is better, which no work is done without.
fn row(
    works: &Works,
    pair: &FramePair,
    side: Side,
    work: &Work,
    annotator: &str,
    folder: &Path,
) -> Option<AnnotatedRow> {
    let frame = match side {
        Side::A => &pair.a,
        Side::B => &pair.b,
    };
    let path = works.project().folder().join(&frame.file);
    let path = path.canonicalize().unwrap_or(path);
    let image = path.strip_prefix(folder).unwrap_or(&path);
    Some(AnnotatedRow {
        frame: FrameRow {
            images: vec![image.display().to_string()],
            prompt: question(&pair.prompt),
            response: None,
            labels: work.labels_of(side).into_iter().collect(),
            boxes: work.boxes_of(side),
            pair_id: pair.id.clone(),
            side: side.name().to_owned(),
            preference: work.preference?,
            time_s: pair.time_s,
            video: frame.video.clone(),
        },
        annotator: annotator.to_owned(),
        status: match (&work.state, &work.corrected_by) {
            (State::Accepted { .. }, Some(_)) => "corrected",
            (State::Accepted { .. }, None) => "accepted",
            _ => "submitted",
        },
    })
}
