//! Images and videos in the forms in which rows have them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::python_literal;
use crate::formats::row::Value;
use crate::{DEFAULT_FPS, Error, Media, Video};

/// Where a row's media are looked for, and what errors name.
pub(crate) struct MediaReader<'a> {
    pub file: &'a Path,
    /// 1-based.
    pub row: usize,
    /// Folder of relative media paths.
    pub folder: &'a Path,
    /// Folders from which media that a row names may leave.
    pub folders: &'a Arc<[PathBuf]>,
}

impl MediaReader<'_> {
    /// All images of a column.
    pub(super) fn images(&self, name: &str, value: Value) -> Result<Vec<Media>, Error> {
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

    /// One image: a path, bytes, base64, or a struct of these.
    pub(super) fn image(&self, field: &str, value: Value) -> Result<Media, Error> {
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

    /// All videos of a column.
    pub(super) fn videos(&self, name: &str, value: Value) -> Result<Vec<Video>, Error> {
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
    pub(super) fn video(&self, field: &str, value: Value) -> Result<Video, Error> {
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
}

/// Whether a value stands where a row has no image: null, an empty text, a struct without content.
pub(super) fn is_nothing(value: &Value) -> bool {
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

/// Whether a text is base64 and not a path: it begins as an encoded image does, or no path is as
/// long.
fn is_base64_image(text: &str) -> bool {
    // PNG, GIF, WebP, JPEG
    let known = ["iVBORw0KGgo", "R0lGOD", "UklGR", "/9j/4", "/9j/2"];
    text.len() > 1024 || (text.len() >= 32 && known.iter().any(|head| text.starts_with(head)))
}

/// The `fps` of a video.
pub(super) fn frame_rate(field: &str, value: &Value) -> Result<f32, Error> {
    let rate = match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN) as f32,
        _ => f32::NAN,
    };
    if rate > 0.0 && rate.is_finite() {
        return Ok(rate);
    }
    Err(Error::row("frame rate must be above 0")
        .field(format!("{field}.fps"))
        .found(value.describe())
        .expected("a number above 0"))
}
