//! What rows say and nothing uses. A data set says it once, by column, field or tag, and not row by row.

use std::collections::BTreeMap;

use crate::convention::tags::numbered_tag;
use crate::{Message, Part, Sample};

/// Counts what rows have and nothing uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    rows: usize,
    found: BTreeMap<String, Count>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Count {
    rows: usize,
    first: String,
}

impl Unread {
    /// Counts one row: what its reader left, the columns that `used` does not know, what else a caller
    /// found (`others`), and a pair unless `used` knows `rejected`.
    pub fn add(&mut self, sample: &Sample, used: &dyn Fn(&str) -> bool, others: Vec<String>) {
        self.rows += 1;
        let columns = sample
            .meta
            .iter()
            .filter(|(name, value)| !value.is_null() && !used(name));
        let columns = columns.map(|(name, _)| format!("column {name}"));
        let pair = sample.preference.is_some() && !used("rejected");
        let pair = pair.then(|| "rejected answers and pictures of a preference pair".to_owned());
        let mut kinds: Vec<String> = columns
            .chain(pair)
            .chain(sample.unread.iter().cloned())
            .chain(others)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let count = self.found.entry(kind).or_default();
            count.rows += 1;
            if count.first.is_empty() {
                count.first.clone_from(&sample.id);
            }
        }
    }

    /// Whether everything was used.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What was not used, how many rows have it, and the first of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        let found = self.found.iter();
        found.map(|(kind, count)| (kind.as_str(), count.rows, count.first.as_str()))
    }

    /// A line for each: `column level (all 20 rows)`, `tag <audio> (3 of 20 rows, first train.jsonl:4)`.
    pub fn lines(&self) -> Vec<String> {
        let lines = self
            .iter()
            .map(|(kind, rows, first)| match rows == self.rows {
                true => format!("{kind} (all {rows} rows)"),
                false => format!("{kind} ({rows} of {} rows, first {first})", self.rows),
            });
        lines.collect()
    }
}

/// Tags of the field that stand for something which the row does not have.
const TAGS: [&str; 8] = [
    "<image>",
    "<video>",
    "<audio>",
    "<ref-object>",
    "<bbox>",
    "<cot-process>",
    "<start-image>",
    "<point>",
];

/// Notes the tags that stay text, and objects that stand nowhere.
pub(crate) fn note_tags(sample: &mut Sample) {
    let Sample {
        messages,
        trajectory,
        expert,
        objects,
        unread,
        ..
    } = sample;
    let spoken: Vec<&str> = messages
        .iter()
        .chain(trajectory.iter())
        .flat_map(texts)
        .collect();
    let spoken = || {
        spoken
            .iter()
            .copied()
            .chain(expert.as_deref().filter(|_| trajectory.is_empty()))
    };
    let mut found = Vec::new();
    for tag in TAGS {
        let is_filled = objects.is_some() && matches!(tag, "<ref-object>" | "<bbox>");
        // Tags in text parts were noted when they were placed.
        let is_noted = unread.iter().any(|kind| kind.contains(tag));
        if !is_filled && !is_noted && spoken().any(|text| text.contains(tag)) {
            found.push(format!("tag {tag}"));
        }
    }
    let by_number = |text: &str| {
        let starts = text.match_indices("<image").map(|(at, _)| &text[at..]);
        starts.filter_map(numbered_tag).next().is_some()
    };
    if spoken().any(by_number) {
        found.push("tag <image N> without a column image_N".to_owned());
    }
    if let Some(objects) = objects {
        for (tag, column, entries) in [
            ("<ref-object>", "ref", objects.refs.len()),
            ("<bbox>", "bbox", objects.boxes.len()),
        ] {
            let tags: usize = spoken().map(|text| text.matches(tag).count()).sum();
            if tags < entries {
                found.push(format!("entries of objects.{column} without a {tag}"));
            }
        }
    }
    unread.extend(found);
}

fn texts(message: &Message) -> impl Iterator<Item = &str> {
    message.content.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Image(_) | Part::Video(_) => None,
    })
}
