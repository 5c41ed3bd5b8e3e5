//! When the frames of a clip are shown.

use super::error::SamplingError;

/// The times of a clip's frames: what is sampled is a frame, so that two times at which the same frame is shown are one.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Ascending, all different.
    times: Vec<f64>,
    duration_s: f64,
}

impl Timeline {
    /// Frames that appear at these times, in seconds, each until the next; the last until `duration_s`. Of frames with the same
    /// time one is shown and counts.
    pub fn new(mut times: Vec<f64>, duration_s: f64) -> Result<Self, SamplingError> {
        if times.is_empty() {
            let expected = "at least one frame";
            return Err(SamplingError::new("the clip", "without frames", expected));
        }
        if !(duration_s.is_finite() && duration_s >= 0.0) {
            let expected = "a number of seconds";
            return Err(SamplingError::new("duration_s", duration_s, expected));
        }
        let wrong = times
            .iter()
            .enumerate()
            .find(|&(i, t)| !t.is_finite() || (i > 0 && times[i - 1] > *t));
        if let Some((index, time)) = wrong {
            let found = format!("{time} at frame {index}");
            let expected = "finite times in ascending order";
            return Err(SamplingError::new("the frame times", found, expected));
        }
        times.dedup();
        let last = times[times.len() - 1];
        Ok(Self {
            times,
            duration_s: duration_s.max(last),
        })
    }

    /// A clip of constant rate.
    pub fn constant(duration_s: f64, fps: f64) -> Result<Self, SamplingError> {
        if !(fps.is_finite() && fps > 0.0) {
            return Err(SamplingError::new("fps", fps, "a rate above 0"));
        }
        let frames = (duration_s * fps - 1e-9).ceil().max(1.0) as usize;
        Self::new((0..frames).map(|i| i as f64 / fps).collect(), duration_s)
    }

    /// The times at which frames appear, ascending.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Length of the clip in seconds.
    pub fn duration_s(&self) -> f64 {
        self.duration_s
    }

    /// The frame that is shown at this time: the last that has appeared, or the first. A billionth of a second is
    /// forgiven, since times are quotients.
    pub(super) fn shown(&self, time_s: f64) -> usize {
        let after = self.times.partition_point(|&t| t <= time_s + 1e-9);
        after.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_shown_until_the_next_appears() {
        let clip = Timeline::new(vec![0.5, 1.0, 1.0, 4.0], 2.0).unwrap();
        assert_eq!(clip.times(), [0.5, 1.0, 4.0]);
        assert_eq!(clip.duration_s(), 4.0);
        let shown = [0.0, 0.99, 1.0, 3.9, 9.0].map(|t| clip.shown(t));
        assert_eq!(shown, [0, 0, 1, 1, 2]);
    }

    #[test]
    fn what_is_no_timeline_is_named() {
        for (times, duration, named) in [
            (vec![], 1.0, "without frames"),
            (vec![0.0, 2.0, 1.0], 3.0, "1 at frame 2"),
            (vec![0.0, f64::NAN], 3.0, "NaN at frame 1"),
            (vec![0.0], f64::INFINITY, "duration_s"),
        ] {
            let error = Timeline::new(times, duration).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(Timeline::constant(1.0, 0.0).is_err());
    }
}
