//! The numbers of scorers.

use percept_benchmarks::video_reward::files::ClipPair;
use percept_benchmarks::video_reward::{Accuracy, Calibration, Pair, accuracy, calibration};

use super::scorers::Scorer;

/// A scorer's numbers in one dimension.
pub struct Numbers {
    /// Who scores.
    pub scorer: String,
    /// In what.
    pub dimension: &'static str,
    /// Accuracy.
    pub accuracy: Accuracy,
    /// What its differences promise.
    pub calibration: Calibration,
}

/// The numbers of every scorer in every dimension that the pairs have.
pub fn measure(pairs: &[ClipPair], scorers: &[Scorer], theta: f64) -> Vec<Numbers> {
    let mut dimensions: Vec<&'static str> = Vec::new();
    for (dimension, _) in pairs.iter().flat_map(|pair| &pair.preferences) {
        if !dimensions.contains(dimension) {
            dimensions.push(*dimension);
        }
    }
    let mut numbers = Vec::new();
    for scorer in scorers {
        for &dimension in &dimensions {
            let judged: Vec<Pair<'_>> = pairs
                .iter()
                .filter_map(|pair| {
                    let said = pair.preferences.iter().find(|(name, _)| *name == dimension);
                    Some(Pair {
                        group: &pair.prompt,
                        human: said?.1,
                        delta: delta(scorer, pair, dimension),
                    })
                })
                .collect();
            numbers.push(Numbers {
                scorer: scorer.name.clone(),
                dimension,
                accuracy: accuracy(&judged),
                calibration: calibration(&judged, theta),
            });
        }
    }
    numbers
}

/// Score of A − score of B; NaN where one has none.
pub fn delta(scorer: &Scorer, pair: &ClipPair, dimension: &str) -> f64 {
    let score = |clip| scorer.scores.of(clip, dimension).unwrap_or(f64::NAN);
    score(&pair.a) - score(&pair.b)
}
