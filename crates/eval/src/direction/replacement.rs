//! Accuracy against the share of replaced tokens.

use std::collections::BTreeMap;

use percept_base::random::SplitMix;

use super::response::Response;
use crate::stats::{DIFFERENCE, estimate_in};
use crate::{Estimate, estimate};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2_000;

/// Mean score of every question (its responses averaged, ungraded ones left out).
pub fn question_scores(responses: &[Response]) -> BTreeMap<String, f64> {
    let mut scores: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for response in responses {
        if let Some(score) = response.record.score {
            scores
                .entry(response.record.id.clone())
                .or_default()
                .push(score);
        }
    }
    let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
    scores.into_iter().map(|(id, s)| (id, mean(s))).collect()
}

/// What replacing tokens did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Share of tokens that were replaced.
    pub share: f64,
    /// Score of every question.
    pub scores: BTreeMap<String, f64>,
}

impl Outcome {
    /// Accuracy with its interval over questions.
    pub fn accuracy(&self) -> Estimate {
        estimate(&self.scores.values().copied().collect::<Vec<_>>())
    }
}

/// One rule from no token replaced to all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplacementCurve {
    points: Vec<Outcome>,
}

impl ReplacementCurve {
    /// A curve through `points`, between the drafting model alone and the other model alone.
    pub fn new(
        start: &BTreeMap<String, f64>,
        end: &BTreeMap<String, f64>,
        points: impl IntoIterator<Item = Outcome>,
    ) -> Self {
        let end_of = |share, scores: &BTreeMap<String, f64>| Outcome {
            share,
            scores: scores.clone(),
        };
        let mut all = vec![end_of(0.0, start)];
        all.extend(points);
        all.push(end_of(1.0, end));
        all.sort_by(|a, b| a.share.total_cmp(&b.share));
        Self { points: all }
    }

    /// The points by ascending share, the two ends included.
    pub fn points(&self) -> &[Outcome] {
        &self.points
    }

    /// Scores at a share of tokens, on the straight line between neighbouring points; one row
    /// (start, here, end) for each question that all of them answer.
    fn at(&self, share: f64) -> Vec<[f64; 3]> {
        let share = share.clamp(0.0, 1.0);
        let next = self.points.partition_point(|p| p.share < share);
        let next = next.clamp(1, self.points.len().max(2) - 1);
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return Vec::new();
        };
        let (a, b) = (&self.points[next - 1], &self.points[next]);
        let weight = match b.share - a.share {
            width if width > 0.0 => (share - a.share) / width,
            _ => 1.0,
        };
        let row = |id: &String| {
            let (from, to) = (a.scores.get(id)?, b.scores.get(id)?);
            let here = from + weight * (to - from);
            Some([*first.scores.get(id)?, here, *last.scores.get(id)?])
        };
        first.scores.keys().filter_map(row).collect()
    }

    /// Part of the way from the drafting model's accuracy to the other's that replacing `share`
    /// of the tokens goes, with a 95 % bootstrap interval over questions. `n` is the number of
    /// questions; NaN where the two models are equally accurate.
    pub fn recovery(&self, share: f64) -> Estimate {
        let rows = self.at(share);
        let ratio = |picked: &mut dyn Iterator<Item = usize>| {
            let mut sums = [0.0; 3];
            for i in picked {
                for (sum, value) in sums.iter_mut().zip(rows[i]) {
                    *sum += value;
                }
            }
            (sums[1] - sums[0]) / (sums[2] - sums[0])
        };
        let n = rows.len();
        let mean = ratio(&mut (0..n));
        let mut draws = SplitMix::new(0x5eed);
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .map(|_| ratio(&mut (0..n).map(|_| draws.below(n))))
            .collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| drawn[((RESAMPLES - 1) as f64 * q).round() as usize];
        let finite = mean.is_finite();
        Estimate {
            mean: if finite { mean } else { f64::NAN },
            low: if finite { at(0.025) } else { f64::NAN },
            high: if finite { at(0.975) } else { f64::NAN },
            n,
        }
    }

    /// How much further this rule goes towards the other model's accuracy than `other` does at
    /// the same share, over questions; above 0 where this one is better.
    pub fn lead(&self, other: &ReplacementCurve, share: f64) -> Estimate {
        let pairs: Vec<([f64; 3], [f64; 3])> =
            self.at(share).into_iter().zip(other.at(share)).collect();
        let gap: f64 = pairs.iter().map(|(a, _)| a[2] - a[0]).sum();
        let toward = if gap < 0.0 { -1.0 } else { 1.0 };
        let leads = pairs.iter().map(|(a, b)| toward * (a[1] - b[1]));
        estimate_in(&leads.collect::<Vec<_>>(), DIFFERENCE)
    }

    /// The least share of tokens at which `part` of the way is gone, on straight lines between
    /// points; none when the models are equally accurate.
    pub fn share_for(&self, part: f64) -> Option<f64> {
        let accuracy: Vec<(f64, f64)> = self
            .points
            .iter()
            .map(|p| (p.share, p.accuracy().mean))
            .collect();
        let (start, end) = (accuracy.first()?.1, accuracy.last()?.1);
        let gone = |value: f64| (value - start) / (end - start);
        if end == start {
            return None;
        }
        accuracy.windows(2).find_map(|pair| {
            let (from, to) = (gone(pair[0].1), gone(pair[1].1));
            if from >= part {
                return Some(pair[0].0);
            }
            (to >= part).then(|| pair[0].0 + (part - from) / (to - from) * (pair[1].0 - pair[0].0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(right: usize) -> BTreeMap<String, f64> {
        (0..10)
            .map(|i| (format!("q{i}"), f64::from(i < right)))
            .collect()
    }

    fn outcome(share: f64, right: usize) -> Outcome {
        Outcome {
            share,
            scores: scores(right),
        }
    }

    #[test]
    fn recovery_is_the_part_of_the_gap() {
        let curve =
            ReplacementCurve::new(&scores(4), &scores(8), [outcome(0.2, 8), outcome(0.1, 6)]);
        let shares: Vec<f64> = curve.points().iter().map(|p| p.share).collect();
        assert_eq!(shares, [0.0, 0.1, 0.2, 1.0]);
        for (share, part) in [
            (0.0, 0.0),
            (0.05, 0.25),
            (0.1, 0.5),
            (0.15, 0.75),
            (0.6, 1.0),
            (1.0, 1.0),
        ] {
            assert!((curve.recovery(share).mean - part).abs() < 1e-9, "{share}");
        }
        let e = curve.recovery(0.1);
        assert!(e.low <= e.mean && e.mean <= e.high && e.n == 10, "{e:?}");
        assert!((curve.share_for(0.5).unwrap() - 0.1).abs() < 1e-9);
        assert!((curve.share_for(0.75).unwrap() - 0.15).abs() < 1e-9);
    }

    #[test]
    fn the_other_way_round_the_gap_is_lost() {
        let curve = ReplacementCurve::new(&scores(8), &scores(4), [outcome(0.1, 5)]);
        assert!((curve.recovery(0.1).mean - 0.75).abs() < 1e-9);
        let slow = ReplacementCurve::new(&scores(8), &scores(4), [outcome(0.1, 7)]);
        assert!((curve.lead(&slow, 0.1).mean - 0.2).abs() < 1e-9);
    }

    #[test]
    fn without_a_gap_there_is_nothing_to_recover() {
        let curve = ReplacementCurve::new(&scores(5), &scores(5), [outcome(0.1, 5)]);
        assert!(curve.recovery(0.1).mean.is_nan());
        assert_eq!(curve.share_for(0.5), None);
        let empty = ReplacementCurve::new(&BTreeMap::new(), &BTreeMap::new(), []);
        assert!(empty.recovery(0.1).mean.is_nan() && empty.recovery(0.1).n == 0);
    }
}
