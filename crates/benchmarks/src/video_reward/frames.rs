//! Frames: is anything broken, and what?
//!
//! Each of *distorted* and *normal* is once the class that is looked for: precision, recall, F1. A frame is said to be
//! distorted where the list of labels is not empty (REACT-Bench's program is not public: this is our reading). A frame
//! whose answer cannot be read is in neither class: it lowers the recall of what it is.

use std::collections::BTreeMap;

use percept_eval::Estimate;
use percept_eval::stats::{SHARE, intervals, ratio};
use percept_frames::Distortion;
use serde::Serialize;

/// A frame that was judged.
#[derive(Debug, Clone, Copy)]
pub struct JudgedFrame<'a> {
    /// What was drawn independently: the clip, or the frame itself.
    pub group: &'a str,
    /// What people say is broken.
    pub gold: &'a [Distortion],
    /// What the model says; none where its answer cannot be read.
    pub predicted: Option<&'a [Distortion]>,
    /// Its score, where there is one.
    pub score: Option<f64>,
}

/// How well a class is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Class {
    /// Frames that are of the class.
    pub support: usize,
    /// Of those said to be, the share that are; NaN where none is said to be.
    pub precision: Estimate,
    /// Of those that are, the share said to be.
    pub recall: Estimate,
    /// 2·TP / (2·TP + FP + FN).
    pub f1: Estimate,
}

/// How well a label is found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelScores {
    /// The label.
    pub label: Distortion,
    /// How well it is found.
    #[serde(flatten)]
    pub scores: Class,
}

/// How well frames are judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrameScores {
    /// Frames.
    pub frames: usize,
    /// Frames whose answer could not be read.
    pub unreadable: usize,
    /// Something is broken.
    pub distorted: Class,
    /// Nothing is.
    pub normal: Class,
    /// Each label, in the order of [`Distortion::ALL`].
    pub labels: Vec<LabelScores>,
    /// Mean F1 of the labels that occur.
    pub macro_f1: f64,
    /// F1 of all decisions about labels together.
    pub micro_f1: f64,
}

/// What a frame adds: true positives, false positives, false negatives.
type Hits = [f64; 3];

/// Scores of judged frames; intervals are bootstrapped over groups.
pub fn frame_scores(frames: &[JudgedFrame<'_>]) -> FrameScores {
    let distorted = |f: &JudgedFrame<'_>| {
        let said = f.predicted.map(|labels| !labels.is_empty());
        hit(!f.gold.is_empty(), said == Some(true))
    };
    let normal = |f: &JudgedFrame<'_>| {
        let said = f.predicted.map(<[Distortion]>::is_empty);
        hit(f.gold.is_empty(), said == Some(true))
    };
    let of_label = |label: Distortion| {
        class(frames, |f| {
            let said = f.predicted.is_some_and(|labels| labels.contains(&label));
            hit(f.gold.contains(&label), said)
        })
    };
    let mut all = [0.0; 3];
    let mut labels = Vec::new();
    for label in Distortion::ALL {
        let (scores, hits) = of_label(label);
        add(&mut all, hits);
        labels.push(LabelScores { label, scores });
    }
    let present: Vec<f64> = labels
        .iter()
        .filter(|l| l.scores.support > 0)
        .map(|l| l.scores.f1.mean)
        .collect();
    FrameScores {
        frames: frames.len(),
        unreadable: frames.iter().filter(|f| f.predicted.is_none()).count(),
        distorted: class(frames, distorted).0,
        normal: class(frames, normal).0,
        labels,
        macro_f1: ratio(present.iter().sum(), present.len() as f64),
        micro_f1: f1(&all),
    }
}

fn hit(is: bool, said: bool) -> Hits {
    let one = |x: bool| f64::from(u8::from(x));
    [one(is && said), one(!is && said), one(is && !said)]
}

fn add(sums: &mut Hits, hits: Hits) {
    for (sum, hit) in sums.iter_mut().zip(hits) {
        *sum += hit;
    }
}

fn f1([right, false_positive, missed]: &Hits) -> f64 {
    ratio(2.0 * right, 2.0 * right + false_positive + missed)
}

fn class<'a>(frames: &[JudgedFrame<'a>], hits: impl Fn(&JudgedFrame<'a>) -> Hits) -> (Class, Hits) {
    let mut groups: BTreeMap<&str, Hits> = BTreeMap::new();
    let mut all = [0.0; 3];
    for frame in frames {
        let hits = hits(frame);
        add(groups.entry(frame.group).or_default(), hits);
        add(&mut all, hits);
    }
    let rows: Vec<Hits> = groups.into_values().collect();
    let [precision, recall, f1] = intervals(&rows, [SHARE; 3], |sums| {
        let [right, false_positive, missed] = *sums;
        [
            ratio(right, right + false_positive),
            ratio(right, right + missed),
            f1(sums),
        ]
    });
    let class = Class {
        support: (all[0] + all[2]) as usize,
        precision,
        recall,
        f1,
    };
    (class, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Distortion::{ExtraLimbs, LimbDeformation, MotionBlur};

    fn frame<'a>(gold: &'a [Distortion], predicted: Option<&'a [Distortion]>) -> JudgedFrame<'a> {
        JudgedFrame {
            group: "g",
            gold,
            predicted,
            score: None,
        }
    }

    #[test]
    fn the_two_classes_are_counted_each_for_itself() {
        let frames = [
            frame(&[ExtraLimbs], Some(&[ExtraLimbs])),
            frame(&[ExtraLimbs], Some(&[MotionBlur])),
            frame(&[LimbDeformation], Some(&[])),
            frame(&[], Some(&[])),
            frame(&[], Some(&[MotionBlur])),
        ];
        let found = frame_scores(&frames);
        let means = |c: &Class| [c.precision.mean, c.recall.mean, c.f1.mean];
        assert_eq!(means(&found.distorted), [2.0 / 3.0; 3]);
        assert_eq!(means(&found.normal), [0.5; 3]);
        let extra = &found.labels[1];
        assert_eq!((extra.label, extra.scores.support), (ExtraLimbs, 2));
        assert_eq!(means(&extra.scores), [1.0, 0.5, 2.0 / 3.0]);
        // Labels: 1 right, 2 spurious, 2 missed.
        assert_eq!(found.micro_f1, 2.0 / 6.0);
        assert_eq!(found.macro_f1, (2.0 / 3.0 + 0.0) / 2.0);
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_no_normal_frame() {
        let frames = [frame(&[], None), frame(&[MotionBlur], None)];
        let found = frame_scores(&frames);
        assert_eq!(found.unreadable, 2);
        assert_eq!(found.normal.recall.mean, 0.0);
        assert_eq!(found.distorted.recall.mean, 0.0);
    }

    #[test]
    fn saying_that_all_is_broken_finds_everything_and_no_normal_frame() {
        let frames = [
            frame(&[MotionBlur], Some(&[MotionBlur])),
            frame(&[], Some(&[MotionBlur])),
        ];
        let found = frame_scores(&frames);
        assert_eq!(found.distorted.recall.mean, 1.0);
        assert_eq!((found.normal.recall.mean, found.normal.f1.mean), (0.0, 0.0));
        assert!(found.normal.precision.mean.is_nan());
    }
}
