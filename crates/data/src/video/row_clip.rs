//! The frames of a video file that a row shows: chosen when the row is read, decoded when the first is needed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use image::RgbImage;
use sha2::{Digest, Sha256};
use tempfile::TempPath;

use crate::media::frame_store::{FrameStore, MediaHash};
use crate::video::clip::Clip;
use crate::video::frames::{DEFAULT_FPS, Video};
use crate::video::sampling::VideoSampling;
use crate::{Error, Media};

/// The shown frames of one video may have this many pixels together (3 GiB decoded).
const MAX_SHOWN_PIXELS: u64 = 1 << 30;

impl Video {
    /// A video file, an animation or a folder of frames, of which these frames are shown.
    ///
    /// # Errors
    /// When it cannot be opened, or the choice does not fit it. Damage behind the index is found by decoding.
    pub fn open(path: impl AsRef<Path>, sampling: &VideoSampling) -> Result<Self, Error> {
        Self::of_clip(Clip::open(path)?, sampling, None)
    }

    /// The same for a file that is in memory. It is written to a temporary one, which the frames keep.
    ///
    /// # Errors
    /// Those of [`Video::open`].
    pub fn from_bytes(bytes: &[u8], sampling: &VideoSampling) -> Result<Self, Error> {
        let unwritten = |e: io::Error| Error::media(format!("video cannot be stored: {e}"));
        let mut file = tempfile::NamedTempFile::new().map_err(unwritten)?;
        io::Write::write_all(&mut file, bytes).map_err(unwritten)?;
        let path = file.into_temp_path();
        let clip = Clip::open(&path).map_err(Error::nowhere)?;
        Self::of_clip(clip, sampling, Some(path))
    }

    fn of_clip(
        clip: Clip,
        sampling: &VideoSampling,
        spool: Option<TempPath>,
    ) -> Result<Self, Error> {
        let info = clip.info();
        let fps = info.fps().unwrap_or(f64::from(DEFAULT_FPS));
        let shown = sampling.choose(info.frame_times.len(), fps);
        let shown = shown.map_err(|error| match spool {
            Some(_) => error,
            None => error.in_file(clip.path()),
        })?;
        let pixels = u64::from(info.width) * u64::from(info.height) * shown.indices.len() as u64;
        if pixels > MAX_SHOWN_PIXELS {
            let (width, height, frames) = (info.width, info.height, shown.indices.len());
            return Err(Error::media("video shows too many pixels")
                .found(format!("{frames} frames of {width}×{height}"))
                .expected(format!("at most {MAX_SHOWN_PIXELS} pixels"))
                .help("lower fps or max_frames, or scale the video down"));
        }
        let count = shown.indices.len();
        let store: Arc<dyn FrameStore> = Arc::new(RowClip {
            clip,
            shown: shown.indices,
            decoded: OnceLock::new(),
            hasher: OnceLock::new(),
            spool,
        });
        let frames = (0..count).map(|at| Media::from_store(Arc::clone(&store), at));
        Ok(Self {
            frames: frames.collect(),
            fps: shown.fps as f32,
        })
    }
}

#[derive(Debug)]
struct RowClip {
    clip: Clip,
    shown: Vec<usize>,
    decoded: OnceLock<Result<Vec<RgbImage>, Error>>,
    /// SHA-256 that has seen the file, which all frames share: it is read once.
    hasher: OnceLock<Result<Sha256, Error>>,
    /// Of a file that came as bytes; removed with the last of its frames.
    spool: Option<TempPath>,
}

impl RowClip {
    fn hash_file(&self) -> Result<Sha256, Error> {
        let unread = |e: io::Error| Error::media(format!("video cannot be read: {e}"));
        let mut hasher = Sha256::new();
        let path = self.clip.path();
        if path.is_dir() {
            // A folder is its pictures.
            let mut files = Vec::new();
            for entry in path.read_dir().map_err(unread)? {
                files.push(entry.map_err(unread)?.path());
            }
            files.sort();
            for file in files.iter().filter(|file| file.is_file()) {
                io::copy(&mut File::open(file).map_err(unread)?, &mut hasher).map_err(unread)?;
            }
        } else {
            io::copy(&mut File::open(path).map_err(unread)?, &mut hasher).map_err(unread)?;
        }
        Ok(hasher)
    }
}

impl FrameStore for RowClip {
    fn dimensions(&self) -> (u32, u32) {
        (self.clip.info().width, self.clip.info().height)
    }

    fn frame(&self, index: usize) -> Result<RgbImage, Error> {
        let decoded = self.decoded.get_or_init(|| {
            let frames = self.clip.frames_by_index(&self.shown);
            let frames = frames.map_err(|error| match self.spool {
                Some(_) => error.nowhere(),
                None => error,
            })?;
            Ok(frames.into_iter().map(|frame| frame.image).collect())
        });
        let frames = decoded.as_ref().map_err(Error::clone)?;
        match frames.get(index) {
            Some(frame) => Ok(frame.clone()),
            None => Err(Error::media("video has fewer frames than its index says")),
        }
    }

    fn hash(&self, index: usize) -> Result<MediaHash, Error> {
        let hasher = self.hasher.get_or_init(|| self.hash_file());
        let mut hasher = hasher.as_ref().map_err(Error::clone)?.clone();
        hasher.update(self.shown[index].to_le_bytes());
        Ok(hasher.finalize().into())
    }
}
