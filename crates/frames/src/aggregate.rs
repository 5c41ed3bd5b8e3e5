//! From the judgements of frames to one of their clip.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::distortion::Distortion;
use crate::judgement::Judgement;

/// What the frames of a clip say of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ClipJudgement {
    /// Mean of the frames' scores; none where no answer could be read.
    pub score: Option<f64>,
    /// Every label that a frame has, and in how many frames.
    pub labels: BTreeMap<Distortion, usize>,
    /// Frames whose answer was read.
    pub judged: usize,
    /// Frames whose answer could not be read: they count neither as good nor as bad.
    pub unreadable: usize,
}

/// The mean score and the union of labels; `None` stands for an answer that could not be read.
///
/// The mean over the frames of both rounds is REACT's; the union with counts is our reading.
pub fn aggregate<'a>(frames: impl IntoIterator<Item = Option<&'a Judgement>>) -> ClipJudgement {
    let mut clip = ClipJudgement::default();
    let mut total = 0.0;
    for frame in frames {
        let Some(judgement) = frame else {
            clip.unreadable += 1;
            continue;
        };
        clip.judged += 1;
        total += judgement.score;
        let mut seen = judgement.labels.clone();
        seen.sort_unstable();
        seen.dedup();
        for label in seen {
            *clip.labels.entry(label).or_default() += 1;
        }
    }
    clip.score = (clip.judged > 0).then(|| total / clip.judged as f64);
    clip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_for_each_label_and_unread_frames_change_no_score() {
        let blurred = Judgement {
            labels: vec![Distortion::MotionBlur, Distortion::MotionBlur],
            score: 3.0,
        };
        let clean = Judgement {
            labels: vec![],
            score: 5.0,
        };
        let clip = aggregate([Some(&blurred), None, Some(&clean)]);
        assert_eq!(clip.score, Some(4.0));
        assert_eq!((clip.judged, clip.unreadable), (2, 1));
        assert_eq!(clip.labels[&Distortion::MotionBlur], 1);
        let json = serde_json::to_string(&clip).unwrap();
        assert!(json.contains(r#""labels":{"motion blur":1}"#), "{json}");
        assert_eq!(aggregate([None]).score, None);
    }
}
