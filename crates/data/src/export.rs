//! Writing samples as JSONL in the form of TRL and Hugging Face: `messages`, `images`, `answer`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Error, Part, Sample};

/// Writes `data.jsonl` and the images beside it (`images/000012-0.png`); reading the file back
/// gives the same samples. Videos are written as lists of frames.
///
/// # Errors
/// [`Error::File`] when the disk refuses, and the errors of the samples.
pub fn write_jsonl(
    samples: impl Iterator<Item = Result<Sample, Error>>,
    dir: &Path,
) -> Result<PathBuf, Error> {
    let images = dir.join("images");
    let disk = |path: &Path| {
        let path = path.to_path_buf();
        move |e: std::io::Error| Error::file(format!("cannot be written: {e}")).in_file(path)
    };
    fs::create_dir_all(&images).map_err(disk(&images))?;
    let path = dir.join("data.jsonl");
    let temporary = dir.join("data.jsonl.tmp");
    let file = fs::File::create(&temporary).map_err(disk(&temporary))?;
    let mut out = std::io::BufWriter::new(file);
    for (row, sample) in samples.enumerate() {
        let sample = sample?;
        let mut names = Vec::new();
        for (index, image) in sample.images.iter().enumerate() {
            let bytes = image.encoded()?;
            let name = format!("images/{row:06}-{index}.{}", ending(&bytes));
            let path = dir.join(&name);
            fs::write(&path, &bytes).map_err(disk(&path))?;
            names.push(name);
        }
        let line = record(&sample, names);
        writeln!(out, "{line}").map_err(disk(&temporary))?;
    }
    let file = out
        .into_inner()
        .map_err(|e| disk(&temporary)(e.into_error()))?;
    file.sync_all().map_err(disk(&temporary))?;
    fs::rename(&temporary, &path).map_err(disk(&path))?;
    Ok(path)
}

fn record(sample: &Sample, images: Vec<String>) -> Value {
    let messages: Vec<Value> = sample
        .messages
        .iter()
        .map(|message| {
            let parts: Vec<Value> = message
                .content
                .iter()
                .map(|part| match part {
                    Part::Text(text) => json!({"type": "text", "text": text}),
                    Part::Image(_) => json!({"type": "image"}),
                    Part::Video(_) => json!({"type": "video"}),
                })
                .collect();
            let mut turn = json!({"role": message.role.as_str(), "content": parts});
            if let Some(train) = message.train {
                turn["train"] = train.into();
            }
            turn
        })
        .collect();
    let mut row = json!({"id": sample.id, "messages": messages, "images": images});
    for (name, value) in [("answer", &sample.answer), ("expert", &sample.expert)] {
        if let Some(value) = value {
            row[name] = value.as_str().into();
        }
    }
    for (name, value) in &sample.meta {
        if row.get(name).is_none() {
            row[name] = value.clone();
        }
    }
    row
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
