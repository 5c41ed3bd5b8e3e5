//! From a row of a file to a [`Sample`]: the conventions of verl, TRL and Hugging Face, EasyR1 and
//! ms-swift, told apart by their columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::convention::conversation::{MediaList, frame_rate};
use crate::convention::padding::without_padding;
use crate::formats::python_literal;
use crate::formats::row::{Row, Value};
use crate::{
    ColumnMap, DEFAULT_FPS, Error, Media, Message, Objects, Part, Role, Sample, TemplateFields,
    Video,
};

/// Where a row comes from and how its columns are read.
pub(crate) struct Convention<'a> {
    pub columns: &'a ColumnMap,
    pub file: &'a Path,
    pub row: usize,
    /// Whether rows carry null for what they do not have.
    pub padded: bool,
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
        let numbered = self.numbered_images(&mut row)?;
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
            "conversation",
        ];
        let Some((name, value)) = take(&mut row, &map.prompt, &known)? else {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("row has no prompt")
                .found(format!("columns {}", names.join(", ")))
                .expected("messages, prompt, problem, question, query or conversations")
                .help("name the column in data.columns.prompt"));
        };
        let mut media = MediaList::new(images, videos, self);
        media.number_images(numbered);
        let mut messages = match take(&mut row, &None, &["history"])? {
            Some((name, value)) => media.history(&name, value)?,
            None => Vec::new(),
        };
        let conversational = crate::convention::conversation::is_conversation(&value);
        let turns = media.messages(&name, value)?;
        // The system turn stays the first one.
        let behind = turns
            .iter()
            .take_while(|turn| turn.role == Role::System)
            .count();
        let earlier = std::mem::take(&mut messages);
        messages.extend(turns);
        messages.splice(behind..behind, earlier);
        let system = match take(&mut row, &None, &["system"])? {
            Some((name, value)) => text_or_null(&name, value)?,
            None => None,
        };
        if let Some(text) = system.filter(|text| !text.is_empty()) {
            messages.insert(0, Message::text(Role::System, text));
        }
        media.place(&name, &mut messages)?;
        let template = template_fields(&mut row, self.padded)?;
        let objects = match take(&mut row, &None, &["objects"])? {
            Some((name, value)) => Objects::read(&name, value)?,
            None => None,
        };
        let mut answers = right_answers(self.answer(&mut row)?).into_iter();
        let (answer, alternatives) = (answers.next(), answers.collect());
        let (experts, trajectory) =
            match take(&mut row, &map.expert, &["expert", "completion", "response"])? {
                Some((name, value)) => experts(&mut media, &name, value)?,
                None => (Vec::new(), Vec::new()),
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
        let mut sample = Sample {
            images: media.images,
            videos: media.videos,
            answer,
            alternatives,
            expert,
            trajectory,
            template,
            objects,
            unread: media.unread,
            more_experts: experts.collect(),
            meta,
            conversational,
            ..Sample::new(id, messages)
        };
        crate::convention::unread::note_tags(&mut sample);
        Ok(sample)
    }

    fn images(&self, name: &str, value: Value) -> Result<Vec<Media>, Error> {
        let items = match value {
            Value::Null => return Ok(Vec::new()),
            Value::List(items) => items,
            // A list that was written into a text column.
            Value::Text(text) if text.trim_start().starts_with('[') => {
                match python_literal::parse(&text) {
                    Some(Value::List(items)) => items,
                    _ => vec![Value::Text(text)],
                }
            }
            one => vec![one],
        };
        items
            .into_iter()
            .enumerate()
            .filter(|(_, item)| !is_nothing(item))
            .map(|(index, item)| self.image(&format!("{name}[{index}]"), item))
            .collect()
    }

    /// MMMU's columns `image_1`, `image_2`, …, which the question names by number.
    fn numbered_images(&self, row: &mut Row) -> Result<Vec<(usize, Media)>, Error> {
        let number = |name: &str| name.strip_prefix("image_")?.parse::<usize>().ok();
        let mapped = |name: &str| {
            let map = self.columns;
            let given = [&map.prompt, &map.videos, &map.answer, &map.expert, &map.id];
            given.into_iter().flatten().any(|column| column == name)
        };
        let (found, others): (Row, Row) = std::mem::take(row)
            .into_iter()
            .partition(|(name, _)| number(name).is_some() && !mapped(name));
        *row = others;
        let mut images = Vec::new();
        for (name, value) in found {
            let Some(number) = number(&name).filter(|_| !is_nothing(&value)) else {
                continue;
            };
            images.push((number, self.image(&name, value)?));
        }
        images.sort_by_key(|(number, _)| *number);
        Ok(images)
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
                nothing if is_nothing(&nothing) => Ok(Vec::new()),
                one => Ok(vec![self.video(name, one)?]),
            };
        };
        items
            .into_iter()
            .enumerate()
            .filter(|(_, item)| !is_nothing(item))
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
            .and_then(|(_, value)| match value {
                // A struct that was written into a text column.
                Value::Text(text) => python_literal::parse(text)?.get("ground_truth").cloned(),
                value => value.get("ground_truth").cloned(),
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

/// Whether a value stands where a row has no image: null, an empty text, a struct without content.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.trim().is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Struct(fields) => {
            let content = [
                "bytes",
                "base64",
                "path",
                "image",
                "url",
                "image_url",
                "frames",
                "video",
            ];
            let mut there = fields
                .iter()
                .filter(|(name, _)| content.contains(&name.as_str()))
                .peekable();
            there.peek().is_some() && there.all(|(_, value)| is_nothing(value))
        }
        Value::List(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The columns that go to the chat template: `tools` and `chat_template_kwargs`, as objects or as JSON.
fn template_fields(row: &mut Row, padded: bool) -> Result<TemplateFields, Error> {
    let read = |value: Value| {
        let value = match value {
            Value::Text(text) => python_literal::parse(&text).unwrap_or(Value::Text(text)),
            other => other,
        };
        let json = value.into_json();
        if padded { without_padding(json) } else { json }
    };
    let mut out = TemplateFields::default();
    if let Some((_, value)) = take(row, &None, &["tools"])? {
        let tools = match read(value) {
            serde_json::Value::Array(tools) => tools,
            serde_json::Value::String(text) if text.trim().is_empty() => Vec::new(),
            one => vec![one],
        };
        // Tools that are JSON in a list of texts.
        let tools = tools.into_iter().map(|tool| match tool {
            serde_json::Value::String(text) => {
                serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
            }
            tool => tool,
        });
        let tools: Vec<serde_json::Value> = tools.collect();
        // As TRL: some templates write about tools even for an empty list.
        out.tools = (!tools.is_empty()).then_some(tools.into());
    }
    if let Some((name, value)) = take(row, &None, &["chat_template_kwargs"])? {
        let described = value.describe();
        match read(value) {
            serde_json::Value::Object(kwargs) => out.kwargs = kwargs,
            _ => {
                return Err(Error::row("not named values for the chat template")
                    .field(name)
                    .found(described)
                    .expected(r#"{"enable_thinking": false}"#));
            }
        }
    }
    Ok(out)
}

/// One expert trajectory, or a list of several; the turns of one that is more than a text.
fn experts(
    media: &mut MediaList<'_>,
    field: &str,
    value: Value,
) -> Result<(Vec<String>, Vec<Message>), Error> {
    let is_one = |one: &Value| matches!(one, Value::Text(_) | Value::List(_));
    match value {
        Value::List(all) if !all.is_empty() && all.iter().all(is_one) => {
            let mut texts = Vec::new();
            for (index, one) in all.into_iter().enumerate() {
                texts.extend(expert(media, &format!("{field}[{index}]"), one)?.0);
            }
            Ok((texts, Vec::new()))
        }
        one => {
            let (text, turns) = expert(media, field, one)?;
            Ok((text.into_iter().collect(), turns))
        }
    }
}

/// A text, or a conversation whose last turn is the assistant's: its text, and all turns where they are
/// more than that.
fn expert(
    media: &mut MediaList<'_>,
    field: &str,
    value: Value,
) -> Result<(Option<String>, Vec<Message>), Error> {
    let value = match value {
        turn @ Value::Struct(_) => Value::List(vec![turn]),
        value => value,
    };
    if !matches!(value, Value::List(_)) {
        return Ok((text_or_null(field, value)?, Vec::new()));
    }
    let missing = || {
        Error::row("no turn of the assistant")
            .field(field)
            .expected("text, or a list that has {\"role\": \"assistant\", \"content\": text}")
    };
    let described = value.describe();
    let turns = media
        .messages(field, value)
        .map_err(|_| missing().found(described))?;
    let shows = |turn: &Message| {
        turn.content
            .iter()
            .any(|part| !matches!(part, Part::Text(_)))
    };
    if turns.iter().any(shows) {
        return Err(missing().help("images stand in the prompt's turns"));
    }
    let last = turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    let text = last.ok_or_else(missing)?.plain_text();
    let text = (!text.is_empty()).then_some(text);
    let plain = turns.len() == 1 && turns[0].fields.is_empty() && turns[0].train != Some(false);
    Ok((text, if plain { Vec::new() } else { turns }))
}
