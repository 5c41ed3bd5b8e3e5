//! Non-maximum suppression: of boxes of one class that overlap, the surest stays.

use crate::tools::{Detection, overlap};

/// Overlap from which two boxes are one thing (Ultralytics' default is 0.7, nanodet's 0.6).
const SAME: f64 = 0.6;

/// Removes boxes that overlap a surer one of their tag; the surest first.
pub(super) fn suppressed(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Detection> = Vec::new();
    for one in found {
        let doubled =
            |other: &Detection| other.tag == one.tag && overlap(other.bbox, one.bbox) > SAME;
        if !kept.iter().any(doubled) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_of_overlapping_boxes_of_one_tag_stays() {
        let found = |tag: &str, x: f64, score: f64| Detection {
            tag: tag.into(),
            bbox: [x, 0.0, 10.0, 10.0],
            score,
            text_score: None,
        };
        let all = vec![
            found("cat", 1.0, 0.5),
            found("cat", 0.0, 0.9),
            found("dog", 0.5, 0.4),
            found("cat", 6.0, 0.3),
        ];
        let kept: Vec<(f64, f64)> = suppressed(all)
            .iter()
            .map(|f| (f.bbox[0], f.score))
            .collect();
        assert_eq!(kept, [(0.0, 0.9), (0.5, 0.4), (6.0, 0.3)]);
    }
}
