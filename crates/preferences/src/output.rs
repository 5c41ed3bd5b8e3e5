//! From judged answers to files.

use std::io::{BufWriter, Write};
use std::path::Path;

use percept_base::files::{AtomicFile, write_atomic};
use percept_data::{Dataset, PlacedImages, Role, Sample, template_columns};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::collected::{Collected, Skipped};
use crate::{Candidate, Error, Places};

/// Writes pairs, answers, rows without pairs and counts, each file complete or not at all; `about` stands at the top of
/// the counts.
///
/// # Errors
/// The disk; a picture that may not be copied.
pub fn write(
    data: &dyn Dataset,
    found: &Collected,
    places: &Places,
    about: &Value,
) -> Result<(), Error> {
    let mut images = PlacedImages::beside(&places.pairs)?;
    let mut pairs = Lines::create(&places.pairs)?;
    for run in found.pairs.chunk_by(|a, b| a.0 == b.0) {
        let sample = data.get(run[0].0)?;
        for (number, (_, pair)) in run.iter().enumerate() {
            let id = match number {
                0 => sample.id.clone(),
                _ => format!("{}#{}", sample.id, number + 1),
            };
            let sides = [pair.chosen, pair.rejected].map(|at| &found.candidates[at]);
            pairs.put(&record(&sample, id, sides, &mut images)?)?;
        }
    }
    pairs.finish()?;
    let mut candidates = Lines::create(&places.candidates)?;
    for candidate in &found.candidates {
        candidates.put(candidate)?;
    }
    candidates.finish()?;
    let mut skipped = Lines::create(&places.skipped)?;
    for Skipped { id, reason, detail } in &found.skipped {
        skipped.put(&json!({"id": id, "reason": reason.name(), "detail": detail}))?;
    }
    skipped.finish()?;
    let mut summary = about.clone();
    summary["counts"] = serde_json::to_value(found.tally()).map_err(std::io::Error::from)?;
    let text = serde_json::to_vec_pretty(&summary).map_err(std::io::Error::from)?;
    Ok(write_atomic(&places.summary, &text)?)
}

/// JSON lines that appear when they are complete.
struct Lines(BufWriter<AtomicFile>);

impl Lines {
    fn create(path: &Path) -> Result<Self, Error> {
        Ok(Self(BufWriter::new(AtomicFile::create(path)?)))
    }

    fn put(&mut self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
        Ok(writeln!(self.0, "{text}")?)
    }

    fn finish(self) -> Result<(), Error> {
        let file = self.0.into_inner().map_err(|e| e.into_error())?;
        Ok(file.commit()?)
    }
}

/// A pair as TRL's conversational rows have it, with what the judge said of both sides.
fn record(
    sample: &Sample,
    id: String,
    [chosen, rejected]: [&Candidate; 2],
    images: &mut PlacedImages,
) -> Result<Value, Error> {
    let last = sample
        .messages
        .iter()
        .rposition(|m| m.role != Role::Assistant);
    let prompt = last.map_or(&[][..], |last| &sample.messages[..=last]);
    let shown = images.conversation(sample, prompt)?;
    let answer = |text: &str| json!([{"role": "assistant", "content": [percept_data::text_part_json(text)]}]);
    let mut record = Map::new();
    record.insert("id".into(), id.into());
    record.insert("prompt".into(), shown.turns);
    record.insert("chosen".into(), answer(&chosen.text));
    record.insert("rejected".into(), answer(&rejected.text));
    record.insert("images".into(), shown.images.into());
    if !shown.videos.is_empty() {
        record.insert("videos".into(), shown.videos.into());
    }
    for (side, candidate) in [("chosen", chosen), ("rejected", rejected)] {
        record.insert(format!("score_{side}"), candidate.score.into());
        if let Some(coverage) = candidate.coverage {
            record.insert(format!("coverage_{side}"), coverage.into());
        }
        record.insert(format!("candidate_{side}"), candidate.candidate.into());
        let claims = serde_json::to_value(&candidate.claims).map_err(std::io::Error::from)?;
        record.insert(format!("claims_{side}"), claims);
    }
    if let Some(answer) = &sample.answer {
        let all = std::iter::once(answer).chain(&sample.alternatives);
        let value: Value = match sample.alternatives.is_empty() {
            true => answer.as_str().into(),
            false => all.map(String::as_str).collect(),
        };
        record.insert("answer".into(), value);
    }
    record.extend(template_columns(sample));
    for (name, value) in &sample.meta {
        // What the reader would take for a column of its own keeps its content under another name.
        let name = match record.contains_key(name) || taken(name, sample) {
            true => format!("source_{name}"),
            false => name.clone(),
        };
        record.entry(name).or_insert_with(|| value.clone());
    }
    Ok(record.into())
}

/// Whether a column would be read as something that the row does not have.
fn taken(name: &str, sample: &Sample) -> bool {
    let rejected = name.starts_with("rejected_") || name.starts_with("chosen_");
    rejected
        || match name {
            "answer" | "solution" | "ground_truth" | "reward_model" => sample.answer.is_none(),
            "video" | "videos" => sample.videos.is_empty(),
            // Of a pair that the row was before, or of a conversation.
            "corrected" | "confidence" | "clip_gap" => true,
            "messages"
            | "expert"
            | "completion"
            | "response"
            | "system"
            | "history"
            | "tools"
            | "chat_template_kwargs"
            | "objects" => true,
            _ => false,
        }
}
