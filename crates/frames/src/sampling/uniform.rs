//! Uniform sampling: the baseline, and the first round of dynamic sampling.

use super::chosen::Chosen;
use super::error::SamplingError;
use super::timeline::Timeline;

/// Frames that a rate pays for: `⌊fps · duration⌋`, at least one, at most all.
pub fn budget(clip: &Timeline, fps: f64) -> Result<usize, SamplingError> {
    if !(fps.is_finite() && fps > 0.0) {
        return Err(SamplingError::new("fps", fps, "a rate above 0"));
    }
    let paid = (fps * clip.duration_s() + 1e-9).floor().max(1.0) as usize;
    Ok(paid.min(clip.times().len()))
}

/// The whole [`budget`] spread evenly: the frame in the middle of each of its equal parts of the clip. Times ascend.
pub fn uniform(clip: &Timeline, fps: f64) -> Result<Vec<f64>, SamplingError> {
    Ok(evenly(clip, budget(clip, fps)?))
}

/// `count` frames, one in the middle of each of `count` equal parts; where two parts show the same frame, another one far
/// from all.
pub(super) fn evenly(clip: &Timeline, count: usize) -> Vec<f64> {
    let part = clip.duration_s() / count as f64;
    let mut chosen = Chosen::new(clip, &[], count);
    for i in 0..count {
        chosen.take_at((i as f64 + 0.5) * part);
    }
    chosen.fill()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stand_in_the_middle_of_equal_parts() {
        let clip = Timeline::constant(4.0, 100.0).unwrap();
        assert_eq!(uniform(&clip, 1.0).unwrap(), [0.5, 1.5, 2.5, 3.5]);
        // A still picture, and a clip with fewer frames than the rate pays for.
        assert_eq!(
            uniform(&Timeline::constant(0.0, 1.0).unwrap(), 2.0).unwrap(),
            [0.0]
        );
        let slow = Timeline::new(vec![0.0, 0.1, 0.2, 9.0], 10.0).unwrap();
        assert_eq!(uniform(&slow, 2.0).unwrap(), slow.times());
        assert!(uniform(&clip, f64::NAN).is_err());
    }
}
