//! Labelled frames, read and written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use percept_annotate::reasoning::TraceTask;
use percept_base::files::AtomicFile;
use percept_data::{Error, Media, PlacedImages, RawRows};
use percept_frames::FrameRow;
use serde_json::{Map, Value};

use crate::shared::Failure;

/// A labelled frame.
pub struct Frame {
    /// Where it stands: file and row.
    pub place: String,
    /// Its columns.
    pub columns: Map<String, Value>,
    pub image: Media,
    pub task: TraceTask,
}

/// Reads the rows of all files, `limit` of them at most (0: all). A row that cannot be used is an error: labels are the
/// ground truth, and a wrong one must not go unnoticed.
pub fn read(files: &[PathBuf], limit: usize, allowed: &[PathBuf]) -> Result<Vec<Frame>, Failure> {
    let mut frames = Vec::new();
    for path in files {
        let rows = RawRows::open(path, path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let folders: Arc<[PathBuf]> = std::iter::once(folder.to_path_buf())
            .chain(allowed.iter().cloned())
            .collect();
        for at in 0..rows.len() {
            if limit > 0 && frames.len() == limit {
                return Ok(frames);
            }
            let (number, columns) = (rows.number(at), rows.get(at)?);
            let of_row = |what: String| Error::row(what).at(path, number);
            let frame: FrameRow = serde_json::from_value(columns.clone().into())
                .map_err(|e| of_row(format!("not a labelled frame: {e}")))?;
            let [image] = &frame.images[..] else {
                let error = of_row("a frame has one image".to_owned()).field("images");
                return Err(error.found(frame.images.len()).into());
            };
            let image = Media::from_path(folder.join(image)).within(&folders);
            let image = image.placed(path, number, "images[0]");
            image.may_leave()?;
            let task = TraceTask::new(&frame, image.dimensions()?);
            frames.push(Frame {
                place: format!("{}:{number}", path.display()),
                columns,
                image,
                task: task.map_err(|e| of_row(e.to_string()).field("boxes"))?,
            });
        }
    }
    Ok(frames)
}

/// Writes the frames that have a response, complete or not at all.
pub fn write(out: &Path, frames: &[Frame], responses: &[Option<String>]) -> Result<(), Failure> {
    let mut images = PlacedImages::beside(out)?;
    let mut file = std::io::BufWriter::new(AtomicFile::create(out)?);
    for (frame, response) in frames.iter().zip(responses) {
        let Some(response) = response else { continue };
        let mut row = frame.columns.clone();
        row.insert("images".into(), vec![images.place(&frame.image)?].into());
        row.insert("response".into(), response.as_str().into());
        writeln!(file, "{}", Value::from(row))?;
    }
    let file = file
        .into_inner()
        .map_err(|e| Failure::from(e.into_error()))?;
    Ok(file.commit()?)
}
