//! Accuracy of score differences against human preferences that may be ties ("Ties Matter", arXiv 2305.14324).
//!
//! With Δ = score of A − score of B, a model says "tie" where |Δ| ≤ ε. Of all pairs, C are concordant (both prefer the
//! same side), D discordant, T_h ties of the human alone, T_m of the model alone, T_hm of both.
//!
//! * without ties: C / (C + D + T_m) at ε below every |Δ|: human ties are left out, and Δ = 0 is wrong;
//! * with ties: (C + T_hm) / all, at the ε among all |Δ| where it is largest.
//!
//! Source: `calc_accuracy.py` of KwaiVGI/VideoAlign. Its sweep moves one pair at a time and looks after each, so among
//! pairs of *equal* |Δ| it counts some as ties and others not, which no threshold does: it can come out too high, and
//! depends on the order of the rows. [`best_threshold`] moves equal ones together; without equal |Δ| both are the same
//! number. A pair without a score has Δ = NaN and is wrong at every threshold. No ε below
//! every |Δ| is tried, by them or by us: where no pair is to be a tie, the smallest |Δ| still makes one.

use percept_frames::Preference;
use serde::Serialize;

/// How pairs fall at one threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Both prefer the same side.
    pub concordant: usize,
    /// They prefer different sides; also Δ = 0 where the threshold is negative.
    pub discordant: usize,
    /// A tie for the human alone.
    pub human_ties: usize,
    /// A tie for the model alone.
    pub model_ties: usize,
    /// A tie for both.
    pub both_ties: usize,
}

/// A threshold and its accuracy with ties.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TieThreshold {
    /// |Δ| up to this is a tie.
    pub threshold: f64,
    /// Share of pairs on which human and model agree, ties among them.
    pub accuracy: f64,
}

impl Counts {
    /// All pairs.
    pub fn all(&self) -> usize {
        self.concordant + self.discordant + self.human_ties + self.model_ties + self.both_ties
    }

    /// (C + T_hm) / all; NaN without pairs.
    pub fn with_ties(&self) -> f64 {
        (self.concordant + self.both_ties) as f64 / self.all() as f64
    }

    /// C / (C + D + T_m); NaN where the human has only ties.
    pub fn without_ties(&self) -> f64 {
        let decided = self.concordant + self.discordant + self.model_ties;
        self.concordant as f64 / decided as f64
    }

    fn place(&mut self, human: Preference, delta: f64, tie: bool) -> &mut usize {
        match (human, tie) {
            (Preference::Tie, true) => &mut self.both_ties,
            (Preference::Tie, false) => &mut self.human_ties,
            (_, true) => &mut self.model_ties,
            (Preference::A, false) if delta > 0.0 => &mut self.concordant,
            (Preference::B, false) if delta < 0.0 => &mut self.concordant,
            _ => &mut self.discordant,
        }
    }
}

/// How pairs (the human's preference, Δ) fall where |Δ| ≤ `threshold` is a tie; a negative threshold has none.
pub fn counts(pairs: &[(Preference, f64)], threshold: f64) -> Counts {
    let mut counts = Counts::default();
    for &(human, delta) in pairs {
        *counts.place(human, delta, delta.abs() <= threshold) += 1;
    }
    counts
}

/// The threshold among all |Δ| with the largest accuracy with ties, the smallest of several. `None` without pairs.
///
/// ```
/// use percept_benchmarks::video_reward::best_threshold;
/// use percept_frames::Preference::{A, B, Tie};
///
/// let best = best_threshold(&[(A, 2.0), (Tie, -0.1), (B, -0.5), (Tie, 0.2)]).unwrap();
/// assert_eq!((best.threshold, best.accuracy), (0.2, 1.0));
/// ```
pub fn best_threshold(pairs: &[(Preference, f64)]) -> Option<TieThreshold> {
    let sorted = ascending(pairs);
    let mut counts = counts(pairs, -1.0);
    let mut best: Option<TieThreshold> = None;
    for equal in sorted.chunk_by(|x, y| x.1.abs() == y.1.abs()) {
        for &(human, delta) in equal {
            *counts.place(human, delta, false) -= 1;
            *counts.place(human, delta, true) += 1;
        }
        let accuracy = counts.with_ties();
        if best.is_none_or(|best| accuracy > best.accuracy) {
            let threshold = equal[0].1.abs();
            best = Some(TieThreshold {
                threshold,
                accuracy,
            });
        }
    }
    best
}

/// Pairs that have a score, by |Δ|; equal ones stay in their order, as by Python's `sorted`.
fn ascending(pairs: &[(Preference, f64)]) -> Vec<(Preference, f64)> {
    let scored = pairs.iter().filter(|(_, delta)| !delta.is_nan());
    let mut sorted: Vec<_> = scored.copied().collect();
    sorted.sort_by(|x, y| x.1.abs().total_cmp(&y.1.abs()));
    sorted
}

/// The accuracy with ties as VideoAlign's program gives it, the order of rows included; see the module. NaN without pairs.
pub fn videoalign_with_ties(pairs: &[(Preference, f64)]) -> f64 {
    let mut counts = counts(pairs, -1.0);
    let mut best = f64::NAN;
    for (human, delta) in ascending(pairs) {
        *counts.place(human, delta, false) -= 1;
        *counts.place(human, delta, true) += 1;
        best = best.max(counts.with_ties());
    }
    best
}

#[cfg(test)]
mod tests {
    use percept_base::random::SplitMix;

    use super::*;

    fn random(count: usize, levels: usize, seed: u64) -> Vec<(Preference, f64)> {
        let mut draws = SplitMix::new(seed);
        let one = |_| {
            let human = [Preference::A, Preference::B, Preference::Tie][draws.below(3)];
            (
                human,
                draws.below(2 * levels + 1) as f64 / 4.0 - levels as f64 / 4.0,
            )
        };
        (0..count).map(one).collect()
    }

    /// Trying every threshold is slow and cannot be wrong.
    fn brute(pairs: &[(Preference, f64)]) -> f64 {
        let at = |(_, delta): &(Preference, f64)| counts(pairs, delta.abs()).with_ties();
        pairs.iter().map(at).fold(f64::NAN, f64::max)
    }

    #[test]
    fn the_sweep_is_every_threshold_tried() {
        for seed in 0..300 {
            let pairs = random(1 + seed as usize % 40, 1 + seed as usize % 9, seed);
            let best = best_threshold(&pairs).unwrap();
            assert_eq!(best.accuracy, brute(&pairs), "seed {seed}");
            assert_eq!(counts(&pairs, best.threshold).with_ties(), best.accuracy);
        }
        assert_eq!(best_threshold(&[]), None);
    }

    /// Three ties of the human and three wins, all at |Δ| = 1: a threshold makes all six ties or none.
    #[test]
    fn equal_differences_stay_together() {
        let (tie, win) = ((Preference::Tie, 1.0), (Preference::A, 1.0));
        let pairs = [tie, tie, tie, win, win, win];
        assert_eq!(brute(&pairs), 0.5);
        assert_eq!(best_threshold(&pairs).unwrap().accuracy, 0.5);
        assert_eq!(videoalign_with_ties(&pairs), 1.0);
        let other_order = [win, win, win, tie, tie, tie];
        assert_eq!(videoalign_with_ties(&other_order), 0.5);
    }

    #[test]
    fn a_pair_without_a_score_is_wrong_at_every_threshold() {
        let pairs = [
            (Preference::Tie, f64::NAN),
            (Preference::A, f64::NAN),
            (Preference::A, 1.0),
        ];
        for threshold in [-1.0, 0.5, f64::INFINITY] {
            let counts = counts(&pairs, threshold);
            assert_eq!((counts.human_ties, counts.discordant), (1, 1));
        }
        assert_eq!(best_threshold(&pairs).unwrap().accuracy, 0.0);
        assert_eq!(counts(&pairs, -1.0).without_ties(), 0.5);
        assert_eq!(best_threshold(&pairs[..2]), None);
    }

    #[test]
    fn a_model_that_sees_no_difference_is_right_on_ties_alone() {
        let pairs = [
            (Preference::A, 0.0),
            (Preference::B, 0.0),
            (Preference::Tie, 0.0),
        ];
        assert_eq!(counts(&pairs, -1.0).without_ties(), 0.0);
        assert_eq!(best_threshold(&pairs).unwrap().accuracy, 1.0 / 3.0);
    }
}
