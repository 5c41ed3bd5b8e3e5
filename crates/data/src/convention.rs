//! From a row of a file to a [`Sample`]: the conventions of verl, TRL and Hugging Face, EasyR1 and
//! ms-swift, told apart by their columns.

use std::path::{Path, PathBuf};

use crate::error::shorten;
use crate::row::{Row, Value};
use crate::{ColumnMap, DEFAULT_FPS, Error, Media, Message, Part, Role, Sample, Video};

/// Where a row comes from and how its columns are read.
pub(crate) struct Convention<'a> {
    pub columns: &'a ColumnMap,
    pub file: &'a Path,
    pub row: usize,
    /// Folder of relative media paths.
    pub folder: &'a Path,
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
        let known = ["messages", "prompt", "problem", "question", "query"];
        let Some((name, value)) = take(&mut row, &map.prompt, &known)? else {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            return Err(Error::row("row has no prompt")
                .found(format!("columns {}", names.join(", ")))
                .expected("messages, prompt, problem, question or query")
                .help("name the column in data.columns.prompt"));
        };
        let mut media = MediaList {
            images,
            videos,
            inline: Vec::new(),
            convention: self,
        };
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
        let answer = self.answer(&mut row)?;
        let expert = match take(&mut row, &map.expert, &["expert", "completion", "response"])? {
            Some((name, value)) => expert(&name, value)?,
            None => None,
        };
        let id = match take(&mut row, &map.id, &["id"])? {
            Some((name, value)) => scalar(&name, value)?,
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
            expert,
            meta,
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

    fn image(&self, field: &str, value: Value) -> Result<Media, Error> {
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
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        // No path is this long; a base64 image always is.
        if text.len() > 1024 {
            return Media::from_base64(text).map_err(|e| e.field(field));
        }
        Ok(Media::from_path(self.resolve(path)))
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
    fn video(&self, field: &str, value: Value) -> Result<Video, Error> {
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
                if let Some(Value::Number(fps)) = get("fps") {
                    let fps = fps.as_f64().unwrap_or(f64::NAN) as f32;
                    if !(fps > 0.0 && fps.is_finite()) {
                        return Err(Error::row("frame rate must be above 0")
                            .field(format!("{field}.fps"))
                            .found(fps));
                    }
                    video.fps = fps;
                }
                Ok(video)
            }
            Value::Text(text) => {
                let path = self.resolve(Path::new(text.strip_prefix("file://").unwrap_or(&text)));
                let bytes = Media::from_path(&path)
                    .placed(self.file, self.row, field)
                    .encoded()?;
                Video::from_gif(bytes).map_err(|e| e.field(field))
            }
            Value::Bytes(bytes) => Video::from_gif(bytes).map_err(|e| e.field(field)),
            other => Err(Error::row("not a video")
                .field(field)
                .found(other.describe())
                .expected("a list of frames, or a GIF as path or bytes")),
        }
    }

    fn answer(&self, row: &mut Row) -> Result<Option<String>, Error> {
        let known = ["answer", "solution", "ground_truth"];
        if let Some((name, value)) = take(row, &self.columns.answer, &known)? {
            return scalar(&name, value);
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
        inside.map_or(Ok(None), |value| scalar("reward_model.ground_truth", value))
    }
}

/// Media of a row while its messages are read.
struct MediaList<'a> {
    images: Vec<Media>,
    videos: Vec<Video>,
    /// Images that messages carry themselves, in order.
    inline: Vec<Media>,
    convention: &'a Convention<'a>,
}

/// Stands for "the next image of the column" until [`MediaList::place`] numbers them.
const NEXT: usize = usize::MAX;

impl MediaList<'_> {
    fn messages(&mut self, column: &str, value: Value) -> Result<Vec<Message>, Error> {
        match value {
            Value::Text(text) => Ok(vec![Message {
                role: Role::User,
                content: self.parts(&text),
                train: None,
            }]),
            Value::List(turns) if !turns.is_empty() => turns
                .into_iter()
                .enumerate()
                .map(|(index, turn)| self.message(&format!("{column}[{index}]"), turn))
                .collect(),
            other => Err(Error::row("not a conversation")
                .field(column)
                .found(other.describe())
                .expected("text, or a list of {\"role\": …, \"content\": …}")),
        }
    }

    fn message(&mut self, field: &str, value: Value) -> Result<Message, Error> {
        let Value::Struct(fields) = value else {
            return Err(Error::row("turn is not an object")
                .field(field)
                .found(value.describe())
                .expected("{\"role\": …, \"content\": …}"));
        };
        let (mut role, mut content, mut train) = (None, None, None);
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("role" | "from", value) => role = Some(self.role(field, value)?),
                ("content" | "value", value) => content = Some(value),
                ("train" | "loss", Value::Bool(bit)) => train = Some(bit),
                _ => {}
            }
        }
        let Some(role) = role else {
            return Err(Error::row("turn has no role")
                .field(field)
                .expected("a field `role`"));
        };
        let content = match content {
            Some(Value::Text(text)) => self.parts(&text),
            Some(Value::List(items)) => {
                let mut parts = Vec::new();
                for (index, item) in items.into_iter().enumerate() {
                    self.part(&format!("{field}.content[{index}]"), item, &mut parts)?;
                }
                parts
            }
            other => {
                return Err(Error::row("turn has no content")
                    .field(format!("{field}.content"))
                    .found(other.unwrap_or(Value::Null).describe())
                    .expected("text or a list of parts"));
            }
        };
        Ok(Message {
            role,
            content,
            train,
        })
    }

    fn role(&self, field: &str, value: Value) -> Result<Role, Error> {
        match &value {
            Value::Text(text) => match text.as_str() {
                "system" => Ok(Role::System),
                "user" | "human" => Ok(Role::User),
                "assistant" | "gpt" => Ok(Role::Assistant),
                "tool" | "function" => Ok(Role::Tool),
                _ => Err(()),
            },
            _ => Err(()),
        }
        .map_err(|()| {
            Error::row("unknown role")
                .field(format!("{field}.role"))
                .found(value.describe())
                .expected("system, user, assistant or tool")
        })
    }

    /// Text with `<image>` and `<video>` tags.
    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let image = rest
                .find("<image>")
                .map(|at| (at, "<image>", Part::Image(NEXT)));
            let video = rest
                .find("<video>")
                .map(|at| (at, "<video>", Part::Video(NEXT)));
            let first = [image, video]
                .into_iter()
                .flatten()
                .min_by_key(|(at, _, _)| *at);
            let Some((at, tag, part)) = first else { break };
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            parts.push(part);
            rest = &rest[at + tag.len()..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        parts
    }

    /// One element of a content list.
    fn part(&mut self, field: &str, value: Value, out: &mut Vec<Part>) -> Result<(), Error> {
        let fields = match value {
            Value::Text(text) => {
                out.extend(self.parts(&text));
                return Ok(());
            }
            Value::Struct(fields) => fields,
            other => {
                return Err(Error::row("not a part of a turn")
                    .field(field)
                    .found(other.describe())
                    .expected("text or {\"type\": …}"));
            }
        };
        let get = |key: &str| {
            let found = fields
                .iter()
                .find(|(name, value)| name == key && !value.is_null());
            found.map(|(_, value)| value.clone())
        };
        let kind = match get("type") {
            Some(Value::Text(kind)) => kind,
            _ => {
                return Err(Error::row("part has no type")
                    .field(field)
                    .expected("type = text, image or video"));
            }
        };
        match kind.as_str() {
            "text" => match get("text") {
                Some(Value::Text(text)) => out.push(Part::Text(text)),
                other => {
                    return Err(Error::row("part has no text")
                        .field(format!("{field}.text"))
                        .found(other.unwrap_or(Value::Null).describe()));
                }
            },
            "image" | "image_url" => {
                let own = ["image", "image_url", "url", "path", "base64", "bytes"];
                match own.iter().find_map(|key| get(key)) {
                    Some(value) => {
                        self.inline.push(self.convention.image(field, value)?);
                        out.push(Part::Image(self.inline.len() - 1));
                    }
                    None => out.push(Part::Image(NEXT)),
                }
            }
            "video" => out.push(Part::Video(NEXT)),
            other => {
                return Err(Error::row("unknown type of part")
                    .field(format!("{field}.type"))
                    .found(format!("\"{}\"", shorten(other, 40)))
                    .expected("text, image, image_url or video"));
            }
        }
        Ok(())
    }

    /// Gives every image and video of the columns its place in the conversation.
    fn place(&mut self, column: &str, messages: &mut [Message]) -> Result<(), Error> {
        let marks = |messages: &[Message], video: bool| {
            let part = if video {
                Part::Video(NEXT)
            } else {
                Part::Image(NEXT)
            };
            messages
                .iter()
                .flat_map(|m| &m.content)
                .filter(|p| **p == part)
                .count()
        };
        let (images, videos) = (marks(messages, false), marks(messages, true));
        // TRL: images without a mark stand before the first turn of the user.
        if let Some(user) = messages.iter_mut().find(|m| m.role == Role::User) {
            if videos == 0 {
                let parts = self.videos.iter().map(|_| Part::Video(NEXT));
                user.content.splice(0..0, parts);
            }
            if images == 0 {
                let parts = self.images.iter().map(|_| Part::Image(NEXT));
                user.content.splice(0..0, parts);
            }
        }
        for (video, what, found) in [
            (false, "images", self.images.len()),
            (true, "videos", self.videos.len()),
        ] {
            let expected = marks(messages, video);
            if expected != found {
                return Err(
                    Error::row(format!("number of {what} and of their marks differ"))
                        .field(column)
                        .found(format!("{expected} marks, {found} {what}"))
                        .help("each image needs one <image> tag or part, and each tag an image"),
                );
            }
        }
        // Column images first, in the order of their marks, then the inline ones.
        let base = self.images.len();
        let (mut image, mut video) = (0, 0);
        for part in messages.iter_mut().flat_map(|m| &mut m.content) {
            match part {
                Part::Image(index) if *index == NEXT => {
                    *index = image;
                    image += 1;
                }
                Part::Image(index) => *index += base,
                Part::Video(index) => {
                    *index = video;
                    video += 1;
                }
                Part::Text(_) => {}
            }
        }
        self.images.append(&mut self.inline);
        Ok(())
    }
}

/// Removes the first of the columns that is there and not null. A column named by the user must
/// be there.
fn take(
    row: &mut Row,
    given: &Option<String>,
    known: &[&str],
) -> Result<Option<(String, Value)>, Error> {
    for name in ColumnMap::candidates(given, known) {
        let at = row
            .iter()
            .position(|(column, value)| column == name && !value.is_null());
        if let Some(at) = at {
            return Ok(Some(row.remove(at)));
        }
    }
    match given {
        Some(name) if !row.iter().any(|(column, _)| column == name) => {
            let names: Vec<&str> = row.iter().map(|(name, _)| name.as_str()).collect();
            Err(Error::row("row has no such column")
                .field(name.as_str())
                .found(format!("columns {}", names.join(", ")))
                .help("correct data.columns in the recipe"))
        }
        _ => Ok(None),
    }
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

/// A text, number or truth value as text; anything else as JSON.
fn scalar(_: &str, value: Value) -> Result<Option<String>, Error> {
    Ok(match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bit) => Some(bit.to_string()),
        other => Some(other.into_json().to_string()),
    })
}

/// A text, or a conversation whose last turn is the assistant's.
fn expert(field: &str, value: Value) -> Result<Option<String>, Error> {
    let Value::List(turns) = value else {
        return text_or_null(field, value);
    };
    let text = turns.into_iter().rev().find_map(|turn| {
        let Value::Struct(fields) = turn else {
            return None;
        };
        let text = |key: &str| {
            fields
                .iter()
                .find(|(name, _)| name == key)
                .and_then(|(_, value)| match value {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                })
        };
        (text("role").as_deref() == Some("assistant"))
            .then(|| text("content"))
            .flatten()
    });
    match text {
        Some(text) => Ok(Some(text)),
        None => Err(Error::row("no turn of the assistant")
            .field(field)
            .expected("text, or a list that has {\"role\": \"assistant\", \"content\": text}")),
    }
}
