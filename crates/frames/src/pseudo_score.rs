//! Scores for frames of which only the labels are known.

/// A score of 1 to 5 for a frame with this many labels: uniform in a band that depends on their number, two decimals.
///
/// | labels | 0 | 1 | 2 | 3 and more |
/// |---|---|---|---|---|
/// | band | 4 to 5 | 3 to 4 | 2 to 3 | 1 to 2 |
///
/// `draw` is uniform in `[0, 1)`. REACT (arXiv 2601.04033) has no absolute scores in its data and draws these.
///
/// ```
/// assert_eq!(percept_frames::pseudo_score(1, 0.42), 3.42);
/// ```
pub fn pseudo_score(labels: usize, draw: f64) -> f64 {
    let low = 4.0 - labels.min(3) as f64;
    ((low + draw.clamp(0.0, 1.0)) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_lies_in_the_band_of_its_labels() {
        for labels in 0..9 {
            let low = [4.0, 3.0, 2.0, 1.0][labels.min(3)];
            for i in 0..1000 {
                let score = pseudo_score(labels, f64::from(i) / 1000.0);
                assert!((low..=low + 1.0).contains(&score));
            }
        }
    }
}
