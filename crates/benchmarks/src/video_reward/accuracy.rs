//! Accuracy of a reward model on pairs of clips, with intervals.

use std::collections::BTreeMap;

use percept_eval::Estimate;
use percept_eval::stats::{SHARE, intervals, ratio};
use percept_frames::Preference;
use serde::Serialize;

use super::ties::{Counts, best_threshold, counts, videoalign_with_ties};

/// A pair of clips of one prompt.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// What was drawn independently: the prompt. Pairs of one prompt share clips.
    pub group: &'a str,
    /// What people prefer.
    pub human: Preference,
    /// Score of A − score of B; NaN where one has no score: the pair is then wrong.
    pub delta: f64,
}

/// How well scores agree with people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Pairs.
    pub pairs: usize,
    /// Pairs without a score: they count as wrong.
    pub unscored: usize,
    /// Pairs that are ties for people.
    pub human_ties: usize,
    /// Share of the other pairs on which the score prefers the same side; equal scores are wrong.
    pub without_ties: Estimate,
    /// Share of all pairs on which people and score agree, ties among them, at `threshold`. The interval takes the
    /// threshold as given, although it was chosen on these pairs.
    pub with_ties: Estimate,
    /// Up to this difference scores are a tie: where `with_ties` is largest.
    pub threshold: f64,
    /// How pairs fall at `threshold`.
    pub counts: Counts,
    /// `with_ties` as VideoAlign's program gives it, which miscounts equal differences (see
    /// [`videoalign_with_ties`]).
    pub with_ties_videoalign: f64,
    /// `Acc.` of UnifiedReward's programs: share of all pairs on which people and score agree, where equal scores alone are
    /// ties. Their `Acc. w/o tie` is `without_ties`.
    pub accuracy_unified_reward: f64,
}

/// Accuracy over pairs; intervals are bootstrapped over groups. Without pairs everything is NaN.
pub fn accuracy(pairs: &[Pair<'_>]) -> Accuracy {
    let plain: Vec<(Preference, f64)> = pairs.iter().map(|pair| (pair.human, pair.delta)).collect();
    let best = best_threshold(&plain);
    let threshold = best.map_or(f64::NAN, |best| best.threshold);
    // Of each group: decided pairs, right ones among them, all pairs, right ones with ties.
    let mut groups: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
    for pair in pairs {
        let one = [(pair.human, pair.delta)];
        let (strict, tied) = (counts(&one, -1.0), counts(&one, threshold));
        let right = tied.concordant + tied.both_ties;
        let decided = strict.concordant + strict.discordant;
        let sums = groups.entry(pair.group).or_default();
        let add = [decided, strict.concordant, 1, right];
        for (sum, add) in sums.iter_mut().zip(add) {
            *sum += add as f64;
        }
    }
    let rows: Vec<[f64; 4]> = groups.into_values().collect();
    let shares = |s: &[f64; 4]| [ratio(s[1], s[0]), ratio(s[3], s[2])];
    let [without_ties, with_ties] = intervals(&rows, [SHARE, SHARE], shares);
    let human_ties = pairs.iter().filter(|p| p.human == Preference::Tie).count();
    Accuracy {
        pairs: pairs.len(),
        unscored: pairs.iter().filter(|p| p.delta.is_nan()).count(),
        human_ties,
        without_ties,
        with_ties,
        threshold,
        counts: counts(&plain, threshold),
        with_ties_videoalign: videoalign_with_ties(&plain),
        accuracy_unified_reward: counts(&plain, 0.0).with_ties(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(group: &str, human: Preference, delta: f64) -> Pair<'_> {
        Pair {
            group,
            human,
            delta,
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_counts() {
        let pairs = [
            pair("p", Preference::A, 1.0),
            pair("p", Preference::B, 0.5),
            pair("q", Preference::Tie, 0.1),
            pair("q", Preference::B, -2.0),
        ];
        let found = accuracy(&pairs);
        assert_eq!((found.pairs, found.human_ties), (4, 1));
        assert!((found.without_ties.mean - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((found.with_ties.mean, found.threshold), (0.75, 0.1));
        assert_eq!(found.accuracy_unified_reward, 0.5);
        assert!(found.without_ties.low < found.without_ties.high);
    }

    /// A thousand pairs of two prompts know as much as two prompts.
    #[test]
    fn pairs_of_one_prompt_are_not_independent() {
        let of = |groups: usize| -> Vec<String> { (0..groups).map(|g| g.to_string()).collect() };
        let width = |names: &[String]| {
            let delta = |at: usize| if at.is_multiple_of(2) { 1.0 } else { -1.0 };
            let pairs: Vec<Pair> = (0..1000)
                .map(|at| pair(&names[at % names.len()], Preference::A, delta(at)))
                .collect();
            let share = accuracy(&pairs).without_ties;
            share.high - share.low
        };
        assert!(width(&of(2)) > 5.0 * width(&of(1000)));
    }

    #[test]
    fn no_pairs_are_no_accuracy() {
        let none = accuracy(&[]);
        assert!(none.with_ties.mean.is_nan() && none.without_ties.mean.is_nan());
    }
}
