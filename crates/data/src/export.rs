//! Writing samples as JSONL in the form of TRL and Hugging Face: `messages`, `images`, `answer`; preferences as `prompt`,
//! `chosen`, `rejected`, `rejected_images`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::{Error, Media, Message, Part, Preference, Sample};

/// Writes `data.jsonl` and the images beside it (`images/000012-0.png`); reading the file back
/// gives the same samples. Videos are written as lists of frames. Media are numbered as they
/// appear in the conversation.
///
/// # Errors
/// [`Error::File`] when the disk refuses, the errors of the samples, and [`Error::Row`] for a
/// sample that a file cannot hold: without messages, with media that stand nowhere in them, or
/// with a field in `meta` that would be read back as something else.
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

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |e| Error::file(format!("cannot be written: {e}")).in_file(&path)
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
    match &sample.preference {
        Some(pair) => {
            record.insert("prompt".into(), messages(sample));
            record.extend(answers_and_images(pair, dir, row)?);
        }
        None => {
            record.insert("messages".into(), messages(sample));
        }
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
        let turns = sample.trajectory.iter().map(text_turn);
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

/// The columns of a preference in TRL's conversational form, and ms-swift's `rejected_images`: of several rejected
/// answers or sets of images a list.
fn answers_and_images(
    pair: &Preference,
    dir: &Path,
    row: usize,
) -> Result<Map<String, Value>, Error> {
    let turns = |answer: &Vec<Message>| -> Value { answer.iter().map(text_turn).collect() };
    let mut columns = Map::new();
    columns.insert("chosen".into(), turns(&pair.chosen));
    columns.extend(one_or_list(
        "rejected",
        pair.rejected.iter().map(turns).collect(),
    ));
    let mut sets = Vec::new();
    for (set, images) in pair.rejected_images.iter().enumerate() {
        let names = images.iter().enumerate();
        let names = names
            .map(|(at, image)| write_image(image, dir, &format!("{row:06}-rejected{set}-{at}")));
        sets.push(names.collect::<Result<Value, _>>()?);
    }
    columns.extend(one_or_list("rejected_images", sets));
    if let Some(corrected) = &pair.corrected {
        columns.insert("corrected".into(), turns(corrected));
    }
    for (name, value) in [("confidence", pair.confidence), ("clip_gap", pair.clip_gap)] {
        columns.extend(value.map(|value| (name.to_owned(), value.into())));
    }
    Ok(columns)
}

/// A column that holds its one entry, or a list of several; none where there is nothing.
fn one_or_list(name: &str, mut entries: Vec<Value>) -> Option<(String, Value)> {
    let value = match entries.len() {
        0 => return None,
        1 => entries.remove(0),
        _ => entries.into(),
    };
    Some((name.to_owned(), value))
}

/// A turn that holds text alone.
fn text_turn(message: &Message) -> Value {
    turn_json(message, vec![text_part_json(&message.plain_text())])
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

fn messages(sample: &Sample) -> Value {
    let turns = sample.messages.iter().map(|message| {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => text_part_json(text),
            Part::Image(_) => json!({"type": "image"}),
            Part::Video(_) => json!({"type": "video"}),
        });
        turn_json(message, parts.collect())
    });
    turns.collect()
}

/// A turn with its content parts and everything else that it says.
pub fn turn_json(message: &Message, content: Vec<Value>) -> Value {
    let mut turn = json!({"role": message.role.as_str(), "content": content});
    if let Some(train) = message.train {
        turn["train"] = train.into();
    }
    for (name, value) in &message.fields {
        turn[name] = value.clone();
    }
    turn
}

/// A text as a content part, marked where it has a tag that is to stay text.
pub fn text_part_json(text: &str) -> Value {
    let mut part = json!({"type": "text", "text": text});
    if text.contains("<image") || text.contains("<video>") {
        part["tags"] = false.into();
    }
    part
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

/// Whether the reader would take a field of `meta` for one of its columns. Null says nothing.
fn misread(sample: &Sample, name: &str, value: &Value) -> bool {
    if value.is_null() {
        return false;
    }
    match name {
        "id"
        | "messages"
        | "images"
        | "videos"
        | "answer"
        | "expert"
        | "system"
        | "history"
        | "tools"
        | "chat_template_kwargs"
        | "objects" => true,
        _ if name
            .strip_prefix("image_")
            .is_some_and(|n| n.parse::<usize>().is_ok()) =>
        {
            true
        }
        "prompt" | "chosen" | "rejected" | "rejected_images" | "corrected" | "confidence"
        | "clip_gap" => sample.preference.is_some(),
        "video" => sample.videos.is_empty(),
        "solution" | "ground_truth" => sample.answer.is_none(),
        "reward_model" => sample.answer.is_none() && !value["ground_truth"].is_null(),
        "completion" | "response" => sample.expert.is_none(),
        _ => false,
    }
}

/// Writes an image under `images/`; returns its path from `dir`.
fn write_image(image: &Media, dir: &Path, stem: &str) -> Result<String, Error> {
    let bytes = image.outgoing()?;
    let name = format!("images/{stem}.{}", ending(&bytes));
    let path = dir.join(&name);
    fs::write(&path, &bytes).map_err(disk(&path))?;
    Ok(name)
}

fn ending(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "jpg",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        [b'B', b'M', ..] => "bmp",
        _ => "png",
    }
}
