//! The data set: the rows that were asked, with the column `expert`, as training reads them.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use percept_base::files::AtomicFile;
use percept_data::{Dataset, Media, Part, Sample, template_columns, text_part_json, turn_json};
use serde_json::{Map, Value, json};

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
    let mut images = Images::beside(out)?;
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
    images: &mut Images,
) -> Result<Value, Failure> {
    let (mut pictures, mut videos) = (Vec::new(), Vec::new());
    let mut turns = Vec::new();
    for message in &sample.messages {
        let mut content = Vec::new();
        for part in &message.content {
            content.push(match part {
                Part::Text(text) => text_part_json(text),
                Part::Image(at) => {
                    if let Some(image) = sample.images.get(*at) {
                        pictures.push(images.place(image)?);
                    }
                    json!({"type": "image"})
                }
                Part::Video(at) => {
                    if let Some(video) = sample.videos.get(*at) {
                        let frames = video.frames.iter().map(|frame| images.place(frame));
                        let frames = frames.collect::<Result<Vec<_>, _>>()?;
                        videos.push(json!({"frames": frames, "fps": video.fps}));
                    }
                    json!({"type": "video"})
                }
            });
        }
        turns.push(turn_json(message, content));
    }
    let mut record = Map::new();
    record.insert("id".into(), id.into());
    record.insert("messages".into(), turns.into());
    record.insert("images".into(), pictures.into());
    if !videos.is_empty() {
        record.insert("videos".into(), videos.into());
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

/// Where the rows' images are.
struct Images {
    /// Folder of the data set; relative paths start here.
    base: PathBuf,
    /// Name of the folder for images that are no files.
    name: String,
    written: HashSet<String>,
}

impl Images {
    fn beside(out: &Path) -> Result<Self, Failure> {
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let stem = out.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            base: folder.canonicalize()?,
            name: format!("{stem}.images"),
            written: HashSet::new(),
        })
    }

    /// The path of an image as the data set names it.
    fn place(&mut self, image: &Media) -> Result<String, Failure> {
        if let Some(path) = image.path() {
            let path = match path.canonicalize() {
                Ok(path) => path,
                Err(_) => std::path::absolute(path)?,
            };
            let path = path.strip_prefix(&self.base).unwrap_or(&path);
            return Ok(path.display().to_string());
        }
        let bytes = image.outgoing()?;
        let ending = match &bytes[..] {
            [0xff, 0xd8, ..] => "jpg",
            [b'G', b'I', b'F', ..] => "gif",
            [b'R', b'I', b'F', b'F', ..] => "webp",
            [b'B', b'M', ..] => "bmp",
            _ => "png",
        };
        let hash = u128::from_be_bytes(std::array::from_fn({
            let hash = image.hash()?;
            move |at| hash[at]
        }));
        let name = format!("{}/{hash:032x}.{ending}", self.name);
        if self.written.insert(name.clone()) {
            percept_base::files::write_atomic(&self.base.join(&name), &bytes)?;
        }
        Ok(name)
    }
}
