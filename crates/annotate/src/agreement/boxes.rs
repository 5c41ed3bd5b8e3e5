//! How far the boxes of two annotators lie on each other.
//!
//! Boxes of a frame are matched one to one, largest intersection over union first, whatever their labels (labels have kappas
//! of their own). A frame's IoU is the sum over its matches divided by the larger number of boxes, so a box without a
//! partner counts 0; frames without any box do not count.

use serde::Serialize;

/// Boxes of two annotators, over all frames that both rated and at least one drew on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct BoxAgreement {
    /// Frames with a box.
    pub frames: usize,
    /// Mean IoU of those.
    pub mean_iou: Option<f64>,
    /// Share of boxes with a partner of IoU 0.5 or more: 2 · matches / boxes.
    pub f1_at_half: Option<f64>,
}

/// Sums over frames.
#[derive(Debug, Default)]
pub(super) struct BoxSums {
    frames: usize,
    iou: f64,
    boxes: usize,
    matched: usize,
}

impl BoxSums {
    /// Adds the boxes that two annotators drew on one frame.
    pub fn add(&mut self, a: &[[f64; 4]], b: &[[f64; 4]]) {
        if a.is_empty() && b.is_empty() {
            return;
        }
        let matches = matches(a, b);
        self.frames += 1;
        self.iou += matches.iter().sum::<f64>() / a.len().max(b.len()) as f64;
        self.boxes += a.len() + b.len();
        self.matched += matches.iter().filter(|iou| **iou >= 0.5).count();
    }

    pub fn finish(&self) -> BoxAgreement {
        let any = self.frames > 0;
        BoxAgreement {
            frames: self.frames,
            mean_iou: any.then(|| self.iou / self.frames as f64),
            f1_at_half: any.then(|| 2.0 * self.matched as f64 / self.boxes as f64),
        }
    }
}

/// IoU of the matches, largest first.
fn matches(a: &[[f64; 4]], b: &[[f64; 4]]) -> Vec<f64> {
    let mut all: Vec<(f64, usize, usize)> = Vec::new();
    for (i, one) in a.iter().enumerate() {
        all.extend(
            b.iter()
                .enumerate()
                .map(|(j, other)| (iou(one, other), i, j)),
        );
    }
    all.sort_by(|x, y| y.0.total_cmp(&x.0).then((x.1, x.2).cmp(&(y.1, y.2))));
    let (mut left, mut right) = (vec![true; a.len()], vec![true; b.len()]);
    let mut found = Vec::new();
    for (iou, i, j) in all {
        if iou > 0.0 && left[i] && right[j] {
            (left[i], right[j]) = (false, false);
            found.push(iou);
        }
    }
    found
}

/// Intersection over union of two boxes (left, top, right, bottom).
pub fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |x: &[f64; 4]| (x[2] - x[0]).max(0.0) * (x[3] - x[1]).max(0.0);
    let both = side(0) * side(1);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_boxes_agree_fully_in_any_order_and_a_box_alone_counts_nothing() {
        let (one, two) = ([0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]);
        let mut sums = BoxSums::default();
        sums.add(&[one, two], &[two, one]);
        sums.add(&[], &[]);
        assert_eq!(sums.finish().mean_iou, Some(1.0));
        assert_eq!(sums.finish().frames, 1);
        sums.add(&[one], &[]);
        assert_eq!(sums.finish().mean_iou, Some(0.5));
        assert_eq!(sums.finish().f1_at_half, Some(0.8));
        // Half of each: 50 / 150.
        let shifted = [5.0, 0.0, 15.0, 10.0];
        assert!((iou(&one, &shifted) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(iou(&one, &two), 0.0);
        assert_eq!(BoxSums::default().finish(), BoxAgreement::default());
    }
}
