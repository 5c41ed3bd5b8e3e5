//! A clip by the times of its frames: an animated GIF, or a folder of frames.

use std::path::Path;

use percept_base::files::list_dir;
use percept_data::{DEFAULT_FPS, Error as DataError, Media, Video};

use crate::error::Error;

/// A clip, not decoded yet.
pub(super) struct Clip(Video);

impl Clip {
    /// A folder has [`DEFAULT_FPS`] frames a second, in the order of their names.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            let encoded = Media::from_path(path).encoded()?;
            let clip = Video::from_gif(encoded).map_err(|error| error.in_file(path))?;
            return Ok(Self(clip));
        }
        let frames = list_dir(path)?
            .into_iter()
            .filter(|name| !name.starts_with('.'));
        let frames: Vec<Media> = frames
            .map(|name| Media::from_path(path.join(name)))
            .collect();
        if frames.is_empty() {
            return Err(DataError::media("a clip without frames")
                .in_file(path)
                .into());
        }
        Ok(Self(Video {
            frames,
            fps: DEFAULT_FPS,
        }))
    }

    /// How long it lasts, in seconds.
    pub fn lasts_s(&self) -> f64 {
        self.0.frames.len() as f64 / f64::from(self.0.fps)
    }

    /// The frame that is shown at a time before the end.
    pub fn frame_at(&self, time_s: f64) -> &Media {
        // A time that is a frame's own may lie a rounding below it.
        let at = (time_s * f64::from(self.0.fps) + 1e-4) as usize;
        let last = self.0.frames.len() - 1;
        &self.0.frames[at.min(last)]
    }
}
