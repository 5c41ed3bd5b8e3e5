//! The data set: the rows that were asked, with the column `expert`, as training reads them.

use std::io::Write;
use std::path::Path;

use percept_base::files::AtomicFile;
use percept_data::{Dataset, PlacedImages, Sample, template_columns};
use serde_json::{Map, Value};

use super::ask::Outcome;
use crate::shared::Failure;

/// Writes `out`, complete or not at all. A row with several right trajectories becomes several
/// rows. Images that are files stay where they are; others go to a folder beside `out`, named by
/// their content.
pub fn write(
    data: &dyn Dataset,
    found: &[Outcome],
    out: &Path,
    only_verified: bool,
) -> Result<(), Failure> {
    let mut file = std::io::BufWriter::new(AtomicFile::create(out)?);
    let mut images = PlacedImages::beside(out)?;
    for (row, outcome) in found.iter().enumerate() {
        if outcome.right.is_empty() {
            // A row that cannot be read was reported, and is not in the new data set either.
            let Ok(sample) = data.get(row) else { continue };
            if !only_verified {
                let expert = sample.expert.clone();
                let id = sample.id.clone();
                writeln!(
                    file,
                    "{}",
                    record(&sample, &id, expert.as_deref(), &mut images)?
                )?;
            }
            continue;
        }
        let sample = data.get(row)?;
        for (number, expert) in outcome.right.iter().enumerate() {
            let id = match number {
                0 => sample.id.clone(),
                _ => format!("{}#{}", sample.id, number + 1),
            };
            writeln!(file, "{}", record(&sample, &id, Some(expert), &mut images)?)?;
        }
    }
    let file = file
        .into_inner()
        .map_err(|e| Failure::from(e.into_error()))?;
    Ok(file.commit()?)
}

fn record(
    sample: &Sample,
    id: &str,
    expert: Option<&str>,
    images: &mut PlacedImages,
) -> Result<Value, Failure> {
    let shown = images.conversation(sample, &sample.messages)?;
    let mut record = Map::new();
    record.insert("id".into(), id.into());
    record.insert("messages".into(), shown.turns);
    record.insert("images".into(), shown.images.into());
    if !shown.videos.is_empty() {
        record.insert("videos".into(), shown.videos.into());
    }
    if let Some(answer) = &sample.answer {
        let all = std::iter::once(answer).chain(&sample.alternatives);
        let value: Value = match sample.alternatives.is_empty() {
            true => answer.as_str().into(),
            false => all.map(String::as_str).collect(),
        };
        record.insert("answer".into(), value);
    }
    if let Some(expert) = expert {
        record.insert("expert".into(), expert.into());
    }
    record.extend(template_columns(sample));
    for (name, value) in &sample.meta {
        // What the reader would take for one of its columns keeps its content under another name.
        let free = !record.contains_key(name) && !taken(name, &record);
        let name = if free {
            name.clone()
        } else {
            format!("source_{name}")
        };
        record.entry(name).or_insert_with(|| value.clone());
    }
    Ok(record.into())
}

/// Whether a column would be read as something that the row does not have.
fn taken(name: &str, record: &Map<String, Value>) -> bool {
    match name {
        "answer" | "solution" | "ground_truth" | "reward_model" => !record.contains_key("answer"),
        "expert" | "completion" | "response" => !record.contains_key("expert"),
        "video" | "videos" => !record.contains_key("videos"),
        "system" | "history" | "tools" | "chat_template_kwargs" | "objects" => true,
        _ => false,
    }
}
