//! Rows of a data file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::export::images::{disk, write_image};
use crate::export::misread::misread;
use crate::export::pair::pair_columns;
use crate::export::turns::{prompt_json, text_part_json, turn_json};
use crate::{Error, Part, Sample};

/// Writes `data.jsonl` and the images beside it (`images/000012-0.png`); reading the file back
/// gives the same samples. A preference pair is a row of TRL's (`prompt`, `chosen`, `rejected`, `images`) with
/// `rejected_images`. Videos are written as lists of frames. Media are numbered as they
/// appear in the conversation.
///
/// # Errors
/// [`Error::File`] when the disk refuses, the errors of the samples, and [`Error::Row`] for a
/// sample that a file cannot hold: without messages, with media that stand nowhere in them, or
/// with a field in `meta` that would be read back as something else, or a pair that is none: without a rejected answer
/// or picture, with another number of rejected pictures than pictures.
pub fn write_jsonl(
    samples: impl Iterator<Item = Result<Sample, Error>>,
    dir: &Path,
) -> Result<PathBuf, Error> {
    let images = dir.join("images");
    fs::create_dir_all(&images).map_err(disk(&images))?;
    let path = dir.join("data.jsonl");
    let temporary = dir.join("data.jsonl.tmp");
    let file = fs::File::create(&temporary).map_err(disk(&temporary))?;
    let mut out = std::io::BufWriter::new(file);
    for (row, sample) in samples.enumerate() {
        let sample = sample?;
        let record = record(&sample, dir, row).map_err(|error| match error.report().row {
            // Media name the row that they came from.
            Some(_) => error,
            None => {
                let what = format!("sample {}: {}", sample.id, error.report().what);
                error.what(what)
            }
        })?;
        writeln!(out, "{record}").map_err(disk(&temporary))?;
    }
    let file = out
        .into_inner()
        .map_err(|e| disk(&temporary)(e.into_error()))?;
    file.sync_all().map_err(disk(&temporary))?;
    fs::rename(&temporary, &path).map_err(disk(&path))?;
    Ok(path)
}

fn record(sample: &Sample, dir: &Path, row: usize) -> Result<Value, Error> {
    if sample.messages.is_empty() {
        return Err(Error::row("no messages").expected("at least one turn"));
    }
    let mut images = Vec::new();
    let mut videos = Vec::new();
    for part in sample.messages.iter().flat_map(|m| &m.content) {
        let missing = || {
            Error::row("the conversation shows media that the sample does not have")
                .found(format!("{part:?}"))
        };
        match *part {
            Part::Text(_) => {}
            Part::Image(index) => {
                let image = sample.images.get(index).ok_or_else(missing)?;
                let stem = format!("{row:06}-{}", images.len());
                images.push(write_image(image, dir, &stem)?);
            }
            Part::Video(index) => {
                let video = sample.videos.get(index).ok_or_else(missing)?;
                let number = videos.len();
                let frames = video.frames.iter().enumerate().map(|(at, frame)| {
                    write_image(frame, dir, &format!("{row:06}-video{number}-{at:04}"))
                });
                let frames: Vec<String> = frames.collect::<Result<_, _>>()?;
                videos.push(json!({"frames": frames, "fps": video.fps}));
            }
        }
    }
    if images.len() < sample.images.len() || videos.len() < sample.videos.len() {
        return Err(Error::row("media that stand nowhere in the conversation")
            .found(format!(
                "{} images, {} videos",
                sample.images.len(),
                sample.videos.len()
            ))
            .expected(format!("{} and {}", images.len(), videos.len())));
    }
    let mut record = Map::new();
    record.insert("id".into(), sample.id.as_str().into());
    // The columns of TRL's preference rows.
    let prompt = match &sample.preference {
        None => "messages",
        Some(_) => "prompt",
    };
    record.insert(prompt.into(), prompt_json(&sample.messages));
    if let Some(pair) = &sample.preference {
        record.extend(pair_columns(pair, sample, dir, row)?);
    }
    record.insert("images".into(), images.into());
    if !videos.is_empty() {
        record.insert("videos".into(), videos.into());
    }
    if let Some(answer) = &sample.answer {
        record.insert("answer".into(), right_answers(answer, &sample.alternatives));
    }
    if let Some(expert) = &sample.expert {
        record.insert("expert".into(), expert.as_str().into());
    }
    if let (Some(first), false) = (&sample.expert, sample.more_experts.is_empty()) {
        let all: Vec<&String> = std::iter::once(first).chain(&sample.more_experts).collect();
        record.insert("expert".into(), json!(all));
    }
    if !sample.trajectory.is_empty() {
        let turns = sample.trajectory.iter();
        let turns =
            turns.map(|message| turn_json(message, vec![text_part_json(&message.plain_text())]));
        record.insert("expert".into(), turns.collect());
    }
    record.extend(template_columns(sample));
    for (name, value) in &sample.meta {
        if misread(sample, name, value) {
            return Err(
                Error::row("this field of meta would be read back as a column")
                    .field(name.as_str())
                    .help("give the column another name"),
            );
        }
        if !record.contains_key(name) {
            record.insert(name.clone(), value.clone());
        }
    }
    Ok(record.into())
}

/// One text, or a list where there are alternatives.
fn right_answers(answer: &str, alternatives: &[String]) -> Value {
    if alternatives.is_empty() {
        return answer.into();
    }
    std::iter::once(answer)
        .chain(alternatives.iter().map(String::as_str))
        .collect()
}

/// The columns of a sample besides its turns, media, answer, expert and `meta`.
pub fn template_columns(sample: &Sample) -> Map<String, Value> {
    let mut columns = Map::new();
    if let Some(tools) = &sample.template.tools {
        columns.insert("tools".into(), tools.clone());
    }
    if !sample.template.kwargs.is_empty() {
        columns.insert(
            "chat_template_kwargs".into(),
            sample.template.kwargs.clone().into(),
        );
    }
    if let Some(objects) = &sample.objects {
        columns.insert("objects".into(), objects.source.clone());
    }
    columns
}
