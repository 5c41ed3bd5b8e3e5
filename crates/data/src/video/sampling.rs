//! Which frames of a file a row shows: the rules of `qwen_vl_utils` 0.0.14 (`smart_nframes`, `calculate_video_frame_range`).
//!
//! `nframes` is rounded to an even number; else `fps` (2 by default) times the seconds, between `min_frames` (4) and
//! `max_frames` (768), rounded down to an even number. They lie evenly from the first to the last frame.

use crate::Error;

/// Frames come in pairs: a patch of Qwen's towers spans two.
const FRAME_FACTOR: f64 = 2.0;
/// Frames per second where a row does not say.
const FPS: f64 = 2.0;
const MIN_FRAMES: f64 = 4.0;
const MAX_FRAMES: f64 = 768.0;

/// How the frames of a video file are chosen, by the names of `qwen_vl_utils`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VideoSampling {
    /// Frames per second; 2 where neither it nor `nframes` is given.
    pub fps: Option<f64>,
    /// Number of frames, instead of `fps`.
    pub nframes: Option<f64>,
    /// With `fps`: at least so many frames (4).
    pub min_frames: Option<f64>,
    /// With `fps`: at most so many frames (768).
    pub max_frames: Option<f64>,
    /// Seconds from the beginning at which the shown part begins.
    pub video_start: Option<f64>,
    /// Seconds from the beginning at which the shown part ends.
    pub video_end: Option<f64>,
}

/// The frames of a video that a row shows.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledFrames {
    /// Their numbers; ascending, and repeated where more are wanted than there are.
    pub indices: Vec<usize>,
    /// Frames per second of what was chosen.
    pub fps: f64,
}

impl VideoSampling {
    /// Chooses among `total` frames that run at `video_fps` on average.
    ///
    /// # Errors
    /// Where `qwen_vl_utils` raises one: `fps` beside `nframes`, more frames than there are, a part without two frames. A
    /// video of one frame is shown as that frame.
    pub fn choose(&self, total: usize, video_fps: f64) -> Result<SampledFrames, Error> {
        if total == 1 {
            return Ok(SampledFrames {
                indices: vec![0],
                fps: if video_fps > 0.0 { video_fps } else { FPS },
            });
        }
        if !(video_fps > 0.0 && video_fps.is_finite()) {
            return Err(Error::media("video lasts no time").found(format!("{total} frames")));
        }
        let (start, end) = self.range(total, video_fps)?;
        let count = end - start + 1;
        let frames = self.smart_nframes(count, video_fps)?;
        Ok(SampledFrames {
            indices: evenly(start, end, frames),
            fps: frames as f64 / count as f64 * video_fps,
        })
    }

    /// First and last frame of the shown part.
    fn range(&self, total: usize, video_fps: f64) -> Result<(usize, usize), Error> {
        if self.video_start.is_none() && self.video_end.is_none() {
            return Ok((0, total - 1));
        }
        let longest = total as f64 / video_fps;
        let frame = |seconds: f64| seconds.min(longest).max(0.0) * video_fps;
        let start = self.video_start.map_or(0.0, |s| frame(s).ceil()) as usize;
        let end = self.video_end.map(|s| frame(s).floor() as usize);
        let end = end.map_or(total - 1, |end| end.min(total - 1));
        if start >= end {
            return Err(
                Error::media("the shown part of the video has no two frames")
                    .found(format!("frames {start} to {end} of {total}"))
                    .expected(format!("video_start < video_end, within {longest:.3} s")),
            );
        }
        Ok((start, end))
    }

    fn smart_nframes(&self, total: usize, video_fps: f64) -> Result<usize, Error> {
        let all = total as f64;
        let frames = match (self.nframes, self.fps) {
            (Some(_), Some(_)) => {
                return Err(Error::media("video has both fps and nframes").expected("one of them"));
            }
            (Some(frames), None) => (frames / FRAME_FACTOR).round_ties_even() * FRAME_FACTOR,
            (None, fps) => {
                let even = |frames: f64| (frames / FRAME_FACTOR).floor() * FRAME_FACTOR;
                let least = self.min_frames.unwrap_or(MIN_FRAMES);
                let least = (least / FRAME_FACTOR).ceil() * FRAME_FACTOR;
                let most = even(self.max_frames.unwrap_or(MAX_FRAMES.min(all)));
                let frames = all / video_fps * fps.unwrap_or(FPS);
                even(frames.max(least).min(most).min(all))
            }
        };
        if !(FRAME_FACTOR..=all).contains(&frames) {
            return Err(Error::media("number of frames does not fit the video")
                .found(frames)
                .expected(format!("{FRAME_FACTOR} to {total}"))
                .help("change fps, nframes, min_frames or max_frames"));
        }
        Ok(frames as usize)
    }
}

/// `torch.linspace(start, end, count).round()`: single precision, from both ends to the middle, halves to even numbers.
fn evenly(start: usize, end: usize, count: usize) -> Vec<usize> {
    let (first, last) = (start as f32, end as f32);
    let step = (last - first) / (count - 1) as f32;
    let place = |at: usize| match at < count / 2 {
        true => first + step * at as f32,
        false => last - step * (count - 1 - at) as f32,
    };
    (0..count)
        .map(|at| (place(at).round_ties_even() as usize).min(end))
        .collect()
}
