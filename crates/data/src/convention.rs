//! From a row of a file to a [`Sample`]: the conventions of verl, TRL and Hugging Face, EasyR1 and
//! ms-swift, told apart by their columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::conversation::{MediaList, frame_rate};
use crate::row::{Row, Value};
use crate::{ColumnMap, DEFAULT_FPS, Error, Media, Message, Role, Sample, Video};

/// Where a row comes from and how its columns are read.
pub(crate) struct Convention<'a> {
    pub columns: &'a ColumnMap,
    pub file: &'a Path,
    pub row: usize,
    /// Folder of relative media paths.
    pub folder: &'a Path,
    /// Folders from which media that a row names may leave.
    pub folders: &'a Arc<[PathBuf]>,
}

impl Convention<'_> {
    /// The sample of a row. Errors carry file and row.
    pub(crate) fn sample(&self, row: Row) -> Result<Sample, Error> {
        self.read(row).map_err(|error| match error.report().row {
            Some(_) => error,
            None => error.at(self.file, self.row),
        })
    }

    fn read(&self, mut row: Row) -> Result<Sample, Error> {
        let map = self.columns;
        let images = match take(&mut row, &map.images, &["images", "image"])? {
            Some((name, value)) => self.images(&name, value)?,
            None => Vec::new(),
        };
        let videos = match take(&mut row, &map.videos, &["videos", "video"])? {
            Some((name, value)) => self.videos(&name, value)?,
            None => Vec::new(),
        };
        let known = [
            "messages",
            "prompt",
            "problem",
            "question",
            "query",
            "conversations",
        ];
        let Some((name, value)) = take(&mut row, &map.prompt, &known)? else {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("row has no prompt")
                .found(format!("columns {}", names.join(", ")))
                .expected("messages, prompt, problem, question, query or conversations")
                .help("name the column in data.columns.prompt"));
        };
        let mut media = MediaList::new(images, videos, self);
        let conversational = matches!(value, Value::List(_));
        let mut messages = media.messages(&name, value)?;
        let system = match take(&mut row, &None, &["system"])? {
            Some((name, value)) => text_or_null(&name, value)?,
            None => None,
        };
        if let Some(text) = system.filter(|text| !text.is_empty()) {
            messages.insert(0, Message::text(Role::System, text));
        }
        media.place(&name, &mut messages)?;
        let (images, videos) = (media.images, media.videos);
        let mut answers = right_answers(self.answer(&mut row)?).into_iter();
        let (answer, alternatives) = (answers.next(), answers.collect());
        let experts = match take(&mut row, &map.expert, &["expert", "completion", "response"])? {
            Some((name, value)) => experts(&name, value)?,
            None => Vec::new(),
        };
        let mut experts = experts.into_iter();
        let expert = experts.next();
        let id = match take(&mut row, &map.id, &["id"])? {
            Some((_, value)) => scalar(value),
            None => None,
        };
        let file = self
            .file
            .file_name()
            .map_or_else(Default::default, |n| n.to_string_lossy());
        let id = id.unwrap_or_else(|| format!("{file}:{}", self.row));
        let meta = row
            .into_iter()
            .map(|(name, value)| (name, value.into_json()))
            .collect();
        Ok(Sample {
            id,
            messages,
            images,
            videos,
            answer,
            alternatives,
            expert,
            more_experts: experts.collect(),
            meta,
            conversational,
        })
    }

    fn images(&self, name: &str, value: Value) -> Result<Vec<Media>, Error> {
        let items = match value {
            Value::Null => return Ok(Vec::new()),
            Value::List(items) => items,
            one => vec![one],
        };
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| self.image(&format!("{name}[{index}]"), item))
            .collect()
    }

    pub(crate) fn image(&self, field: &str, value: Value) -> Result<Media, Error> {
        let wrong = |value: &Value| {
            Error::row("not an image")
                .field(field)
                .found(value.describe())
                .expected("a path, bytes, base64, or {\"bytes\": …} / {\"path\": …} / {\"url\": …}")
        };
        let media = match value {
            Value::Text(text) => self.image_text(field, &text)?,
            Value::Bytes(bytes) => Media::from_bytes(bytes),
            Value::Struct(fields) => {
                let keys = ["bytes", "base64", "path", "image", "url", "image_url"];
                let found = keys.iter().find_map(|key| {
                    fields
                        .iter()
                        .find(|(name, value)| name == key && !value.is_null())
                });
                match found {
                    // JSON has no bytes; what stands under these names is base64.
                    Some((key, Value::Text(text))) if key == "bytes" || key == "base64" => {
                        Media::from_base64(text).map_err(|e| e.field(field))?
                    }
                    Some((_, inner)) => return self.image(field, inner.clone()),
                    None => return Err(wrong(&Value::Struct(fields))),
                }
            }
            other => return Err(wrong(&other)),
        };
        Ok(media.placed(self.file, self.row, field))
    }

    fn image_text(&self, field: &str, text: &str) -> Result<Media, Error> {
        if text.starts_with("data:") {
            return Media::from_base64(text).map_err(|e| e.field(field));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Err(Error::row("image is a web address")
                .field(field)
                .found(text)
                .expected("a file, bytes or base64")
                .help("download the images first; percept reads no network"));
        }
        if is_base64_image(text) {
            return Media::from_base64(text).map_err(|e| e.field(field));
        }
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        Ok(Media::from_path(self.resolve(path)).within(self.folders))
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            path.to_owned()
        } else {
            self.folder.join(path)
        }
    }

    fn videos(&self, name: &str, value: Value) -> Result<Vec<Video>, Error> {
        let Value::List(items) = value else {
            return match value {
                Value::Null => Ok(Vec::new()),
                one => Ok(vec![self.video(name, one)?]),
            };
        };
        items
            .into_iter()
            .enumerate()
            .map(|(index, item)| self.video(&format!("{name}[{index}]"), item))
            .collect()
    }

    /// A list of frames (with `fps` beside it in a struct), or a GIF.
    pub(crate) fn video(&self, field: &str, value: Value) -> Result<Video, Error> {
        match value {
            Value::List(frames) => {
                let frames = self.images(field, Value::List(frames))?;
                Ok(Video {
                    frames,
                    fps: DEFAULT_FPS,
                })
            }
            Value::Struct(fields) => {
                let get = |key: &str| {
                    fields
                        .iter()
                        .find(|(n, _)| n == key)
                        .map(|(_, v)| v.clone())
                };
                let frames = get("frames")
                    .or_else(|| get("video"))
                    .or_else(|| get("path"));
                let Some(frames) = frames else {
                    return Err(Error::row("not a video")
                        .field(field)
                        .found(Value::Struct(fields).describe())
                        .expected("{\"frames\": […], \"fps\": 2.0}"));
                };
                let mut video = self.video(field, frames)?;
                if let Some(fps) = get("fps").filter(|fps| !fps.is_null()) {
                    video.fps = frame_rate(field, &fps)?;
                }
                Ok(video)
            }
            Value::Text(text) => {
                let path = self.resolve(Path::new(text.strip_prefix("file://").unwrap_or(&text)));
                let file = Media::from_path(&path)
                    .within(self.folders)
                    .placed(self.file, self.row, field);
                let mut video = Video::from_gif(file.encoded()?).map_err(|e| e.field(field))?;
                let frames = video.frames.drain(..);
                let frames = frames.map(|frame| frame.read_from(file.named.clone()));
                video.frames = frames.collect();
                Ok(video)
            }
            Value::Bytes(bytes) => Video::from_gif(bytes).map_err(|e| e.field(field)),
            other => Err(Error::row("not a video")
                .field(field)
                .found(other.describe())
                .expected("a list of frames, or a GIF as path or bytes")),
        }
    }

    fn answer(&self, row: &mut Row) -> Result<Value, Error> {
        let known = ["answer", "solution", "ground_truth"];
        if let Some((_, value)) = take(row, &self.columns.answer, &known)? {
            return Ok(value);
        }
        // verl keeps it inside a struct, which stays in `meta` as well.
        let inside = row
            .iter()
            .find(|(name, _)| name == "reward_model")
            .and_then(|(_, value)| {
                let Value::Struct(fields) = value else {
                    return None;
                };
                fields
                    .iter()
                    .find(|(name, _)| name == "ground_truth")
                    .map(|(_, v)| v.clone())
            });
        Ok(inside.unwrap_or(Value::Null))
    }
}

/// Whether a text is base64 and not a path: it begins as an encoded image does, or no path is as
/// long.
fn is_base64_image(text: &str) -> bool {
    // PNG, GIF, WebP, JPEG
    let known = ["iVBORw0KGgo", "R0lGOD", "UklGR", "/9j/4", "/9j/2"];
    text.len() > 1024 || (text.len() >= 32 && known.iter().any(|head| text.starts_with(head)))
}

/// Removes the first of the columns that is there and not null; those that are null go as well.
/// A column named by the user must be there.
fn take(
    row: &mut Row,
    given: &Option<String>,
    known: &[&str],
) -> Result<Option<(String, Value)>, Error> {
    if let Some(name) = given
        && !row.iter().any(|(column, _)| column == name)
    {
        let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Error::row("row has no such column")
            .field(name.as_str())
            .found(format!("columns {}", names.join(", ")))
            .help("correct data.columns in the recipe"));
    }
    let names = ColumnMap::candidates(given, known);
    row.retain(|(column, value)| !(value.is_null() && names.contains(&column.as_str())));
    let at = names
        .iter()
        .find_map(|name| row.iter().position(|(column, _)| column == name));
    Ok(at.map(|at| row.remove(at)))
}

fn text_or_null(field: &str, value: Value) -> Result<Option<String>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        other => Err(Error::row("not text")
            .field(field)
            .found(other.describe())
            .expected("text")),
    }
}

/// The right answers in a column, the first one first: several where it holds a list of texts, any of which is
/// right (`["4", "four"]`, also with numbers among them). Anything else is one answer: a list of numbers is
/// coordinates or a list to be named whole, and stays the text `[4,8]`.
pub(crate) fn right_answers(value: Value) -> Vec<String> {
    let scalars = |items: &[Value]| {
        items
            .iter()
            .all(|item| matches!(item, Value::Text(_) | Value::Number(_) | Value::Bool(_)))
    };
    // `["A", "C"]`: the letters of a multiple-choice question, all of which must be named.
    let letters = |items: &[Value]| {
        items.len() > 1
            && items.iter().all(|item| {
                matches!(item, Value::Text(text) if matches!(text.as_bytes(), [b'A'..=b'Z']))
            })
    };
    match value {
        Value::List(items) if letters(&items) => {
            let all = items.into_iter().filter_map(scalar);
            vec![all.collect::<Vec<_>>().join(", ")]
        }
        Value::List(items)
            if scalars(&items) && items.iter().any(|item| matches!(item, Value::Text(_))) =>
        {
            items.into_iter().filter_map(scalar).collect()
        }
        other => scalar(other).into_iter().collect(),
    }
}

/// A text, number or truth value as text; anything else as JSON.
fn scalar(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bit) => Some(bit.to_string()),
        other => Some(other.into_json().to_string()),
    }
}

/// One expert trajectory, or a list of several.
fn experts(field: &str, value: Value) -> Result<Vec<String>, Error> {
    match value {
        Value::List(all)
            if !all.is_empty()
                && all
                    .iter()
                    .all(|one| matches!(one, Value::Text(_) | Value::List(_))) =>
        {
            let found = all.into_iter().enumerate();
            let found = found.map(|(index, one)| expert(&format!("{field}[{index}]"), one));
            Ok(found
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        }
        one => Ok(expert(field, one)?.into_iter().collect()),
    }
}

/// A text, or a conversation whose last turn is the assistant's.
fn expert(field: &str, value: Value) -> Result<Option<String>, Error> {
    let Value::List(turns) = value else {
        return text_or_null(field, value);
    };
    let text = turns.iter().rev().find_map(|turn| {
        let speaks = matches!(turn.get("role"), Some(Value::Text(role)) if role == "assistant");
        if speaks {
            turn.get("content").and_then(plain_text)
        } else {
            None
        }
    });
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(Error::row("no turn of the assistant")
            .field(field)
            .expected("text, or a list that has {\"role\": \"assistant\", \"content\": text}")),
    }
}

/// Text, or the text parts of a content list.
fn plain_text(content: &Value) -> Option<String> {
    match content {
        Value::Text(text) => Some(text.clone()),
        Value::List(parts) => parts
            .iter()
            .map(|part| match part.get("text") {
                Some(Value::Text(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}
