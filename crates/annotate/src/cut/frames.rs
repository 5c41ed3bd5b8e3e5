//! Frames of clips, cut and written as PNG.

use std::path::Path;

use percept_base::files::write_atomic;
use percept_data::{Error as DataError, Media};

use crate::clips::{ClipOf, ClipPair};
use crate::cut::clip::Clip;
use crate::cut::frame_pair::{FrameFile, FramePair};
use crate::cut::times::Times;
use crate::error::Error;

/// The folder of pictures inside the folder of annotations.
const FRAMES: &str = "frames";

/// Cuts the frames of one pair of clips, the `number`th, into `folder`.
pub(super) fn cut(
    pair: &ClipPair,
    number: usize,
    times: &Times,
    folder: &Path,
) -> Result<Vec<FramePair>, Error> {
    let [a, b] = [&pair.a, &pair.b].map(|clip| open(pair, clip));
    let ((a, a_lasts), (b, b_lasts)) = (a?, b?);
    let milliseconds = times.of(a_lasts.min(b_lasts)).map_err(|time| {
        let (clip, lasts) = match a_lasts < b_lasts {
            true => (&pair.a, a_lasts),
            false => (&pair.b, b_lasts),
        };
        let what = format!("pair {}: the time {time} s is beyond the end", pair.id);
        DataError::media(what)
            .in_file(&clip.path)
            .found(format!("a clip of {lasts:.3} s"))
            .expected("times from 0 to before the end of both clips")
    })?;
    let mut found = Vec::new();
    for time in milliseconds {
        let time_s = time as f64 / 1e3;
        let write = |clip: &Clip, side: &str, of: &ClipOf| {
            let frame = clip.frame_at(time_s);
            let picture = frame.map_err(|error| in_pair(pair, of, error))?.image;
            let (width, height) = picture.dimensions();
            let file = format!("{FRAMES}/{number:05}-{time:06}-{side}.png");
            write_atomic(&folder.join(&file), &Media::from_image(picture).encoded()?)?;
            Ok::<_, Error>(FrameFile {
                file,
                width,
                height,
                video: of.path.display().to_string(),
                model: of.model.clone(),
            })
        };
        found.push(FramePair {
            id: format!("{}@{time_s:.3}", pair.id),
            prompt: pair.prompt.clone(),
            time_s,
            a: write(&a, "a", &pair.a)?,
            b: write(&b, "b", &pair.b)?,
        });
    }
    Ok(found)
}

/// A clip, and how long it lasts in seconds.
fn open(pair: &ClipPair, clip: &ClipOf) -> Result<(Clip, f64), Error> {
    let opened = Clip::open(&clip.path).map_err(|error| match error {
        Error::Data(error) => in_pair(pair, clip, error).into(),
        other => other,
    })?;
    let lasts = opened.lasts_s();
    Ok((opened, lasts))
}

/// An error about a clip, with its pair.
fn in_pair(pair: &ClipPair, clip: &ClipOf, error: DataError) -> DataError {
    let report = error.report();
    let what = format!("pair {}: {}", pair.id, report.what);
    let named = report.file.is_some();
    let error = error.what(what);
    match named {
        true => error,
        false => error.in_file(&clip.path),
    }
}
