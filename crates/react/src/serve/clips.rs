//! A clip as a client sends it.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percept_data::{DEFAULT_FPS, Media};
use serde_json::Value;

use crate::Error;
use crate::footage::Footage;
use crate::judge::Clip;

/// Where clips of clients may come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// The folder below which clients may name files; none may be named without one.
    pub videos: Option<PathBuf>,
}

/// Reads a clip: text, or an object with `video` or `frames`. `at` says which, in errors.
pub(super) fn clip(
    value: &Value,
    prompt: Option<&str>,
    at: &str,
    sources: &Sources,
) -> Result<Clip, Error> {
    if let Some(video) = value.as_str() {
        return Ok(Clip {
            name: at.to_owned(),
            prompt: prompt.unwrap_or_default().to_owned(),
            footage: sources.open(video, at)?,
        });
    }
    let wrong = |field: &str, found: String, expected| Error::Clip {
        what: format!("{at}{field}"),
        found,
        expected,
    };
    let Some(fields) = value.as_object() else {
        let expected = "a file's name, base64, a data: URL, or an object with `video` or `frames`";
        return Err(wrong("", kind(value).into(), expected));
    };
    let own = fields.get("prompt").and_then(Value::as_str).or(prompt);
    let prompt = own.unwrap_or_default().to_owned();
    let footage = match (fields.get("video"), fields.get("frames")) {
        (Some(Value::String(video)), None) => sources.open(video, at)?,
        (None, Some(Value::Array(frames))) => {
            let fps = match fields.get("fps") {
                None | Some(Value::Null) => f64::from(DEFAULT_FPS),
                Some(fps) => fps
                    .as_f64()
                    .ok_or_else(|| wrong(".fps", fps.to_string(), "a number above 0"))?,
            };
            Footage::chosen_frames(pictures(frames, at)?, fps)?
        }
        _ => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            let found = format!("fields {}", names.join(", "));
            return Err(wrong(
                "",
                found,
                "either `video`, a text, or `frames`, a list",
            ));
        }
    };
    Ok(Clip {
        name: at.to_owned(),
        prompt,
        footage,
    })
}

fn pictures(frames: &[Value], at: &str) -> Result<Vec<Media>, Error> {
    let one = |(number, frame): (usize, &Value)| {
        let text = frame.as_str().ok_or_else(|| Error::Clip {
            what: format!("{at}.frames[{number}]"),
            found: kind(frame).into(),
            expected: "base64 or a data: URL of a picture",
        })?;
        picture(text, &format!("{at}.frames[{number}]"))
    };
    frames.iter().enumerate().map(one).collect()
}

/// A picture: base64, or a `data:` URL.
pub(super) fn picture(text: &str, at: &str) -> Result<Media, Error> {
    Media::from_base64(text).map_err(|_| Error::Clip {
        what: at.to_owned(),
        found: shortened(text),
        expected: "base64 or a data: URL of a picture; other addresses are not fetched",
    })
}

impl Sources {
    /// A video: a file below the folder, or the file itself as base64 or as a `data:` URL.
    pub(super) fn open(&self, video: &str, at: &str) -> Result<Footage, Error> {
        let payload = match video.strip_prefix("data:") {
            Some(url) => url.split_once(";base64,").map(|(_, payload)| payload),
            None => None,
        };
        if let Some(payload) = payload {
            return sent(payload, at);
        }
        if let Some(path) = self.below(video) {
            return Footage::open(&path);
        }
        // Short texts are names, whatever letters they have; no video has so few bytes.
        if video.len() > 512 && !video.contains("://") {
            return sent(video, at);
        }
        let expected = match &self.videos {
            Some(_) => "a file below --videos, base64 or a data: URL; addresses are not fetched",
            None => "base64 or a data: URL of a video (files may be named only with --videos DIR)",
        };
        Err(Error::Clip {
            what: at.to_owned(),
            found: shortened(video),
            expected,
        })
    }

    /// The file of this name, where it lies below the folder after links were followed.
    fn below(&self, name: &str) -> Option<PathBuf> {
        let root = self.videos.as_ref()?.canonicalize().ok()?;
        let name = Path::new(name.strip_prefix("file://").unwrap_or(name));
        if name.components().any(|part| part == Component::ParentDir) {
            return None;
        }
        let path = root.join(name).canonicalize().ok()?;
        path.starts_with(&root).then_some(path)
    }
}

/// A video that came as base64: decoders read files, so it becomes one for as long as it is judged.
fn sent(payload: &str, at: &str) -> Result<Footage, Error> {
    let bytes = STANDARD
        .decode(payload.trim())
        .map_err(|error| Error::Clip {
            what: at.to_owned(),
            found: format!("{} ({error})", shortened(payload)),
            expected: "base64 of a video",
        })?;
    if !is_video(&bytes) {
        return Err(Error::Clip {
            what: at.to_owned(),
            found: format!("{} bytes that are none", bytes.len()),
            expected: "MP4, MOV, WebM, Matroska, GIF or animated WebP",
        });
    }
    let failed = |source| Error::File {
        what: format!("{at}: keeping the clip while it is judged"),
        source,
    };
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    let footage = Footage::sent(file.into_temp_path());
    // Its name on this machine says nothing to the client.
    footage.map_err(|error| Error::Clip {
        what: at.to_owned(),
        found: error.to_string(),
        expected: "a video that can be decoded",
    })
}

/// Whether bytes begin as a container that holds its own pictures. A playlist or a script for a demultiplexer would name other
/// files of this machine.
fn is_video(bytes: &[u8]) -> bool {
    let begins = |at: usize, with: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(with));
    let matroska = begins(0, &[0x1a, 0x45, 0xdf, 0xa3]);
    let mp4 = [&b"ftyp"[..], b"moov", b"mdat", b"free", b"skip", b"wide"];
    let webp = begins(0, b"RIFF") && begins(8, b"WEBP");
    matroska || webp || begins(0, b"GIF8") || mp4.iter().any(|kind| begins(4, kind))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
