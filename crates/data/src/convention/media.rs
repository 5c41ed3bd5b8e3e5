//! Images and videos in the forms in which rows have them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::python_literal;
use crate::formats::row::Value;
use crate::{Error, Media};

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

    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            path.to_owned()
        } else {
            self.folder.join(path)
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
