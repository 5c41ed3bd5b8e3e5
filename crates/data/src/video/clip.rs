//! A clip: frames by the time at which they are shown, whatever the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::video::frame_iter::Frames;
use crate::video::info::{ClipInfo, Frame};
use crate::video::open::{self, ClipOptions};
use crate::video::source::{Source, in_clip};

/// A video file, an animation or a folder of frames, opened and not decoded.
///
/// MP4 and MOV with H.264, GIF, animated WebP and folders of pictures are decoded in this process; every other container
/// and codec by the program `ffmpeg`, where there is one.
///
/// ```no_run
/// use percept_data::Clip;
/// let clip = Clip::open("walk.mp4")?;
/// for frame in clip.frames_at(&[0.0, 0.5, 1.0])? {
///     println!("{} s: {:?}", frame.time_s, frame.image.dimensions());
/// }
/// # Ok::<(), percept_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Clip {
    path: PathBuf,
    info: Arc<ClipInfo>,
    source: Arc<dyn Source>,
}

impl Clip {
    /// Opens a clip with the default options.
    ///
    /// # Errors
    /// When it is missing, damaged, empty, without pictures or of a kind that nothing on this machine decodes.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &ClipOptions::default())
    }

    /// Opens a clip.
    ///
    /// # Errors
    /// Those of [`Clip::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &ClipOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let (source, info) = open::source(path, options).map_err(|e| in_clip(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            info: Arc::new(info),
            source,
        })
    }

    /// What is known before anything is decoded.
    pub fn info(&self) -> &ClipInfo {
        &self.info
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the frame that is shown at a time: the last that begins at or before it. Before the first frame, and
    /// at the very end, the first and the last.
    ///
    /// # Errors
    /// When the time is negative, no number, or beyond the end of the clip.
    pub fn index_at(&self, time_s: f64) -> Result<usize, Error> {
        let times = &self.info.frame_times;
        let end = self.info.end_s();
        let last = times.last().copied().unwrap_or(0.0);
        // A clip of one picture lasts no time, and is shown at its time.
        let beyond = time_s > end.max(last) + TICK;
        if !time_s.is_finite() || time_s < 0.0 || beyond {
            let error = Error::media("time lies outside the clip")
                .found(format!("{time_s} s"))
                .expected(format!("0 to {end:.3} s"));
            return Err(in_clip(&self.path, error));
        }
        let begun = times.partition_point(|&time| time <= time_s + TICK);
        Ok(begun.saturating_sub(1))
    }

    /// The frames that are shown at these times, one for each, in the order of the times.
    ///
    /// # Errors
    /// When a time lies outside the clip, or a frame cannot be decoded.
    pub fn frames_at(&self, times_s: &[f64]) -> Result<Vec<Frame>, Error> {
        let indices = times_s.iter().map(|&time| self.index_at(time));
        self.frames_by_index(&indices.collect::<Result<Vec<_>, _>>()?)
    }

    /// The frames with these numbers, one for each, in this order.
    ///
    /// # Errors
    /// When there is no such frame, or one cannot be decoded.
    pub fn frames_by_index(&self, indices: &[usize]) -> Result<Vec<Frame>, Error> {
        let count = self.info.frame_times.len();
        if let Some(beyond) = indices.iter().find(|&&index| index >= count) {
            let error = Error::media("clip has no such frame")
                .found(format!("frame {beyond}"))
                .expected(format!("0 to {}", count.saturating_sub(1)));
            return Err(in_clip(&self.path, error));
        }
        let mut wanted = indices.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found: Vec<Option<Frame>> = vec![None; wanted.len()];
        self.source
            .decode(&wanted, &mut |index, time_s, image| {
                if let Ok(at) = wanted.binary_search(&index) {
                    found[at] = Some(Frame { time_s, image });
                }
                true
            })
            .map_err(|e| in_clip(&self.path, e))?;
        // The last use of a frame takes it, earlier ones take copies.
        let mut uses = vec![0_usize; wanted.len()];
        let places: Vec<usize> = indices
            .iter()
            .filter_map(|index| wanted.binary_search(index).ok())
            .inspect(|&at| uses[at] += 1)
            .collect();
        let mut frames = Vec::with_capacity(places.len());
        for at in places {
            uses[at] -= 1;
            let frame = match uses[at] {
                0 => found[at].take(),
                _ => found[at].clone(),
            };
            frames.push(frame.ok_or_else(|| {
                let time = self.info.frame_times[wanted[at]];
                let what = format!("the frame at {time:.3} s cannot be decoded");
                in_clip(&self.path, Error::media(what))
            })?);
        }
        Ok(frames)
    }

    /// All frames in order of time. A few are decoded ahead, whatever the length of the clip; the first error ends it.
    pub fn frames(&self) -> Frames {
        let all = (0..self.info.frame_times.len()).collect();
        Frames::start(self.path.clone(), Arc::clone(&self.source), all)
    }
}

/// Times that were written with three digits, or counted in other ticks, still mean the frame that begins there.
const TICK: f64 = 0.000_5;
